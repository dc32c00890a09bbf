"""Accuracy on distorted test images, as a curve over the strength of the distortion.

Distorted images are rounded to whole grey levels, as stored images are. So a distortion that is the
identity up to rounding errors gives the test images themselves, and the curve passes through the
accuracy on clean images exactly.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from data.batches import normalise
from data.dataset import Dataset
from evaluation.metrics.classification import accuracy_of, chance_of, hits
from evaluation.model import Predict, predict_all, predict_split
from evaluation.perturbations.affine import Image
from evaluation.results.quantities import Axis
from evaluation.results.result import Result, rate

SEED = 0
# Images that are distorted at once; the last call is filled up, so that one program does for all.
_CHUNK = 250

Distort = Callable[[Image, Key[Array, ""], Any], Image]
"""(image in [0, 1], its own key, strength) to the distorted image, of the same shape."""


@dataclasses.dataclass(frozen=True)
class Curve:
    """One distortion at several strengths, or, without an axis, at the one that it has.

    Attributes:
        distort: Traceable. Its random draws come from the key alone, which an image has at every
            strength; values outside [0, 1] are clipped.
        definition: All that defines the distortion besides its strength, ready for JSON.
        condition: Its name, where a suite has several.
        axis: The strength; None for a distortion without one.
        strengths: Points of the curve; (None,) for a distortion without strength.
    """

    distort: Distort
    definition: Mapping[str, Any]
    condition: str = ""
    axis: Axis | None = None
    strengths: tuple[float | None, ...] = (None,)

    def label(self, strength: float | None) -> str:
        """Names the condition at a strength, for people."""
        amount = "" if self.axis is None else self.axis.show(strength)
        return ", ".join(filter(None, (self.condition, amount)))

    def facts(self, strength: float | None) -> dict[str, Any]:
        """Makes fields of the `Result` at a strength."""
        return {
            "condition": self.condition,
            "axis": self.axis,
            "strength": strength,
            "definition": {**self.definition, "grey levels": "rounded to 1/255"},
        }


def measure(
    suite: str, curves: Sequence[Curve], predict: Predict, dataset: Dataset, *, batch_size: int
) -> list[Result]:
    """Measures accuracy on all test images, which are no volumes, along curves.

    Args:
        suite: The suite's name.
        curves: Distortions of the images.
        predict: The model.
        dataset: Its test images are distorted.
        batch_size: Images per call of `predict`.

    Returns:
        A result for each strength of each curve.
    """
    test, results = dataset.test, []
    metric, chance = accuracy_of(dataset), chance_of(dataset)
    for curve in curves:
        for strength in curve.strengths:
            images = distort_all(curve.distort, test.images, strength)
            name = f"{suite} {curve.label(strength)}".strip()
            if np.array_equal(images, test.images):  # as at the identity
                logits = predict_split(predict, test, "logits", batch_size=batch_size, name=name)
                logits = logits["logits"]
            else:
                logits = predict_all(predict, images, batch_size=batch_size, name=name)
            right = hits(logits, test.labels)
            results.append(rate(suite, metric, right, test, chance=chance, **curve.facts(strength)))
    return results


def show(curves: Sequence[Curve], images: np.ndarray) -> dict[str, np.ndarray]:
    """Distorts images along curves, by label; images in and out are as in `show_one`."""
    return {
        curve.label(strength): show_one(curve.distort, images, strength)
        for curve in curves
        for strength in curve.strengths
    }


def show_one(distort: Distort, images: np.ndarray, strength: Any) -> np.ndarray:
    """Distorts images `[count, height, width, channels]`, float32 in [0, 1]."""
    levels = np.round(255.0 * np.asarray(images)).astype(np.uint8)
    return distort_all(distort, levels, strength) / np.float32(255.0)


def distort_all(
    distort: Distort, images: np.ndarray, strength: Any, *, numbers: np.ndarray | None = None
) -> np.ndarray:
    """Distorts stored images on the device.

    Args:
        distort: For one image.
        images: `[count, height, width, channels]`, uint8.
        strength: One number for all images, or `[count, ...]`, one for each; None counts as zero.
        numbers: `[count]`, each image's number among the test images, from which its key comes;
            None counts from 0.

    Returns:
        The distorted images, uint8.
    """
    count = len(images)
    numbers = np.arange(count) if numbers is None else numbers
    strengths = np.asarray(0.0 if strength is None else strength, np.float32)
    if strengths.ndim == 0:
        strengths = np.broadcast_to(strengths, (count,))
    parts = []
    for start in range(0, count, _CHUNK):
        chosen = np.minimum(np.arange(start, start + _CHUNK), count - 1)
        chunk = _distort_chunk(distort, images[chosen], numbers[chosen], strengths[chosen])
        parts.append(np.asarray(chunk))
    return np.concatenate(parts)[:count]


@functools.partial(jax.jit, static_argnums=0)
def _distort_chunk(
    distort: Distort,
    images: Float[Array, "chunk height width channels"],
    numbers: Array,
    strengths: Array,
) -> Array:
    seed = jax.random.key(SEED)

    def one(image, number, strength):
        distorted = distort(normalise(image), jax.random.fold_in(seed, number), strength)
        return jnp.round(255.0 * jnp.clip(distorted, 0.0, 1.0)).astype(jnp.uint8)

    return jax.vmap(one)(images, numbers, strengths)
