"""The output of every network: log-probabilities, whatever else its forward pass has, and views."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

# Keeps the logarithm of a probability finite.
EPS = 1e-12
POSE_OFFSETS = np.linspace(-0.25, 0.25, 11, dtype=np.float32)
"""Steps of a sweep over a component of a pose: figure 4 of Sabour, Frosst and Hinton (2017)."""


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


class CapsuleShares(NamedTuple):
    """Capsules of a map, by what the winning class capsule comes from; see `capsnet.paths`.

    Attributes:
        shares: Of each capsule; the capsules of a layer have 1 together.
        strongest: Row, column and type of the capsule that the strongest of the layer above, or the
            winner itself, received most of.
        places: Centres of what the capsules of each place see, (x, y) in [-1, 1] from edge to edge
            of the image.
    """

    shares: Float[Array, "batch height width types"]
    strongest: Int[Array, "batch 3"]
    places: Float[Array, "batch height width 2"]


class Views(NamedTuple):
    """Views of a network's insides for pictures, which it makes only where they are asked for.

    A network that has any returns them from a method `views(images)`; what it does not have is
    None. Evaluations find them by their names, as the fields of its output.

    Attributes:
        pose_sweeps: Reconstructions of the winning class with each component of its capsule moved
            by each of `POSE_OFFSETS`; pixels are in (0, 1).
        capsule_places: Where the capsules are that the output's `couplings` are of, which lie on a
            map, row by row, the types of a place one after another: centres of what they see,
            (x, y) in [-1, 1] from edge to edge of the image.
        winning_paths: Of each layer of capsules on a map below the classes, from the lowest up.
    """

    pose_sweeps: Float[Array, "batch dim steps height width channels"] | None = None
    capsule_places: Float[Array, "batch map_height map_width 2"] | None = None
    winning_paths: tuple[CapsuleShares, ...] | None = None


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


def read(network: Any, images: Any, names: Sequence[str] | None = None) -> dict[str, Any]:
    """Fields of a network's output and views, by name, in one forward pass.

    Args:
        network: From images to a `cnn.Output`, perhaps with `views`.
        images: A batch of images in [0, 1].
        names: Of the fields that are wanted; None for all that there are.

    Raises:
        KeyError: if there is no field of such a name.
    """
    found = fields_of(network(images))
    if (names is None or not found.keys() >= set(names)) and hasattr(network, "views"):
        found |= fields_of(network.views(images))
    return found if names is None else {name: found[name] for name in names}


def in_mode(network: nnx.Module, *, training: bool) -> nnx.Module:
    """A view of a network with dropout and running averages as in training, or as in tests."""
    return nnx.view(
        network,
        deterministic=not training,
        use_running_average=not training,
        raise_if_not_found=False,
    )
