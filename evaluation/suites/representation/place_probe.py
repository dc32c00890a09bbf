"""Linear probe of an object's place behind every layer.

Images are rotated, shifted and scaled as in the suite `pose_probe`, and their shift along x and y
is predicted from the output of each layer by a ridge probe. Pooling is supposed to discard places:
compare the layers before and after one. Layers of all sizes are brought to the same number of
features, random sums of their values with random signs (Charikar, Chen and Farach-Colton, 2002), so
that a larger layer has no more weights to fit.
"""

import numpy as np
from scipy import sparse

from data.dataset import Dataset, Split
from evaluation.metrics.probes import explained, fit_probe
from evaluation.model import Predictor, predict_all
from evaluation.perturbations.curve import SEED
from evaluation.results.quantities import Detail
from evaluation.results.result import Result, mean
from evaluation.suites.representation.pose_probe import (
    FIRST_VALIDATION,
    R2,
    TARGETS,
    check_enough,
    definition,
    in_poses,
)

SUITE = "place_probe"
REQUIRES = ("images", "activations")
PASSES = 5
_PLACE = [TARGETS.index("shift in x"), TARGETS.index("shift in y")]
_MAX_FEATURES = 512
_MAX_FITTED = 2000  # validation images; more change little
_SHUFFLES = 20


def sketch(values: np.ndarray) -> np.ndarray:
    """Sums `[images, ...]` values at random to `[images, 512]`; fewer values stay as they are."""
    flat = np.asarray(values, np.float32).reshape(len(values), -1)
    size = flat.shape[1]
    if size <= _MAX_FEATURES:
        return flat
    random = np.random.default_rng([SEED, size])
    signs = random.choice(np.array([-1.0, 1.0], np.float32), size)
    rows = random.integers(_MAX_FEATURES, size=size)
    matrix = sparse.csr_matrix((signs, (rows, np.arange(size))), (_MAX_FEATURES, size))
    return np.asarray((matrix @ flat.T).T)


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures R2 of the place, the mean of x and y, from the pixels and behind every layer.

    Returns:
        A result for each layer.

    Raises:
        NotApplicable: for fewer than 50 validation images or two test images.
    """
    activations = predict.activations
    assert activations is not None  # as required
    check_enough(dataset)

    def read(split: Split, first: int):
        images, targets = in_poses(split, first)

        def sketches(batch):
            layers = {"pixels": batch, **activations(batch)}
            # In a list, for JAX would sort the names of a dictionary.
            names[:] = layers
            return [sketch(np.asarray(each)) for each in layers.values()]

        found = predict_all(sketches, images, batch_size=batch_size, name=SUITE)
        return found, targets[:, _PLACE]

    names: list[str] = []
    fitted, targets = read(dataset.validation.sample(_MAX_FITTED), FIRST_VALIDATION)
    tested, truth = read(dataset.test, 0)
    random = np.random.default_rng(SEED)
    wanted = np.hstack([targets, *(random.permutation(targets) for _ in range(_SHUFFLES))])
    results = []
    for name, of_fitted, of_tested in zip(names, fitted, tested, strict=True):
        predicted = fit_probe(of_fitted, wanted)(of_tested)
        outcomes = explained(np.tile(truth, 1 + _SHUFFLES), predicted)
        results.append(_result(name, outcomes, len(targets), dataset.test))
    return results


def _result(layer: str, outcomes: np.ndarray, fitted: int, test: Split) -> Result:
    place = outcomes[:, : len(_PLACE)].mean(axis=1).astype(np.float32)
    return mean(
        SUITE,
        R2,
        place,
        test,
        details={"shuffled targets": Detail(float(outcomes[:, len(_PLACE) :].mean()), R2.unit)},
        condition=layer,
        chance=0.0,
        definition={**definition(fitted), "features of a layer, at most": _MAX_FEATURES},
    )
