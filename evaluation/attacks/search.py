"""Attacks as searches through the images of a split, and their outcomes.

An attack succeeds by another prediction, not by none: logits that are NaN or infinite end it with
an error.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool
from tqdm import tqdm

from common.errors import UserError
from data.batches import normalise
from data.dataset import Split
from evaluation.model import Differentiable

SHOWN = 8
"""Images of an attack that reports show."""
MIN_BATCH = 16
"""Of images that are left over: fewer at once hardly take less time than as many."""


class Attacked(NamedTuple):
    """Attacked images.

    Attributes:
        images: `[count, height, width, channels]`, float32 in [0, 1].
        misled: `[count]`, True if the model misclassifies them.
        without_gradient: `[count]`, True if the loss, or each loss that was tried, has no gradient
            at the image itself.
        undefined_gradient: `[count]`, True if a gradient was NaN or infinite on the way.
    """

    images: np.ndarray
    misled: np.ndarray
    without_gradient: np.ndarray
    undefined_gradient: np.ndarray

    def flags(self) -> tuple[str, ...]:
        """Warns, for a `Result`, if gradients were undefined."""
        if not np.any(self.undefined_gradient):
            return ()
        return (
            f"{np.sum(self.undefined_gradient):,} of {len(self.undefined_gradient):,} images met "
            "gradients that are NaN or infinite and were not followed: the attack may be too weak",
        )


class Search(Protocol):
    """An attack on images of a split, such as `apgd.AutoPGD`."""

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
        """Attacks the images of these numbers, all for None, within a ball of a positive radius."""
        ...


class InTurn(NamedTuple):
    """Images that several attacks were made on, one after another.

    Attributes:
        attacked: All images of the split; `without_gradient` of those that no attack began with a
            gradient, `undefined_gradient` of those for which any attack met such.
        found_by: `[count]`, number of the first attack that misled the model, -1 for none.
    """

    attacked: Attacked
    found_by: np.ndarray


def attack_in_turn(
    model: Differentiable,
    split: Split,
    searches: Sequence[Search],
    epsilon: float,
    *,
    standing: np.ndarray,
    batch_size: int,
    name: str,
) -> InTurn:
    """Attacks each image in several ways, up to the first that misleads the model.

    Args:
        model: The model.
        split: uint8 images and labels.
        searches: In order, each for the images that those before it leave standing.
        epsilon: Radius of the ball.
        standing: `[count]`, True of images that are attacked; the others count as misclassified.
        batch_size: Images that are attacked at once, at most.
        name: For the progress bar.
    """
    images, misled = np.asarray(normalise(jnp.asarray(split.images))).copy(), ~standing
    still, undefined = standing.copy(), np.zeros(len(split), bool)
    found_by = np.full(len(split), -1)
    for position, search in enumerate(searches):
        numbers = np.flatnonzero(~misled)
        if not len(numbers):
            break
        found = search(
            model, split, epsilon=epsilon, numbers=numbers, batch_size=batch_size, name=name
        )
        images[numbers], misled[numbers] = found.images, found.misled
        found_by[numbers[found.misled]] = position
        still[numbers] &= found.without_gradient
        undefined[numbers] |= found.undefined_gradient
    return InTurn(Attacked(images, misled, still, undefined), found_by)


def check_finite(finite: np.ndarray, name: str) -> None:
    """Raises a `UserError` unless a model's outputs are finite for all attacked images.

    Args:
        finite: `[count]` booleans.
        name: Of the attack.
    """
    if not np.all(finite):
        raise UserError(
            f"{name}: the model's output is NaN or infinite for {np.sum(~finite):,} of "
            f"{len(finite):,} attacked images, which is no success of the attack and nothing to "
            "measure"
        )


def in_batches(
    function: Callable[..., Any],
    split: Split,
    numbers: np.ndarray | None = None,
    *,
    batch_size: int,
    name: str,
) -> list[np.ndarray]:
    """Applies a function of batches to images of a split.

    Args:
        function: From images in [0, 1], their labels and their numbers to a tuple of batches.
        split: uint8 images and labels.
        numbers: Of the images, at least one and none of them twice; None stands for all.
        batch_size: Images per call, at most; the last call has the smallest size that is `fitting`.
        name: For the progress bar.

    Returns:
        Each member of the tuple, `[count, ...]`.
    """
    numbers = np.arange(len(split)) if numbers is None else numbers
    count, parts = len(numbers), []
    batch_size = min(batch_size, len(split))
    with tqdm(total=count, desc=name, unit="img", leave=False, disable=None) as bar:
        for start in range(0, count, batch_size):
            # The last batch repeats an image, so that few programs do for all.
            end = start + fitting(min(batch_size, count - start), batch_size)
            chosen = numbers[np.minimum(np.arange(start, end), count - 1)]
            images = normalise(jnp.asarray(split.images[chosen]))
            parts.append(jax.device_get(function(images, split.labels[chosen], chosen)))
            bar.update(min(batch_size, count - start))
    return [np.concatenate(column)[:count] for column in zip(*parts, strict=True)]


def fitting(count: int, batch_size: int) -> int:
    """Finds the size of the smallest batch for so many images, at least one.

    Sizes are `batch_size` and, from `MIN_BATCH` on, the powers of two below, so that there are only
    as many programs to compile.
    """
    return min(max(1 << (count - 1).bit_length(), MIN_BATCH), batch_size)


def next_smaller(size: int) -> int:
    """Finds the size of batches below one; 0 if there is none."""
    power = 1 << (size - 1).bit_length() >> 1
    return power if power >= MIN_BATCH else 0


def choose(chosen: Bool[Array, "batch"], first: Any, second: Any) -> Any:
    """Takes each image's part of the first tree where chosen, else that of the second."""

    def one(new, old):
        return jnp.where(chosen.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

    return jax.tree.map(one, first, second)
