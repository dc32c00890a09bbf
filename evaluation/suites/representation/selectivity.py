"""Selectivity: change of predictions by scrambles of an image against that by a small affine map.

An image is scrambled, its quadrants or the blocks of a four by four grid exchanged at random, and,
on its own, mapped by a small affine map. A good classifier changes its prediction in the first case
and keeps it in the second. The change of an image is the total variation distance between the
probabilities before and after, from 0 to 1; selectivity is the mean change by the scramble over the
mean change by the small map. Probabilities that are never close to 0 or 1, such as the shares of
capsules' lengths, change a little under any map, and the ratio is small whatever the predictions:
read it with the predictions that changed, which do not depend on confidence.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from data.dataset import Dataset, Split
from evaluation.applicability import NotApplicable
from evaluation.metrics.classification import MAX_DRAWN_CLASSES
from evaluation.model import (
    PROBABILITIES,
    Predict,
    as_predictor,
    predict_all,
    predict_split,
    probability_field,
    to_probabilities,
)
from evaluation.perturbations.affine import SAMPLING, Image, move, turn
from evaluation.perturbations.curve import SEED, distort_all, show_one
from evaluation.results.artifacts import ConfusionMatrix
from evaluation.results.quantities import Metric
from evaluation.results.result import Result, mean, rate
from evaluation.statistics.intervals import NOT_NEGATIVE, paired_interval

SUITE = "selectivity"
REQUIRES = ("images",)
PASSES = 3
SMALL = "small map"
# A prediction should survive the small map. A scramble has no better side: what is left of an image
# after one may still be of its class, or of any other.
PREDICTIONS_CHANGED = {
    SMALL: Metric("predictions changed", higher_is_better=False),
    **dict.fromkeys(("quadrants", "blocks"), Metric("predictions changed")),
}
PROBABILITIES_CHANGED = {
    SMALL: Metric("change of the probabilities", higher_is_better=False),
    **dict.fromkeys(("quadrants", "blocks"), Metric("change of the probabilities")),
}
# A ratio that a less confident model lowers, whatever it predicts.
SELECTIVITY = Metric("selectivity", "times", bounds=NOT_NEGATIVE)
# Of the small map: degrees, slant, share of the size, pixels; uniform, either way.
_ROTATION, _SHEAR, _SCALE, _SHIFT = 5.0, 0.05, 0.05, 1.0
# Below the resolution of float32.
_EPS = 1e-6


def scramble(image: Image, key, side: int) -> Image:
    """Exchanges the blocks of a grid at random, so that no block stays where it was.

    Args:
        image: Rows and columns beyond a multiple of the side stay as they are.
        key: Decides where blocks go.
        side: Blocks along each axis of the grid.
    """
    height, width = image.shape[0] // side, image.shape[1] // side
    whole = image[: side * height, : side * width]
    blocks = whole.reshape(side, height, side, width, -1).swapaxes(1, 2)
    blocks = blocks.reshape(side * side, height, width, -1)
    # One cycle through all of the blocks moves every one of them.
    cycle = jax.random.permutation(key, side * side)
    blocks = blocks.at[jnp.roll(cycle, 1)].set(blocks[cycle])
    blocks = blocks.reshape(side, side, height, width, -1).swapaxes(1, 2)
    return image.at[: side * height, : side * width].set(blocks.reshape(whole.shape))


def _small_map(image, key, _):
    angle, slant, x_scale, y_scale, *shift = jax.random.uniform(key, (6,), minval=-1.0, maxval=1.0)
    sheared = jnp.stack(
        [
            jnp.stack([1.0 + _SCALE * x_scale, _SHEAR * slant]),
            jnp.stack([jnp.zeros(()), 1.0 + _SCALE * y_scale]),
        ]
    )
    matrix = jnp.matmul(turn(_ROTATION * angle), sheared, precision=lax.Precision.HIGHEST)
    return move(image, matrix, _SHIFT * jnp.stack(shift))


SCRAMBLES = {
    "quadrants": lambda image, key, _: scramble(image, key, 2),
    "blocks": lambda image, key, _: scramble(image, key, 4),
}
CHANGES = {SMALL: _small_map, **SCRAMBLES}


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures changes of the predictions, and selectivity for each scramble.

    The probabilities are the model's own, brought to a sum of one, or the softmax of its logits.

    Raises:
        NotApplicable: for images of fewer than four pixels along an axis.
    """
    test, model = dataset.test, as_predictor(predict)
    if min(test.images.shape[1:3]) < 4:
        raise NotApplicable("images of fewer than 4 pixels along an axis have no 4 blocks there")
    field = probability_field(model)
    how = {"batch_size": batch_size, "name": SUITE}

    def shares(outputs):
        probabilities = to_probabilities(field, outputs)
        return _shares(probabilities) if field == PROBABILITIES else probabilities

    before = shares(predict_split(model, test, field, **how)[field])
    after = {
        name: shares(predict_all(model.field(field), distort_all(change, test.images, None), **how))
        for name, change in CHANGES.items()
    }
    return list(_results(before, after, dataset))


