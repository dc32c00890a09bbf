"""Heads of a network: from a map of primary capsules, or of plain features, to classes.

All heads read the same map, so that networks differ in nothing else: the comparison that Gu, Tresp
and Hu, "Capsule network is not more robust than convolutional network" (2021), make one part at a
time.
"""

import dataclasses
import math
from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from capsnet.layers import DenseCapsules
from capsnet.networks.scores import Scores, capsule_scores
from capsnet.routing import DynamicRouting, Routing
from capsnet.routing.base import check_class_routing
from capsnet.vectors import length, squash
from cnn import validation
from cnn.arrays import flatten
from cnn.dense_layers import dense
from cnn.output import log_probabilities

SHARED = ("none", "places", "all")


class Map(NamedTuple):
    """Sizes of the map that a head reads: places, and capsules at a place.

    Attributes:
        places: Of the map.
        types: Capsules at a place.
        dim: Components of a capsule.
    """

    places: int
    types: int
    dim: int


@dataclasses.dataclass(frozen=True)
class Head:
    """A head, as a configuration describes it; subclasses build the module."""

    def build(self, sizes: Map, num_classes: int, dtype: str, rngs: nnx.Rngs) -> nnx.Module:
        """Creates the module, which takes a map `[batch, height, width, types * dim]` to `Scores`.

        Args:
            sizes: Of the map.
            num_classes: Number of classes.
            dtype: Compute type; scores are float32.
            rngs: Source of the initial values.
        """
        raise NotImplementedError

    def check(self) -> None:
        """Raises a `ValueError` for a field that no head can have."""


@dataclasses.dataclass(frozen=True)
class DenseHead(Head):
    """ReLU, a hidden layer and a linear classifier over all places.

    Attributes:
        width: Of the hidden layer; 0 for none.
    """

    width: int = 0

    def check(self) -> None:
        """Raises a `ValueError` for a field that no head can have."""
        validation.check(self, width=validation.whole(0))

    def build(self, sizes: Map, num_classes: int, dtype: str, rngs: nnx.Rngs) -> "Classifier":
        """Creates the module."""
        widths = (math.prod(sizes), *((self.width,) if self.width else ()), num_classes)
        return Classifier(widths, average=False, dtype=dtype, rngs=rngs)


@dataclasses.dataclass(frozen=True)
class AverageHead(Head):
    """ReLU, the mean over all places, and a linear classifier."""

    def build(self, sizes: Map, num_classes: int, dtype: str, rngs: nnx.Rngs) -> "Classifier":
        """Creates the module."""
        widths = (sizes.types * sizes.dim, num_classes)
        return Classifier(widths, average=True, dtype=dtype, rngs=rngs)


@dataclasses.dataclass(frozen=True)
class VectorHead(Head):
    """ReLU and a vector for each class, linear in all places and squashed: capsules without votes.

    Attributes:
        dim: Components of a vector.
    """

    dim: int = 16

    def check(self) -> None:
        """Raises a `ValueError` for a field that no head can have."""
        validation.check(self, dim=validation.whole())

    def build(self, sizes: Map, num_classes: int, dtype: str, rngs: nnx.Rngs) -> "Vectors":
        """Creates the module."""
        return Vectors(math.prod(sizes), (num_classes, self.dim), dtype=dtype, rngs=rngs)


@dataclasses.dataclass(frozen=True)
class CapsuleHead(Head):
    """Squashed capsules at every place, and class capsules that a routing makes of their votes.

    With `SelfRouting` activations come from the poses below, and no class is chosen by a vote: in a
    network without a decoder, which alone reads the poses that votes make, the matrices get no
    gradient and stay as they are drawn, though they count among the parameters.

    Attributes:
        routing: From the capsules of all places to those of the classes.
        dim: Components of a class capsule.
        shared: Matrices that are shared: "none" (one for each place, type and class), those of all
            "places" (one for each type and class) or of "all" capsules (one a class, as in the
            AffCapsNet of Gu and Tresp, 2020).
    """

    routing: Routing = DynamicRouting()  # noqa: RUF009  frozen
    dim: int = 16
    shared: str = "none"

    def check(self) -> None:
        """Raises a `ValueError` for a field that no head can have."""
        validation.check(self, dim=validation.whole(), shared=validation.one_of(*SHARED))
        check_class_routing(self.routing)

    def build(self, sizes: Map, num_classes: int, dtype: str, rngs: nnx.Rngs) -> "RoutedClasses":
        """Creates the module."""
        capsules = sizes.places * sizes.types
        matrices = {"none": capsules, "places": sizes.types, "all": 1}
        layer = DenseCapsules(
            capsules,
            sizes.dim,
            num_classes,
            self.dim,
            routing=self.routing,
            transformations=matrices[self.shared],
            dtype=dtype,
            rngs=rngs,
        )
        return RoutedClasses(layer)


class Classifier(nnx.Module):
    """Dense layers on a map, or on its mean over the places, after a ReLU.

    Args:
        widths: Of the input and of all layers; the last are the classes.
        average: Reads the mean over the places.
        dtype: Compute type.
        rngs: Source of the initial values.
    """

    def __init__(self, widths: tuple[int, ...], *, average: bool, dtype: str, rngs: nnx.Rngs):
        *before, last, classes = widths
        self.hidden = dense(before[0], last, dtype=dtype, rngs=rngs) if before else None
        self.classifier = nnx.Linear(last, classes, dtype=jnp.dtype(dtype), rngs=rngs)
        self.average = average

    def __call__(self, maps: Float[Array, "batch height width channels"]) -> Scores:
        """Classifies maps."""
        maps = nnx.relu(maps)
        features = jnp.mean(maps, axis=(1, 2)) if self.average else flatten(maps)
        if self.hidden is not None:
            features = nnx.relu(self.hidden(features))
        logits = self.classifier(features).astype(jnp.float32)
        return Scores(logits, nnx.sigmoid(logits), features=features)


class Vectors(nnx.Module):
    """A linear layer from a map, after a ReLU, to a squashed vector for each class.

    Args:
        features: Numbers in a map.
        shape: Classes, and components of a vector.
        dtype: Compute type.
        rngs: Source of the initial values.
    """

    def __init__(self, features: int, shape: tuple[int, int], *, dtype: str, rngs: nnx.Rngs):
        self.linear = nnx.Linear(features, math.prod(shape), dtype=jnp.dtype(dtype), rngs=rngs)
        self.shape = shape

    def __call__(self, maps: Float[Array, "batch height width channels"]) -> Scores:
        """Classifies maps."""
        vectors = self.linear(flatten(nnx.relu(maps))).astype(jnp.float32)
        poses = squash(vectors.reshape(vectors.shape[0], *self.shape))
        lengths = length(poses)
        return Scores(log_probabilities(lengths), lengths, lengths, poses=poses)


class RoutedClasses(nnx.Module):
    """Class capsules of the squashed capsules of a map.

    Args:
        layer: From all capsules of the map to those of the classes.
    """

    def __init__(self, layer: DenseCapsules):
        self.layer = layer

    def __call__(self, maps: Float[Array, "batch height width channels"]) -> Scores:
        """Classifies maps."""
        capsules = math.prod(maps.shape[1:]) // self.layer.in_dim
        primary = maps.astype(jnp.float32).reshape(maps.shape[0], capsules, self.layer.in_dim)
        return capsule_scores(self.layer, squash(primary))
