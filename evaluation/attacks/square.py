"""Square attack: a random search that needs no gradient.

Andriushchenko, Croce, Flammarion and Hein, "Square attack: a query-efficient black-box adversarial
attack via random search" (2020), for the largest change of a pixel. It begins with vertical stripes
of plus and minus the radius; each query sets a random square, in every channel, to one of the two,
and a change is kept if it raises the margin. The squares shrink over the queries.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from evaluation.attacks.balls import project
from evaluation.attacks.iterated import Batch, Found, IteratedAttack, goes_on
from evaluation.attacks.losses import margin
from evaluation.attacks.search import choose
from evaluation.model import Differentiable
from evaluation.perturbations.curve import SEED

FIRST_SHARE = 0.8
"""Of an image's pixels that the first squares cover."""
# The share is halved at each of these, in queries of the 10,000 that the paper's schedule is of.
_HALVINGS = np.array([10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000])
_SCHEDULE = 10_000


class _Best(NamedTuple):
    """Images of the largest margin so far; see `Batch` for the arrays."""

    images: Float[Any, "batch height width channels"]
    margin: Float[Any, "batch"]
    misled: Bool[Any, "batch"]
    finite: Bool[Any, "batch"]


class _Search(NamedTuple):
    """State of the attack: queries that have been made, and the best images."""

    looks: Int[Any, ""]
    best: _Best

    def found(self) -> Found:
        """Returns the best images; all are `without_gradient`, as none is asked for."""
        best, no = self.best, np.zeros(len(self.best.misled), bool)
        return Found(best.images, best.misled, ~no, no, best.finite)


@dataclasses.dataclass(frozen=True)
class Square(IteratedAttack):
    """The Square attack in the norm "inf".

    Attributes:
        queries: Of the model for each image, at least 1.
    """

    queries: int

    @property
    def looks(self) -> int:
        """Counts the queries."""
        return self.queries

    def begin(self, images: np.ndarray) -> _Search:
        """Makes the state before the first query, that of the stripes."""
        return _before_the_stripes(images)

    def go_on(
        self, model: Differentiable, batch: Batch, state: _Search, epsilon: np.float32
    ) -> _Search:
        """Asks, up to the last query or until the batch is too large."""
        queries = np.int32(self.queries)
        return _ask(model.logits, model.variables, batch, state, epsilon, queries)


def _before_the_stripes(images):
    """Makes a state of which any query is better than the best."""
    count = len(images)
    lowest, no = np.full(count, np.float32(-np.inf)), np.zeros(count, bool)
    return _Search(np.int32(0), _Best(images, lowest, misled=no, finite=~no))


@functools.partial(jax.jit, static_argnums=0)
def _ask(
    scores: Callable[[Any, Any], Any],
    variables: Any,
    batch: Batch,
    state: _Search,
    epsilon: Float[Array, ""],
    queries: Int[Array, ""],
) -> _Search:
    """Attacks a batch while it `goes_on`; the other arguments are those of a `Square`."""
    images, labels, numbers, _ = batch
    stripes = jax.vmap(lambda key: _draw_stripes(key, images.shape[1:]))(_keys(numbers, 0))

    def look(candidates):
        logits = scores(variables, candidates)
        misled = jnp.argmax(logits, axis=-1) != labels
        return _Best(
            candidates, margin(logits, labels), misled, jnp.all(jnp.isfinite(logits), axis=-1)
        )

    def ask(state):
        query, best = state
        keys = _keys(numbers, query)
        side = _side(query, queries, images.shape)
        square = jax.vmap(lambda key: _draw_square(key, images.shape[1:], side))(keys)
        # Twice the radius: from anywhere in the ball to its edge.
        change = jnp.where(query == 0, stripes, 2.0 * square)
        there = look(project(best.images + epsilon * change, images, epsilon, "inf"))
        settled = best.misled | ~best.finite
        better = ~settled & (there.misled | ~there.finite | (there.margin > best.margin))
        return _Search(query + 1, choose(better, there, best))

    return jax.lax.while_loop(lambda state: goes_on(batch, state, queries), ask, state)


def _keys(numbers, query):
    """Makes a key for each image of a query, by the numbers of both alone."""
    seed = jax.random.fold_in(jax.random.key(SEED), query)
    return jax.vmap(lambda number: jax.random.fold_in(seed, number))(numbers)


def _side(query, queries, shape):
    """Finds the side of a query's squares, in pixels: at least 1, at most the image's shorter."""
    halvings = jnp.sum(query * _SCHEDULE // queries > _HALVINGS)
    share = FIRST_SHARE / 2.0**halvings
    side = jnp.round(jnp.sqrt(share * shape[1] * shape[2])).astype(jnp.int32)
    return jnp.clip(side, 1, min(shape[1:3]))


def _draw_stripes(key, shape):
    """Draws a sign for each column and channel, `[1, width, channels]`."""
    return jax.random.rademacher(key, (1, *shape[1:]), jnp.float32)


def _draw_square(key, shape, side):
    """Draws a sign for each channel within a random square; zero outside."""
    row_key, column_key, sign_key = jax.random.split(key, 3)
    top = jax.random.randint(row_key, (), 0, shape[0] - side + 1)
    left = jax.random.randint(column_key, (), 0, shape[1] - side + 1)
    rows, columns = jnp.arange(shape[0]) - top, jnp.arange(shape[1]) - left
    inside = ((rows >= 0) & (rows < side))[:, None] & ((columns >= 0) & (columns < side))
    return inside[..., None] * jax.random.rademacher(sign_key, (1, 1, shape[2]), jnp.float32)
