"""Accuracy where an adversary may paint a small part of an image as it likes: stickers, glasses.

PGD within a mask over the full range of grey levels, with two losses, of which the stronger counts.
Four square stickers lie at the same places of every image. The glasses of painted faces
(`data.faces.tasks`) cover what lies where eyes belong, and the bridge between, on each face where
it is. Beside each what noise does there, which no one chose.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset, Split
from data.faces.parts import LEFT_EYE, RIGHT_EYE, part_boxes
from data.faces.tasks import FacesConfig, in_chunks
from evaluation.attacks.gradient import LOSSES, SHOWN, attack_with_all, pgd
from evaluation.model import Differentiable, Predict, Predictor, predict_all
from evaluation.perturbations.curve import SEED
from evaluation.results.result import Result, rate

EXPENSIVE = True
REQUIRES = ("images", "differentiable")
AREAS = (0.0, 2.0, 5.0, 10.0)
"""Of all stickers together, in per cent of the image; each is a whole number of pixels wide."""
# Middles of the stickers along each axis, as shares of the image: within it, where objects are.
_MIDDLES = (0.3, 0.7)
# Half the height of the bridge of a pair of glasses, in pixels.
_BRIDGE = 1.0


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Accuracy under stickers over their area, and with glasses on painted faces."""
    model = predict.differentiable
    assert model is not None  # as required
    results, test = [], dataset.test
    areas = _distinct(test.images.shape[1:3])
    for area in areas:
        mask = stickers(test.images.shape[1:3], area)
        facts = {
            "axis": "area of all stickers, % of the image",
            "strength": area,
            "parameters": {
                "stickers": "4 squares",
                "pixels": [int(stickers(test.images.shape[1:3], each).sum()) for each in areas],
                "strengths": list(areas),
                "identity": 0.0,
            },
        }
        results += _measure(predict, model, test, mask, batch_size, "stickers", facts)
    boxes = eye_boxes(dataset)
    if boxes is not None:
        mask = glasses(boxes, test.images.shape[1:3])
        facts = {"parameters": {"glasses": "where eyes belong, and 2 pixels between"}}
        results += _measure(predict, model, test, mask, batch_size, "glasses", facts)
    return results


def _distinct(size: tuple[int, ...]) -> list[float]:
    """Those areas whose stickers differ: in small images several are as many pixels wide."""
    by_pixels = {int(stickers(size, area).sum()): area for area in reversed(AREAS)}
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
    """Accuracy with the mask painted by an adversary, and with noise in it."""
    attacks = [pgd("inf", loss) for loss in LOSSES]
    found = attack_with_all(
        model, test, attacks, 1.0, mask=mask, batch_size=batch_size, name=condition
    )
    how = {
        "steps": attacks[0].steps,
        "step": attacks[0].relative_step,
        "losses": list(LOSSES),
    }
    details = {
        "images without a gradient": float(np.mean(found.without_gradient)),
        "share of pixels": float(np.mean(mask)),
    }
    area = facts.get("strength")
    label = condition if area is None else f"{condition}, {area:g} %"
    shown = facts | {"pictures": {label: found.images[:SHOWN]}, "flags": found.flags()}
    yield _accuracy(condition, ~found.fooled, test, details, shown, how)
    images = with_noise(test.images, mask)
    logits = predict_all(predict, images, batch_size=batch_size, name=f"{condition} of noise")
    hits = np.argmax(logits, axis=-1) == test.labels
    yield _accuracy(f"{condition} of noise", hits, test, {}, facts, {"seed": SEED})


def _accuracy(condition, hits, test, details, facts, how) -> Result:
    parameters = {**facts["parameters"], **how}
    facts = {**facts, "condition": condition, "parameters": parameters}
    return rate("stickers", "robust accuracy", hits, test, details, **facts)


def stickers(size: tuple[int, ...], area: float) -> np.ndarray:
    """`[height, width]`: which pixels the four stickers cover.

    Args:
        size: Height and width of the images.
        area: In per cent of them; each sticker is a square of the nearest whole width.
    """
    mask = np.zeros(size, bool)
    side = round((area / 100.0 * mask.size / len(_MIDDLES) ** 2) ** 0.5)
    corners = [[round(middle * length - side / 2.0) for middle in _MIDDLES] for length in size]
    for top in corners[0]:
        for left in corners[1]:
            mask[top : top + side, left : left + side] = True
    return mask


def with_noise(images: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """uint8 images with uniform noise where the mask is."""
    noise = np.random.default_rng(SEED).integers(0, 256, images.shape, np.uint8)
    return np.where(mask[..., None], noise, images)


def eye_boxes(dataset: Dataset) -> np.ndarray | None:
    """Boxes of the two places where eyes belong, in each test image; None if none are known.

    Returns:
        `[count, 2, 4]`: left, top, right and bottom, in pixels.
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
    """`[count, height, width]`: which pixels lie in either box or on the bridge between.

    Args:
        boxes: See `eye_boxes`.
        size: Height and width of the images.
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
    """Images with stickers of noise, of every area."""
    levels = np.round(255.0 * np.asarray(images)).astype(np.uint8)
    return {
        f"stickers, {area:g} %": with_noise(levels, stickers(levels.shape[1:3], area))
        / np.float32(255.0)
        for area in AREAS
    }
