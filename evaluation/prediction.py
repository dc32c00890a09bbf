"""What evaluations see of a model, and its answers for every image of a split."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from common.errors import UserError
from data.batches import normalise

Predict = Callable[[np.ndarray], np.ndarray]
"""float32 images `[batch, height, width, channels]` in [0, 1] to logits `[batch, classes]`."""

Activations = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""Images to what each layer of a model says of them, by name, in the model's order."""


class Warp(NamedTuple):
    """What the spatial transformers of a model did to a batch.

    Attributes:
        images: `[batch, transformers, out_height, out_width, channels]`, the resampled images.
        grids: `[batch, transformers, out_height, out_width, 2]`, where each pixel was read, (x, y)
            in [-1, 1] from edge to edge of the image.
    """

    images: np.ndarray
    grids: np.ndarray


class Differentiable(NamedTuple):
    """A model that JAX can differentiate.

    Attributes:
        scores: (variables, images `[batch, height, width, channels]` in [0, 1]) to unnormalised
            log-probabilities `[batch, classes]`; the largest is the model's answer.
        variables: Its weights, a pytree of arrays.
        reconstruct: (variables, images) to what `Predictor.reconstruct` says; None if the model
            has no decoder.
    """

    scores: Callable[[Any, Any], Any]
    variables: Any
    reconstruct: Callable[[Any, Any], Any] | None = None


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A trained model: a `Predict` that may know more; all of it takes images in [0, 1].

    Attributes:
        predict: The model's logits.
        warp: From images to its `Warp`; None if it has no spatial transformer.
        reconstruct: From images to what the model paints of the class that it sees in each, in
            the shape of the images; None if it has no decoder.
        confidences: From images to the probability that the model gives each class; None if that
            is the softmax of its logits.
        features: From images to one vector each, `[batch, features]`, from which the answer is
            read: a network's last hidden layer, or the class capsule that wins; None if there is
            no such vector.
        differentiable: For attacks that follow gradients; None if it cannot be differentiated.
        activations: From images to what the model's layers say of them, by name and in their
            order: feature maps `[batch, height, width, channels]`, or vectors. What is measured
            against a stride needs maps of images of any size. (Through `jax.jit` an `OrderedDict`
            keeps its order, a dictionary does not.) None if the model names no layers.
        cost: From a batch size to what the model costs, by name (see `evaluation.suites.cost`);
            None if only its answers are known.
    """

    predict: Predict
    warp: Callable[[np.ndarray], Warp] | None = None
    reconstruct: Callable[[np.ndarray], np.ndarray] | None = None
    confidences: Predict | None = None
    features: Callable[[np.ndarray], np.ndarray] | None = None
    differentiable: Differentiable | None = None
    activations: Activations | None = None
    cost: Callable[[int], dict[str, float]] | None = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Logits of images."""
        return self.predict(images)


def predict_all(
    predict: Callable[[np.ndarray], Any],
    images: np.ndarray,
    *,
    batch_size: int,
    name: str = "evaluate",
) -> Any:
    """Outputs for all images, in order.

    The last batch is filled up with blank images whose outputs are dropped, so every image counts
    once and every call has one shape.

    NaN and infinity are no outputs: the largest of scores that are NaN is class 0, and comparisons
    with them are False, so whatever is measured of them looks like an ordinary number.

    Args:
        predict: A `Predict`, or another function to an array, or a tuple of arrays such as `Warp`,
            with one entry for each image.
        images: `[count, height, width, channels]`, float32 in [0, 1], or uint8, which becomes that.
        batch_size: Images per call of `predict`.
        name: What the progress bar says.

    Returns:
        What `predict` returns, `[count, ...]`; logits `[count, classes]` of a `Predict`.

    Raises:
        UserError: if an output for an image is NaN or infinite, in float32.
    """
    outputs = []
    with tqdm(total=len(images), desc=name, unit="img", leave=False, disable=None) as bar:
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            blank = np.zeros((batch_size - len(batch), *images.shape[1:]), images.dtype)
            filled = np.concatenate([batch, blank])
            if filled.dtype == np.uint8:
                filled = np.asarray(normalise(jnp.asarray(filled)))
            found = predict(filled)
            for leaf in jax.tree.leaves(found):
                _check_finite(leaf[: len(batch)], start, len(images), name)
            outputs.append(found)
            bar.update(len(batch))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[: len(images)], *outputs)


def _check_finite(outputs: Any, first: int, count: int, name: str) -> None:
    """Raises a `UserError` that names the first image with an output that is no number.

    Args:
        outputs: `[batch, ...]`, of images in order.
        first: The first one's number, from 0.
        count: Images in all.
        name: What the outputs are for.
    """
    outputs = np.asarray(outputs)
    if outputs.dtype.kind in "biu":
        return
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite to most of its readers
        finite = np.isfinite(outputs.astype(np.float32, copy=False))
    if not finite.all():
        image = first + int(np.argmin(finite.reshape(len(finite), -1).all(axis=1)))
        raise UserError(
            f"{name}: the model answers image {image + 1:,} of {count:,} with NaN or infinity, of "
            "which nothing can be measured"
        )


def distances(
    reconstruct: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    *,
    batch_size: int,
    name: str,
) -> np.ndarray:
    """How far images lie from what a model paints of them.

    Args:
        reconstruct: See `Predictor`.
        images: As for `predict_all`.
        batch_size: Images per call of `reconstruct`.
        name: What the progress bar says.

    Returns:
        `[count]` Euclidean lengths, where grey levels go from 0 to 1.
    """

    def far(batch):
        difference = np.asarray(reconstruct(batch)) - batch
        return np.linalg.norm(difference.reshape(len(batch), -1), axis=1)

    return predict_all(far, images, batch_size=batch_size, name=name)
