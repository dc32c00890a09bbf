"""Accuracy on distorted test images, as a curve over the strength of the distortion.

Distorted images are rounded to whole grey levels, as stored images are. So a distortion that is the
identity up to rounding errors gives the test images themselves, and the curve passes through the
accuracy on clean images exactly.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from data.batches import normalise
from data.dataset import Dataset
from evaluation.model import Predict, predict_all, predict_split
from evaluation.perturbations.affine import Image
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
        distort: Traceable. What it draws at random comes from the key alone, which an image has at
            every strength; values outside [0, 1] are clipped.
        parameters: What defines the distortion besides its strength.
        condition: Its name, where a suite has several.
        axis: What the strength is, and its unit after a comma, as in "angle, degrees".
        strengths: Where the curve is measured; (None,) for a distortion without strength.
        identity: The strength that leaves images as they are, if there is one.
    """

    distort: Distort
    parameters: dict[str, Any]
    condition: str = ""
    axis: str = ""
    strengths: tuple[float | None, ...] = (None,)
    identity: float | None = None

    def label(self, strength: float | None) -> str:
        """The condition at a strength, for people."""
        unit = self.axis.partition(", ")[2]
        amount = "" if strength is None else f"{strength:g} {unit}"
        return ", ".join(filter(None, (self.condition, amount)))

    def facts(self, strength: float | None) -> dict[str, Any]:
        """Fields of the `Result` at a strength."""
        parameters = {**self.parameters, "grey levels": "rounded to 1/255"}
        if self.axis:
            parameters |= {"strengths": list(self.strengths), "identity": self.identity}
        return {
            "condition": self.condition,
            "axis": self.axis,
            "strength": strength,
            "parameters": parameters,
        }


def measure(
    suite: str, curves: Sequence[Curve], predict: Predict, dataset: Dataset, *, batch_size: int
) -> list[Result]:
    """Accuracy on all test images, which are no volumes, along curves.

    Args:
        suite: The suite's name.
        curves: What is done to the images.
        predict: The model.
        dataset: Its test images are distorted.
        batch_size: Images per call of `predict`.

    Returns:
        A result for each strength of each curve.
    """
    test, results = dataset.test, []
    for curve in curves:
        for strength in curve.strengths:
            images = distort_all(curve.distort, test.images, strength)
            name = f"{suite} {curve.label(strength)}".strip()
            if np.array_equal(images, test.images):  # as at the identity
                logits = predict_split(predict, test, "logits", batch_size=batch_size, name=name)
                logits = logits["logits"]
            else:
                logits = predict_all(predict, images, batch_size=batch_size, name=name)
            hits = np.argmax(logits, axis=-1) == test.labels
            facts = curve.facts(strength)
            facts["parameters"]["chance"] = 1.0 / dataset.num_classes
            results.append(rate(suite, "accuracy", hits, test, **facts))
    return results


def show(curves: Sequence[Curve], images: np.ndarray) -> dict[str, np.ndarray]:
    """What curves do to images at every strength, by label; images in and out as in `show_one`."""
    return {
        curve.label(strength): show_one(curve.distort, images, strength)
        for curve in curves
        for strength in curve.strengths
    }


def show_one(distort: Distort, images: np.ndarray, strength: Any) -> np.ndarray:
    """What a distortion does to images `[count, height, width, channels]`, float32 in [0, 1]."""
    levels = np.round(255.0 * np.asarray(images)).astype(np.uint8)
    return distort_all(distort, levels, strength) / np.float32(255.0)


def distort_all(
    distort: Distort, images: np.ndarray, strength: Any, *, numbers: np.ndarray | None = None
) -> np.ndarray:
    """Distorts images on the device.

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
