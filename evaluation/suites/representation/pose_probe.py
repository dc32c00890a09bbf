"""Linear probe of an image's pose in the features that a prediction is made from.

Validation and test images are rotated, shifted and scaled at random, and a ridge probe (see
`evaluation.metrics.probes`) is fitted to the features of the validation images: a network's last
hidden layer, or the capsule of the predicted class. R2 is that of test images. A model may keep the
pose of each class in coordinates of its own, as capsules do, and one map for all classes would miss
it; "within classes" there is a probe for each predicted class.

Vectors of many numbers hold more than short ones, whatever they represent. So each R2 is measured
twice: from all features, and from the 16 principal components of the features of the validation
images, as many as a class capsule has, the shortest vector here. The control is the same probe of
the pixels themselves, of all of them and of 16 components: a representation has made poses easier
to read where it is above its pixels.

Each value has as details the R2 from pixels, and that of another control: the mean over 20 shuffles
of the targets among the validation images, which are predicted by chance alone. More R2 means more
of the pose in the features; a classifier may well do without it.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset, Split
from evaluation.applicability import NotApplicable
from evaluation.metrics.probes import (
    explained,
    fit_probe,
    fit_probes_within,
    fit_projection,
    predict_within,
)
from evaluation.model import Predictor, predict_all
from evaluation.perturbations.affine import SAMPLING, move, turn
from evaluation.perturbations.curve import SEED, distort_all, show_one
from evaluation.results.quantities import Detail, Metric
from evaluation.results.result import Result, mean

SUITE = "pose_probe"
REQUIRES = ("images", "features")
PASSES = 11
R2 = Metric("R2", "", higher_is_better=True, bounds=(-math.inf, 1.0))
R2_WITHIN = Metric("R2 within classes", "", higher_is_better=True, bounds=(-math.inf, 1.0))
TARGETS = ("angle", "shift in x", "shift in y", "log of scale")
_LIMITS = np.array([np.deg2rad(30.0), 3.0, 3.0, 0.2], np.float32)
# Validation images have keys of their own, apart from those of test images.
FIRST_VALIDATION = 1_000_000
EQUAL = 16
"""Principal components that all representations are brought to."""
_MIN_FITTED = 50
# A single shuffle may have an R2 above 0 by chance, where few features hold all of the pose.
_SHUFFLES = 20
_MAX_STANDARD_ERRORS = 4.0


def draw_pose(key):
    """Draws a pose: angle in radians, shifts in pixels, logarithm of the scale."""
    return jax.random.uniform(key, (4,), minval=-1.0, maxval=1.0) * _LIMITS


def distort(image, key, _):
    """Moves an image to the pose of its key; see `evaluation.perturbations.curve.Distort`."""
    angle, x, y, log_scale = draw_pose(key)
    matrix = jnp.exp(log_scale) * turn(jnp.rad2deg(angle))
    return move(image, matrix, jnp.stack([x, y]))


def poses(numbers: np.ndarray) -> np.ndarray:
    """Draws the poses of the images of these numbers: `[images, 4]`, in the order of `TARGETS`."""
    seed = jax.random.key(SEED)
    return np.asarray(jax.vmap(lambda number: draw_pose(jax.random.fold_in(seed, number)))(numbers))


def in_poses(split: Split, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Moves a split's images to the poses of their numbers, from `first` on; returns both."""
    numbers = first + np.arange(len(split))
    return distort_all(distort, split.images, None, numbers=numbers), poses(numbers)


def check_enough(dataset: Dataset) -> None:
    """Raises a `NotApplicable` if there are too few images to fit a probe to or to measure."""
    if len(dataset.validation) < _MIN_FITTED:
        found = len(dataset.validation)
        raise NotApplicable(
            f"{found} validation images are too few for a probe; {_MIN_FITTED} are not"
        )
    if len(dataset.test) < 2:
        raise NotApplicable("the pose of a single test image does not vary")


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures R2 of angle, shifts and logarithm of the scale, over all classes and within them.

    Returns:
        Eight results from all features, and eight from as many components for every model.

    Raises:
        NotApplicable: for fewer than 50 validation images or two test images, whose poses then do
            not vary.
    """
    check_enough(dataset)

    def read(split: Split, first: int):
        images, targets = in_poses(split, first)
        found = predict_all(
            lambda batch: dict(predict.outputs(batch, "logits", "features")),
            images,
            batch_size=batch_size,
            name=SUITE,
        )
        pixels = images.reshape(len(split), -1) / 255.0
        return np.argmax(found["logits"], axis=-1), found["features"], pixels, targets

    fitted_on, tested_on = read(dataset.validation, FIRST_VALIDATION), read(dataset.test, 0)
    return list(_results(fitted_on, tested_on, dataset.test))


def _results(fitted_on, tested_on, test: Split) -> Iterator[Result]:
    predictions, vectors, pixels, targets = fitted_on
    test_predictions, test_vectors, test_pixels, truth = tested_on
    random = np.random.default_rng(SEED)
    # One decomposition suffices for all of them.
    wanted = np.hstack([targets, *(random.permutation(targets) for _ in range(_SHUFFLES))])
    truths = np.tile(truth, 1 + _SHUFFLES)

    def contributions(features, test_features):
        """Computes those of each test image to R2, of one probe and of probes within classes."""
        probe = fit_probe(features, wanted)
        probes = fit_probes_within(predictions, features, wanted)
        within = predict_within(probes, probe, test_predictions, test_features)
        return [explained(truths, each) for each in (probe(test_features), within)]

    for size, bring in (("", lambda *both: both), (f"{EQUAL} components", _components)):
        for metric, found, of_pixels in zip(
            (R2, R2_WITHIN),
            contributions(*bring(vectors, test_vectors)),
            contributions(*bring(pixels, test_pixels)),
            strict=True,
        ):
            for number, target in enumerate(TARGETS):
                yield _result(
                    metric,
                    ", ".join(filter(None, (target, size))),
                    found[:, number :: len(TARGETS)],
                    float(of_pixels[:, number].mean()),
                    definition(len(targets)) | ({"features": size} if size else {}),
                    test,
                )


def _components(features: np.ndarray, test_features: np.ndarray) -> tuple[np.ndarray, ...]:
    """Projects features onto the principal components of those that a probe is fitted to."""
    project = fit_projection(features, EQUAL)
    return project(features), project(test_features)


def _result(metric, condition, contributions, of_pixels, definition, test: Split) -> Result:
    """Makes the result of `[images, 1 + shuffles]` contributions to R2."""
    outcomes = np.asarray(contributions[:, 0], np.float32)
    shuffled = contributions.mean(axis=0)[1:]
    error = float(np.std(shuffled, ddof=1)) / len(shuffled) ** 0.5
    leaks = float(np.mean(shuffled)) > _MAX_STANDARD_ERRORS * error
    return mean(
        SUITE,
        metric,
        outcomes,
        test,
        details={
            "shuffled targets": Detail(float(np.mean(shuffled)), metric.unit),
            "from pixels": Detail(of_pixels, metric.unit),
        },
        condition=condition,
        definition=definition,
        chance=0.0,
        flags=("shuffled targets are predicted too",) if leaks else (),
    )


def definition(fitted_images: int) -> dict[str, Any]:
    """Defines a probe that was fitted to so many images."""
    return {
        "largest angle, shifts, log of scale": _LIMITS.tolist(),
        "images of the probe": fitted_images,
        "seed": SEED,
        **SAMPLING,
    }


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images, each in a pose of its own."""
    return {"pose": show_one(distort, images, None)}
