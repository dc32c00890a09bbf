"""The output of every network: log-probabilities, and whatever else its forward pass has."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

# Keeps the logarithm of a probability finite.
EPS = 1e-12


class Warp(NamedTuple):
    """The images that spatial transformers made of a batch, and where they read them.

    Attributes:
        images: The resampled images.
        grids: Where each pixel was read, (x, y) in [-1, 1] from edge to edge of the image.
    """

    images: Float[Array, "batch transformers out_height out_width channels"]
    grids: Float[Array, "batch transformers out_height out_width 2"]


class Output(NamedTuple):
    """One forward pass of a network; what a network does not have is None.

    A network returns all that it has, for XLA drops what is not read. Evaluations find fields by
    their names, so that a network may as well return a tuple of its own with these and others.

    Attributes:
        logits: Log-probabilities up to a constant, the largest being the prediction; of several
            heads, such as the digits of a number, side by side.
        probabilities: The network's own confidences, in [0, 1], where they are not the softmax of
            the logits.
        lengths: Of the class capsules, in [0, 1).
        features: What the prediction is read from: the last hidden layer, or the class capsule
            that wins.
        poses: The class capsules.
        couplings: Of the routing's last iteration, from input to class capsules.
        vote_logits: Logarithms of the lengths of class capsules that are plain means of squashed
            votes, without routing; attacks follow their gradient in place of the routing's.
        warp: Of the spatial transformers at the input.
        reconstruction: Of the predicted class; pixels are in (0, 1).
        class_reconstructions: Of each class by itself, whether it is predicted or not.
    """

    logits: Float[Array, "batch *heads classes"]
    probabilities: Float[Array, "batch classes"] | None = None
    lengths: Float[Array, "batch classes"] | None = None
    features: Float[Array, "batch features"] | None = None
    poses: Float[Array, "batch classes dim"] | None = None
    couplings: Float[Array, "batch capsules classes"] | None = None
    vote_logits: Float[Array, "batch classes"] | None = None
    warp: Warp | None = None
    reconstruction: Float[Array, "batch height width channels"] | None = None
    class_reconstructions: Float[Array, "batch classes height width channels"] | None = None


def log_probabilities(probabilities: Float[Array, "..."]) -> Float[Array, "..."]:
    """Logarithms of probabilities, of which those below 1e-12 count as that."""
    return jnp.log(jnp.maximum(probabilities, EPS))


def fields_of(output: Any) -> dict[str, Any]:
    """The fields that a network's output has, by name; those that are None are none.

    Args:
        output: An `Output`, or another `NamedTuple` or dataclass with `logits`.
    """
    if dataclasses.is_dataclass(output):
        names = [field.name for field in dataclasses.fields(output)]
    else:
        names = getattr(output, "_fields", ("logits",))
    return {name: value for name in names if (value := getattr(output, name)) is not None}


def in_mode(network: nnx.Module, *, training: bool) -> nnx.Module:
    """A view of a network with dropout and running averages as in training, or as in tests."""
    return nnx.view(
        network,
        deterministic=not training,
        use_running_average=not training,
        raise_if_not_found=False,
    )
