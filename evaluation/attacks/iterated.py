"""Attacks that look at the model again and again, up to the first image that misleads it.

An image that has misled the model, or has left the numbers, is done. A batch is attacked until the
images that are not done fit into the next smaller one, and these go on in it, so that the work is
in proportion to the images that withstand. What an attack draws and decides for an image depends on
its number alone, so that its result is the same in every batch, but for rounding.
"""

import abc
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from data.dataset import Split
from evaluation.attacks.search import Attacked, check_finite, fitting, in_batches, next_smaller
from evaluation.model import Differentiable


class Batch(NamedTuple):
    """Images that are attacked at once: arrays of JAX within a program, of NumPy between them.

    Attributes:
        images: As they are.
        labels: Their classes.
        numbers: Of the images.
        counted: False for those that only fill the batch.
    """

    images: Float[Any, "batch height width channels"]
    labels: Int[Any, "batch"]
    numbers: Int[Any, "batch"]
    counted: Bool[Any, "batch"]


class Found(NamedTuple):
    """The members of an `Attacked`, so far, and for each image True if all logits were finite."""

    images: Float[Any, "batch height width channels"]
    misled: Bool[Any, "batch"]
    without_gradient: Bool[Any, "batch"]
    undefined_gradient: Bool[Any, "batch"]
    finite: Bool[Any, "batch"]


class State(Protocol):
    """A tuple of all that an attack goes on from: scalars, and arrays `[batch, ...]`."""

    @property
    def looks(self) -> Int[Any, ""]:
        """Returns how often each image has been looked at."""
        ...

    def found(self) -> Found:
        """Returns what the attack has come to."""
        ...


def goes_on(batch: Batch, state: State, looks: Int[Any, ""]) -> Bool[Array, ""]:
    """Tests for a batch that is to be looked at so often, and that no smaller one could replace."""
    standing = jnp.sum(_stands(batch, state))
    return (state.looks < looks) & (standing > next_smaller(len(batch.labels)))


def _stands(batch, state):
    found = state.found()
    return batch.counted & ~found.misled & found.finite


class IteratedAttack(abc.ABC):
    """An attack that looks at the model a number of times."""

    @property
    @abc.abstractmethod
    def looks(self) -> int:
        """Returns how often the attack looks at an image that withstands."""

    @abc.abstractmethod
    def begin(self, images: np.ndarray) -> Any:
        """Makes the `State` before the first look, of NumPy arrays."""

    @abc.abstractmethod
    def go_on(self, model: Differentiable, batch: Batch, state: Any, epsilon: np.float32) -> Any:
        """Attacks a batch while it `goes_on`, from a `State` to another."""

    def __call__(
        self,
        model: Differentiable,
        split: Split,
        *,
        epsilon: float,
        numbers: np.ndarray | None = None,
        batch_size: int,
        name: str,
    ) -> Attacked:
        """Attacks images of a split; those that mislead the model stay as they are from then on.

        Args:
            model: With what the attack looks at.
            split: uint8 images and labels.
            epsilon: Radius of the ball, positive, where grey levels go from 0 to 1.
            numbers: Of the images that are attacked; None stands for all.
            batch_size: Images that are attacked at once, at most.
            name: For the progress bar.

        Returns:
            For each image the first that misleads the model, or else the one of greatest loss.

        Raises:
            ValueError: if the model lacks what the attack looks at.
            UserError: if logits of an image on the way are NaN or infinite.
        """

        def one_batch(images, labels, chosen):
            # Those that fill a batch repeat the one before.
            counted = np.append(True, chosen[1:] != chosen[:-1])
            return self._attack(
                model, Batch(np.asarray(images), labels, chosen, counted), np.float32(epsilon)
            )

        *found, finite = in_batches(one_batch, split, numbers, batch_size=batch_size, name=name)
        check_finite(finite, name)
        return Attacked(*found)

    def _attack(self, model, batch, epsilon):
        """Attacks a batch, and what is left of it in smaller ones."""
        state, places = self.begin(batch.images), np.arange(len(batch.labels))
        found = jax.tree.map(np.array, state.found())
        while True:
            state = jax.device_get(self.go_on(model, batch, state, epsilon))
            for whole, part in zip(found, state.found(), strict=True):
                whole[places[batch.counted]] = part[batch.counted]
            standing = np.flatnonzero(_stands(batch, state))
            if state.looks >= self.looks or not len(standing):
                return found
            order = np.arange(fitting(len(standing), len(places)))
            chosen = standing[np.minimum(order, len(standing) - 1)]
            places, batch, state = _take((places, batch, state), chosen)
            batch = batch._replace(counted=order < len(standing))


def _take(tree, chosen):
    """Takes images of arrays `[batch, ...]`; scalars are those of all images."""
    return jax.tree.map(lambda leaf: leaf[chosen] if np.ndim(leaf) else leaf, tree)
