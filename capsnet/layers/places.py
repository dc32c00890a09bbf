"""Windows of a map of capsules: what output capsules look at, and compete for."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


class Windows:
    """The windows of a convolution over a map, one for each place of the output.

    Args:
        size: Height and width of the map, padded if it is.
        kernel_size: Of a window, along both sides.
        strides: Between windows, along both sides.

    Raises:
        ValueError: if the map is smaller than a window.
    """

    def __init__(self, size: Sequence[int], kernel_size: int, strides: int):
        if min(size) < kernel_size:
            raise ValueError(
                f"a map of {size[0]}x{size[1]} capsules is too small for kernel_size={kernel_size}"
            )
        self.size = tuple(size)
        self.out_size = tuple((side - kernel_size) // strides + 1 for side in size)
        self._kernel_size = kernel_size
        self._strides = strides

    def take(
        self, values: Float[Array, "batch height width *rest"]
    ) -> Float[Array, "batch out_height out_width window *rest"]:
        """The values in each window, its places row by row."""
        return jnp.stack([values[:, *window] for window in self._slices()], axis=3)

    def softmax(
        self, logits: Float[Array, "batch out_height out_width window types out"]
    ) -> Float[Array, "batch out_height out_width window types out"]:
        """Softmax over all output capsules whose windows an input capsule is in, of all places.

        Section 2.1 of Hinton, Sabour and Frosst, "Matrix capsules with EM routing" (2018): parents
        at other places compete for a child as those of other types do.
        """
        largest = lax.stop_gradient(jnp.max(logits, axis=-1))
        highest = self._gathered(largest, jnp.full((), -jnp.inf, logits.dtype), "max")
        weights = jnp.exp(logits - lax.stop_gradient(self.take(highest))[..., None])
        totals = self.add(jnp.sum(weights, axis=-1))
        return weights / self.take(totals)[..., None]

    def add(
        self, values: Float[Array, "batch out_height out_width window *rest"]
    ) -> Float[Array, "batch height width *rest"]:
        """The sum of what all windows hold of each place of the map."""
        return self._gathered(values, jnp.zeros((), values.dtype), "add")

    def _gathered(self, values, start, how):
        """What the windows hold of each place of the map, added up or the largest."""
        batch, _, _, _, *rest = values.shape
        found = jnp.full((batch, *self.size, *rest), start)
        for number, window in enumerate(self._slices()):
            found = getattr(found.at[:, *window], how)(values[:, :, :, number])
        return found

    def _slices(self):
        for row in range(self._kernel_size):
            for column in range(self._kernel_size):
                yield tuple(
                    slice(first, first + self._strides * (count - 1) + 1, self._strides)
                    for first, count in zip((row, column), self.out_size, strict=True)
                )
