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

from data.dataset import Split
from evaluation.attacks.balls import Images, project
from evaluation.attacks.losses import margin
from evaluation.attacks.search import Attacked, check_finite, choose, in_batches
from evaluation.model import Differentiable
from evaluation.perturbations.curve import SEED

FIRST_SHARE = 0.8
"""Of an image's pixels that the first squares cover."""
# The share is halved at each of these, in queries of the 10,000 that the paper's schedule is of.
_HALVINGS = np.array([10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000])
_SCHEDULE = 10_000


@dataclasses.dataclass(frozen=True)
class Square:
    """The Square attack in the norm "inf".

    Attributes:
        queries: Of the model for each image, at least 1.
    """

    queries: int

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
            model: Only its logits are read.
            split: uint8 images and labels.
            epsilon: Radius of the ball, positive, where grey levels go from 0 to 1.
            numbers: Of the images that are attacked; None stands for all.
            batch_size: Images that are attacked at once, at most.
            name: For the progress bar.

        Returns:
            For each image the one of the largest margin; all are `without_gradient`, as none is
            asked for.

        Raises:
            UserError: if logits of an image on the way are NaN or infinite.
        """

        def one_batch(images, labels, chosen):
            return _search(
                model.logits,
                model.variables,
                images,
                labels,
                chosen,
                np.float32(epsilon),
                np.int32(self.queries),
            )

        found, misled, finite = in_batches(
            one_batch, split, numbers, batch_size=batch_size, name=name
        )
        check_finite(finite, name)
        return Attacked(found, misled, np.ones_like(misled), np.zeros_like(misled))


class _Best(NamedTuple):
    """Images of the largest margin so far."""

    images: Images
    margin: Float[Array, "batch"]
    misled: Bool[Array, "batch"]
    finite: Bool[Array, "batch"]


@functools.partial(jax.jit, static_argnums=0)
def _search(
    scores: Callable[[Any, Any], Any],
    variables: Any,
    images: Images,
    labels: Int[Array, "batch"],
    numbers: Int[Array, "batch"],
    epsilon: Float[Array, ""],
    queries: Int[Array, ""],
) -> tuple[Array, Array, Array]:
    """Attacks a batch; the arguments are those of a `Square`.

    Returns:
        Images, for each True if it misleads the model, and True if its logits are finite.
    """

    def look(candidates):
        logits = scores(variables, candidates)
        misled = jnp.argmax(logits, axis=-1) != labels
        return _Best(
            candidates, margin(logits, labels), misled, jnp.all(jnp.isfinite(logits), axis=-1)
        )

    def go_on(state):
        query, best = state
        return (query < queries) & ~jnp.all(best.misled)

    def ask(state):
        query, best = state
        keys = _keys(numbers, query)
        side = _side(query, queries, images.shape)
        change = jax.vmap(lambda key: _draw_square(key, images.shape[1:], side))(keys)
        # Twice the radius: from anywhere in the ball to its edge.
        there = look(project(best.images + 2.0 * epsilon * change, images, epsilon, "inf"))
        settled = best.misled | ~best.finite
        better = ~settled & (there.misled | ~there.finite | (there.margin > best.margin))
        return query + 1, choose(better, there, best)

    stripes = jax.vmap(lambda key: _draw_stripes(key, images.shape[1:]))(_keys(numbers, 0))
    first = look(project(images + epsilon * stripes, images, epsilon, "inf"))
    _, best = jax.lax.while_loop(go_on, ask, (jnp.int32(1), first))
    return best.images, best.misled, best.finite


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
