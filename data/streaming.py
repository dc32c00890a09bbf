"""Training images on the device: a whole split, or those of a few steps at a time.

A window holds the stored images of consecutive steps in the order in which these take them, the
same function of (seed, k) as in a split on the device: a step finds its batch at its own place in
the window, and augments it as it would there. Weights are the same, bit for bit. The next window is
gathered in threads while the device learns from the one before.
"""

import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from common.limits import MAX_WHOLE
from data.batches import Batch, DeviceSplit, batch_key, epoch_order, steps_per_epoch
from data.dataset import Split

# Bytes of a window; up to three of them are in memory.
_WINDOW = 1 << 26
# The most steps of a window, however small their images.
_MAX_STEPS = 200
# Threads that wait for the disk.
_READERS = 8


_Stored = tuple[np.ndarray, np.ndarray]


class Streamed(Protocol):
    """A dataset whose batches can be drawn in two parts: which images, and what becomes of them."""

    def choose(
        self, key: Key[Array, ""], labels: Int[Array, "count"], chosen: Int[Array, "batch"]
    ) -> Int[Array, "batch"]:
        """The numbers of a batch's images, out of those whose turn it is in the epoch's order."""
        ...

    def augment(self, key: Key[Array, ""], images: Array, labels: Int[Array, "batch"]) -> Batch:
        """A batch of the stored images."""
        ...


class Resident:
    """The images of every step: a whole split."""

    def __init__(self, split: DeviceSplit):
        self._split = split

    def at(self, step: int) -> DeviceSplit:
        """The split."""
        return self._split

    def left(self, step: int) -> int:
        """The number of steps from this one on whose images are there: as many as there can be."""
        return MAX_WHOLE

    def close(self) -> None:
        """Does nothing, for there is nothing to end."""


class Windows:
    """The images of one step after another, of a split that need not fit into memory.

    Args:
        split: Images that are mapped into memory, with one label each.
        dataset: Decides which of them a batch has.
        key: The run's data key.
        batch_size: Images in a batch.
        put: Brings images and labels to the devices.
        size: Bytes of a window, which has one batch at least.
    """

    def __init__(
        self,
        split: Split,
        dataset: Streamed,
        key: Key[Array, ""],
        *,
        batch_size: int,
        put: Callable[[np.ndarray, np.ndarray], DeviceSplit],
        size: int = _WINDOW,
    ):
        self._split, self._batch_size, self._put = split, batch_size, put
        self._epoch_length = steps_per_epoch(len(split), batch_size)
        batch = batch_size * split.images[0].nbytes
        self.steps = int(np.clip(size // batch, 1, _MAX_STEPS))
        order, labels = jax.jit(epoch_order, static_argnums=2), jnp.asarray(split.labels)
        self._order = functools.lru_cache(2)(lambda e: np.asarray(order(key, e, len(split))))
        self._choose = jax.jit(
            jax.vmap(lambda step, turn: dataset.choose(batch_key(key, step), labels, turn))
        )
        self._ahead, self._readers = ThreadPoolExecutor(1), ThreadPoolExecutor(_READERS)
        self._next: tuple[int, Future[_Stored]] | None = None
        self._here: tuple[int, DeviceSplit] | None = None

    def at(self, step: int) -> DeviceSplit:
        """The window of a step on the device; the one after it is begun."""
        number = step // self.steps
        if self._here is None or self._here[0] != number:
            gathered = self._begin(number)
            self._here = None  # so that no more than the last steps' and this one are there
            self._here = number, self._put(*gathered.result())
            self._next = number + 1, self._begin(number + 1)
        return self._here[1]

    def left(self, step: int) -> int:
        """The number of steps from this one on whose images are in its window."""
        return self.steps - step % self.steps

    def close(self) -> None:
        """Ends the threads."""
        for threads in (self._ahead, self._readers):
            threads.shutdown(cancel_futures=True)

    def numbers(self, window: int) -> Int[np.ndarray, "steps batch"]:
        """The numbers of the images of every step of a window, within the split."""
        steps = np.arange(window * self.steps, (window + 1) * self.steps, dtype=np.int32)
        turns = []
        for epoch, place in zip(*np.divmod(steps, self._epoch_length), strict=True):
            start = place * self._batch_size
            turns.append(self._order(epoch)[start : start + self._batch_size])
        return np.asarray(self._choose(steps, np.stack(turns)))

    def _begin(self, window: int) -> Future[_Stored]:
        if self._next is not None and self._next[0] == window:
            return self._next[1]
        return self._ahead.submit(self._gather, window)

    def _gather(self, window: int) -> _Stored:
        numbers = self.numbers(window)
        images = np.empty((*numbers.shape, *self._split.images.shape[1:]), np.uint8)

        def read(step: int) -> None:
            # Without the check that would have it write into another array first.
            np.take(self._split.images, numbers[step], axis=0, out=images[step], mode="clip")

        list(self._readers.map(read, range(len(numbers))))
        return images.reshape(-1, *images.shape[2:]), self._split.labels[numbers.reshape(-1)]
