"""Robust accuracy under attacks on a small part of an image: four squares, or a pair of glasses.

PGD within a mask over the full range of grey levels, with two losses, of which the stronger counts.
The squares lie at the same places of every image. The glasses of rendered faces
(`data.faces.tasks`) cover the places where eyes belong, and the bridge between, on each face where
it is. The control is noise within the same mask.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset, Split
from data.faces.parts import LEFT_EYE, RIGHT_EYE, part_boxes
from data.faces.tasks import FacesConfig, in_chunks
from evaluation.attacks.gradient import LOSSES, attack_with_all, pgd
from evaluation.attacks.search import SHOWN
from evaluation.metrics.classification import ROBUST_ACCURACY
from evaluation.model import Differentiable, Predict, Predictor, predict_all
from evaluation.perturbations.curve import SEED
from evaluation.results.artifacts import Images
from evaluation.results.quantities import Axis, Detail, shares
from evaluation.results.result import Result, rate

SUITE = "localized_attack"
REQUIRES = ("images", "differentiable")
PASSES = 400
AREAS = (0.0, 2.0, 5.0, 10.0)
"""Of all squares together, in per cent of the image; each is a whole number of pixels wide."""
AREA = Axis("area of all squares", "% of the image", identity=0.0)
# Middles of the squares along each axis, as shares of the image: within it, where objects are.
_MIDDLES = (0.3, 0.7)
# Half the height of the bridge of a pair of glasses, in pixels.
_BRIDGE = 1.0


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy under squares by their area, and with glasses on rendered faces."""
    model = predict.differentiable
    assert model is not None  # as required
    results, test = [], dataset.test
    areas = _distinct(test.images.shape[1:3])
    for area in areas:
        mask = squares(test.images.shape[1:3], area)
        facts = {
            "axis": AREA,
            "strength": area,
            "definition": {
                "mask": "4 squares",
                "pixels": [int(squares(test.images.shape[1:3], each).sum()) for each in areas],
            },
        }
        results += _measure(predict, model, test, mask, batch_size, "squares", facts)
    boxes = eye_boxes(dataset)
    if boxes is not None:
        mask = glasses(boxes, test.images.shape[1:3])
        facts = {"definition": {"mask": "where eyes belong, and 2 pixels between"}}
        results += _measure(predict, model, test, mask, batch_size, "glasses", facts)
    return results


def _distinct(size: tuple[int, ...]) -> list[float]:
    """Leaves out areas whose squares are as many pixels wide as others, as in small images."""
    by_pixels = {int(squares(size, area).sum()): area for area in reversed(AREAS)}
    return list(by_pixels.values())[::-1]


def _measure(
    predict: Predict,
    model: Differentiable,
    test: Split,
    mask: np.ndarray,
    batch_size: int,
    condition: str,
    facts: dict[str, Any],
) -> Iterator[Result]:
    """Measures accuracy with the attack in the mask, and with noise in it."""
    attacks = [pgd("inf", loss) for loss in LOSSES]
    found = attack_with_all(
        model, test, attacks, 1.0, mask=mask, batch_size=batch_size, name=condition
    )
    attack = {
        "steps": attacks[0].steps,
        "step": attacks[0].relative_step,
        "losses": list(LOSSES),
    }
    details = shares(
        images_without_a_gradient=float(np.mean(found.without_gradient)),
        share_of_pixels=float(np.mean(mask)),
    )
    area = facts.get("strength")
    label = condition if area is None else f"{condition}, {area:g} %"
    pictures = (Images(found.images[:SHOWN], label=label),)
    attacked = {**facts, "artifacts": pictures, "flags": found.flags()}
    yield _accuracy(condition, ~found.misled, test, details, attacked, attack)
    images = with_noise(test.images, mask)
    logits = predict_all(predict, images, batch_size=batch_size, name=f"{condition} of noise")
    hits = np.argmax(logits, axis=-1) == test.labels
    yield _accuracy(f"{condition} of noise", hits, test, {}, facts, {"seed": SEED})


def _accuracy(
    condition: str,
    hits: np.ndarray,
    test: Split,
    details: dict[str, Detail],
    facts: dict[str, Any],
    source: dict[str, Any],
) -> Result:
    """Makes the result of a mask, whose content has a definition of its own."""
    definition = {**facts["definition"], **source}
    facts = {**facts, "condition": condition, "definition": definition, "details": details}
    return rate(SUITE, ROBUST_ACCURACY, hits, test, **facts)


def squares(size: tuple[int, ...], area: float) -> np.ndarray:
    """Makes the mask of the four squares.

    Args:
        size: Height and width of the images.
        area: In per cent of them; each square has the nearest whole width.

    Returns:
        `[height, width]`, True in a square.
    """
    mask = np.zeros(size, bool)
    side = round((area / 100.0 * mask.size / len(_MIDDLES) ** 2) ** 0.5)
    corners = [[round(middle * length - side / 2.0) for middle in _MIDDLES] for length in size]
    for top in corners[0]:
        for left in corners[1]:
            mask[top : top + side, left : left + side] = True
    return mask


def with_noise(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fills the mask of uint8 images with uniform noise."""
    noise = np.random.default_rng(SEED).integers(0, 256, images.shape, np.uint8)
    return np.where(mask[..., None], noise, images)


def eye_boxes(dataset: Dataset) -> np.ndarray | None:
    """Finds the boxes of the two places where eyes belong, in each test image.

    Returns:
        `[count, 2, 4]`: left, top, right and bottom, in pixels; None if they are not known.
    """
    config, test = dataset.generator, dataset.test
    if not isinstance(config, FacesConfig):
        return None

    @jax.jit
    @jax.vmap
    def boxes_of(key):
        face = config.draw(key)
        return part_boxes(face, face.slots), face.pose

    numbers = np.arange(config.test_images)
    boxes, poses = in_chunks(boxes_of, config.keys("test", jnp.asarray(numbers)))
    # The same draw as that of the images, if they are not all.
    chosen = Split(boxes, numbers).sample(len(test)).labels
    if test.poses is None or not np.allclose(poses[chosen, None], test.poses, atol=1e-5):
        return None
    return boxes[chosen][:, [LEFT_EYE, RIGHT_EYE]]


def glasses(boxes: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Makes the mask of the pixels in either box or on the bridge between.

    Args:
        boxes: See `eye_boxes`.
        size: Height and width of the images.

    Returns:
        `[count, height, width]` booleans.
    """
    height, width = size
    y, x = np.mgrid[:height, :width] + 0.5
    left, top, right, bottom = np.moveaxis(boxes, -1, 0)[..., None, None]
    inside = (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
    start, end = np.moveaxis(0.5 * (boxes[..., :2] + boxes[..., 2:]), 1, 0)[..., None, None]
    along = end - start
    away_x, away_y = x - start[:, 0], y - start[:, 1]
    share = (away_x * along[:, 0] + away_y * along[:, 1]) / np.sum(along**2, axis=1)
    share = np.clip(share, 0.0, 1.0)
    gap = (away_x - share * along[:, 0]) ** 2 + (away_y - share * along[:, 1]) ** 2
    return inside.any(axis=1) | (gap <= _BRIDGE**2)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images with squares of noise, of every area."""
    levels = np.round(255.0 * np.asarray(images)).astype(np.uint8)
    return {
        f"squares, {area:g} %": with_noise(levels, squares(levels.shape[1:3], area))
        / np.float32(255.0)
        for area in AREAS
    }