def _shares(confidences: np.ndarray) -> np.ndarray:
    total = np.sum(confidences, axis=-1, keepdims=True)
    return confidences / np.maximum(total, np.finfo(np.float32).tiny)


def _results(before: np.ndarray, after: dict[str, np.ndarray], dataset: Dataset):
    test = dataset.test
    distances = {name: np.sum(np.abs(p - before), axis=-1) / 2.0 for name, p in after.items()}
    for name, probabilities in after.items():
        predictions = np.argmax(probabilities, axis=-1)
        matrix = ()
        if name != SMALL and dataset.num_classes <= MAX_DRAWN_CLASSES:
            matrix = (ConfusionMatrix.of(test.labels, predictions, dataset.num_classes),)
        yield rate(
            SUITE,
            PREDICTIONS_CHANGED[name],
            predictions != np.argmax(before, axis=-1),
            test,
            condition=name,
            definition=_definition(),
            artifacts=matrix,
        )
    for name, each in distances.items():
        yield _change(name, each.astype(np.float32), test)
    yield from _ratios(distances, test)


def _change(name: str, distances: np.ndarray, test: Split) -> Result:
    return mean(
        SUITE,
        PROBABILITIES_CHANGED[name],
        distances,
        test,
        condition=name,
        definition=_definition(),
    )


def _ratios(distances: dict[str, np.ndarray], test: Split) -> Iterator[Result]:
    for name in SCRAMBLES:
        pair = (distances[name], distances[SMALL])
        yield Result(
            suite=SUITE,
            metric=SELECTIVITY,
            value=selectivity(*pair),
            interval=paired_interval(selectivity, *pair),
            interval_method="paired bootstrap 95 %",
            count=len(test),
            data_checksum=test.checksum,
            condition=name,
            definition=_definition(),
            flags=_flags(*(float(each.mean()) for each in pair)),
        )


def selectivity(scrambled: np.ndarray, moved: np.ndarray) -> float:
    """Divides the mean change by a scramble by that by a small map; 0 if a scramble does nothing.

    Args:
        scrambled: `[images]`, each image's change by the scramble.
        moved: Likewise, by the small map.
    """
    change = float(scrambled.mean())
    return 0.0 if change < _EPS else change / max(float(moved.mean()), _EPS)


def _flags(scrambled: float, moved: float) -> tuple[str, ...]:
    if max(scrambled, moved) < _EPS:
        return ("no image changes the predictions: a selectivity of 0 stands for none",)
    return ("the small map changes nothing: no ratio",) if moved < _EPS else ()


def _definition() -> dict[str, Any]:
    return {
        "scrambles": "blocks of a 2x2 and a 4x4 grid, every block elsewhere",
        "small map": f"rotation {_ROTATION} degrees, shear {_SHEAR}, scales of each axis {_SCALE}, "
        f"shifts {_SHIFT} px, uniform, either way",
        "grey levels": "rounded to 1/255",
        "seed": SEED,
        **SAMPLING,
    }


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images, changed in each way; nothing of images that the suite does not apply to."""
    if min(images.shape[1:3]) < 4:
        return {}
    return {name: show_one(change, images, None) for name, change in CHANGES.items()}
