"""Whether an image's pose can be read off what a model's answer comes from, by a linear map.

Validation and test images are turned, shifted and scaled at random, and a ridge probe (see
`evaluation.metrics.probes`) is fitted to the features of the validation images: a network's last
hidden layer, or the class capsule that wins. R2 is that of test images. A model may keep the pose
of each class in coordinates of its own, as capsules do, and one map for all classes would miss it;
"within classes" there is a probe for each class that the model answers.

Beside each value stand what a probe of the pixels themselves reads, and the control: the mean over
20 shuffles of the targets among the validation images, of which nothing can be read but by chance.
More R2 is not better as such: an answer that is to ignore the pose may well come from features that
have lost it.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset, Split
from evaluation.applicability import NotApplicable
from evaluation.metrics.probes import explained, fit_probe, fit_probes_within, read_within
from evaluation.model import Predictor, predict_all
from evaluation.perturbations.affine import SAMPLING, move, turn
from evaluation.perturbations.curve import SEED, distort_all, show_one
from evaluation.results.result import Result, mean

SUITE = "pose_probe"
REQUIRES = ("images", "features")
TARGETS = ("angle", "shift in x", "shift in y", "log of scale")
_LIMITS = np.array([np.deg2rad(30.0), 3.0, 3.0, 0.2], np.float32)
# Validation images have keys of their own, apart from those of test images.
FIRST_VALIDATION = 1_000_000
_FEWEST = 50
# A single shuffle may have an R2 above 0 by chance, where few features hold all of the pose.
_SHUFFLES = 20
_STANDARD_ERRORS = 4.0


def draw_pose(key):
    """A random pose: angle in radians, shifts in pixels, logarithm of the scale."""
    return jax.random.uniform(key, (4,), minval=-1.0, maxval=1.0) * _LIMITS


def distort(image, key, _):
    """An image in the pose of its key; see `evaluation.perturbations.curve.Distort`."""
    angle, x, y, log_scale = draw_pose(key)
    matrix = jnp.exp(log_scale) * turn(jnp.rad2deg(angle))
    return move(image, matrix, jnp.stack([x, y]))


def poses(numbers: np.ndarray) -> np.ndarray:
    """The pose of the images of these numbers: `[images, 4]`, in the order of `TARGETS`."""
    seed = jax.random.key(SEED)
    return np.asarray(jax.vmap(lambda number: draw_pose(jax.random.fold_in(seed, number)))(numbers))


def in_poses(split: Split, first: int) -> tuple[np.ndarray, np.ndarray]:
    """A split's images, numbered from `first`, each in the pose of its number; and the poses."""
    numbers = first + np.arange(len(split))
    return distort_all(distort, split.images, None, numbers=numbers), poses(numbers)


def check_enough(dataset: Dataset) -> None:
    """Raises a `NotApplicable` if there are too few images to fit a probe to or to measure."""
    if len(dataset.validation) < _FEWEST:
        found = len(dataset.validation)
        raise NotApplicable(f"{found} validation images are too few for a probe; {_FEWEST} are not")
    if len(dataset.test) < 2:
        raise NotApplicable("the pose of a single test image does not vary")


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """R2 of angle, shifts and logarithm of the scale, over all classes and within them.

    Returns:
        Eight results.

    Raises:
        NotApplicable: for fewer than 50 validation images or two test images, whose poses then do
            not vary.
    """
    check_enough(dataset)

    def ask(split: Split, first: int):
        images, targets = in_poses(split, first)
        found = predict_all(
            lambda batch: dict(predict.outputs(batch, "logits", "features")),
            images,
            batch_size=batch_size,
            name=SUITE,
        )
        pixels = images.reshape(len(split), -1) / 255.0
        return np.argmax(found["logits"], axis=-1), found["features"], pixels, targets

    fitted_on, tested_on = ask(dataset.validation, FIRST_VALIDATION), ask(dataset.test, 0)
    return list(_results(fitted_on, tested_on, dataset.test))


def _results(fitted_on, tested_on, test: Split) -> Iterator[Result]:
    answers, vectors, pixels, targets = fitted_on
    test_answers, test_vectors, test_pixels, truth = tested_on
    random = np.random.default_rng(SEED)
    # One decomposition does for all of them.
    wanted = np.hstack([targets, *(random.permutation(targets) for _ in range(_SHUFFLES))])
    truths = np.tile(truth, 1 + _SHUFFLES)

    def read(features, test_features):
        """What each test image adds to R2, of one probe and of probes within classes."""
        probe = fit_probe(features, wanted)
        probes = fit_probes_within(answers, features, wanted)
        found = (probe(test_features), read_within(probes, probe, test_answers, test_features))
        return [explained(truths, each) for each in found]

    metrics = ("R2", "R2 within classes")
    for metric, found, of_pixels in zip(
        metrics, read(vectors, test_vectors), read(pixels, test_pixels), strict=True
    ):
        for number, target in enumerate(TARGETS):
            shuffled = found[:, number :: len(TARGETS)].mean(axis=0)[1:]
            yield _result(
                metric,
                target,
                found[:, number],
                shuffled,
                float(of_pixels[:, number].mean()),
                len(targets),
                test,
            )


def _result(metric, target, outcomes, shuffled, of_pixels, fitted_images, test: Split) -> Result:
    outcomes = np.asarray(outcomes, np.float32)
    error = float(np.std(shuffled, ddof=1)) / len(shuffled) ** 0.5
    leaks = float(np.mean(shuffled)) > _STANDARD_ERRORS * error
    return mean(
        SUITE,
        metric,
        outcomes,
        test,
        unit="",
        details={"shuffled targets": float(np.mean(shuffled)), "from pixels": of_pixels},
        condition=target,
        parameters=parameters(fitted_images),
        flags=("something is read off shuffled targets too",) if leaks else (),
    )


def parameters(fitted_images: int) -> dict:
    """What defines a probe that was fitted to so many images."""
    return {
        "largest angle, shifts, log of scale": _LIMITS.tolist(),
        "images of the probe": fitted_images,
        "seed": SEED,
        **SAMPLING,
    }


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Images, each in a pose of its own."""
    return {"pose": show_one(distort, images, None)}
