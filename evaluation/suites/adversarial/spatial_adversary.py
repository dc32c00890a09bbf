"""Robust accuracy against an adversary who rotates and shifts every image at will.

Attack of Engstrom et al. (2019), "Exploring the landscape of spatial robustness": rotations
and translations within limits, drawn at random or on a grid, chosen for each image on its own. The
untouched image is not among the random tries; it is on the grid.
"""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset, Split
from evaluation.metrics.classification import ROBUST_ACCURACY
from evaluation.model import Predict, predict_all
from evaluation.perturbations.affine import SAMPLING, move, turn
from evaluation.perturbations.curve import SEED, distort_all, show_one
from evaluation.results.quantities import Axis
from evaluation.results.result import Result, rate

REQUIRES = ("images",)
PASSES = 100
LIMITS = (3.0, 3.0, 30.0)
"""Largest shift in x and in y, in pixels, and largest angle, in degrees, either way."""
TRIES = 10
TRIED = Axis("k", "places tried", headline=float(TRIES))
_GRID_POINTS = (5, 5, 31)
# While fewer images withstand, several tries go into each call of the model.
_BATCHES_AT_ONCE = 4

_DEFINITION = {
    "limits": "3 pixels along x and y, 30 degrees about the centre, then shifted",
    "chosen": "for each image",
    "grey levels": "rounded to 1/255",
    **SAMPLING,
}


def at(image, key, place):
    """Rotates an image about its centre and shifts it; a place is (x, y, degrees)."""
    return move(image, turn(place[2]), place[:2])


def at_random(image, key, number):
    """Moves an image to the random place of that number; each image has its own."""
    key = jax.random.fold_in(key, number.astype(jnp.int32))
    return at(image, key, jax.random.uniform(key, (3,), minval=-1.0) * jnp.array(LIMITS))


def grid() -> np.ndarray:
    """Lists the places of the grid, `[775, 3]`, far ones first, for they fool most."""
    axes = [
        np.linspace(-limit, limit, points)
        for limit, points in zip(LIMITS, _GRID_POINTS, strict=True)
    ]
    places = np.array(list(itertools.product(*axes)))
    distance = np.sum(np.abs(places) / LIMITS, axis=1)
    return places[np.argsort(-distance, kind="stable")]


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures the share of images that the model classifies correctly at all places that it tries.

    An image that is misled once is not tried again, so the cost is far below that of all tries.

    Returns:
        The worst of k random places for k = 1 to 10, nested, and of the grid of 5 x 5 shifts and
        31 angles.
    """
    test = dataset.test

    def attack(distort, tries, name):
        return first_success(distort, tries, predict, test, batch_size=batch_size, name=name)

    drawn = attack(at_random, np.arange(TRIES), "worst of 10")
    searched = attack(at, grid(), "worst on the grid")
    random = {
        **_DEFINITION,
        "places": "uniform within the limits",
        "seed": SEED,
    }
    return [
        _robust(
            drawn >= tries,
            test,
            condition="random places",
            axis=TRIED,
            strength=float(tries),
            definition=random,
        )
        for tries in range(1, TRIES + 1)
    ] + [
        _robust(
            searched >= len(grid()),
            test,
            condition="grid",
            definition={**_DEFINITION, "places": "5 x 5 x 31, evenly, the identity included"},
        )
    ]


def _robust(hits, split, **facts):
    return rate("spatial_adversary", ROBUST_ACCURACY, hits, split, **facts)


def first_success(
    distort: Callable[..., Any],
    tries: np.ndarray,
    predict: Predict,
    split: Split,
    *,
    batch_size: int,
    name: str,
) -> np.ndarray:
    """Finds the first try that fools the model, for each image.

    Args:
        distort: See `evaluation.perturbations.curve.Distort`; its strength is a try.
        tries: `[tries, ...]`, in this order.
        predict: The model.
        split: Images and labels.
        batch_size: Images per call of `predict`.
        name: For the progress bar.

    Returns:
        `[count]` numbers of tries, from 0; where none fools the model, how many there are.
    """
    misled_at = np.full(len(split), len(tries))
    standing, done = np.arange(len(split)), 0
    while done < len(tries) and len(standing):
        room = _BATCHES_AT_ONCE * batch_size // len(standing)
        together = tries[done : done + max(1, room)]
        numbers = np.repeat(standing, len(together))
        strengths = together[np.tile(np.arange(len(together)), len(standing))]
        images = distort_all(distort, split.images[numbers], strengths, numbers=numbers)
        logits = predict_all(predict, images, batch_size=batch_size, name=name)
        wrong = np.argmax(logits, axis=-1) != split.labels[numbers]
        wrong = wrong.reshape(len(standing), len(together))
        fell = wrong.any(axis=1)
        misled_at[standing[fell]] = done + wrong[fell].argmax(axis=1)
        standing = standing[~fell]
        done += len(together)
    return misled_at


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images at each of their random places, and at opposite corners of the grid."""
    drawn = {f"random place {k + 1}": show_one(at_random, images, k) for k in range(TRIES)}
    corners = {
        "grid, up left, clockwise": (-3.0, -3.0, -30.0),
        "grid, down right, counter-clockwise": (3.0, 3.0, 30.0),
    }
    place = {name: np.tile(corner, (len(images), 1)) for name, corner in corners.items()}
    return drawn | {name: show_one(at, images, places) for name, places in place.items()}
