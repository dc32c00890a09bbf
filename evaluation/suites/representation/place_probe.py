"""In which layer is it lost where an object is? A probe of the place behind every layer.

Images are turned, shifted and scaled as in the suite `pose_probe`, and their shift along x and y is
read off what each layer says by a ridge probe. Pooling is said to throw places away: compare the
layers before and after one. Layers of all sizes are brought to the same number of features, random
sums of their values with random signs (Charikar, Chen and Farach-Colton, 2002), so that a larger
layer has no more weights to fit.
"""

import numpy as np
from scipy import sparse

from data.dataset import Dataset, Split
from evaluation.metrics.probes import explained, fit_probe
from evaluation.model import Predictor, predict_all
from evaluation.perturbations.curve import SEED
from evaluation.results.result import Result, mean
from evaluation.suites.representation.pose_probe import (
    FIRST_VALIDATION,
    TARGETS,
    check_enough,
    in_poses,
    parameters,
)

SUITE = "place_probe"
REQUIRES = ("images", "activations")
_PLACE = [TARGETS.index("shift in x"), TARGETS.index("shift in y")]
_FEATURES = 512
_FITTED = 2000  # validation images; more change little
_SHUFFLES = 20


def sketch(values: np.ndarray) -> np.ndarray:
    """Random signed sums of `[images, ...]` values: `[images, 512]`, or all of fewer values."""
    flat = np.asarray(values, np.float32).reshape(len(values), -1)
    size = flat.shape[1]
    if size <= _FEATURES:
        return flat
    random = np.random.default_rng([SEED, size])
    signs = random.choice(np.array([-1.0, 1.0], np.float32), size)
    rows = random.integers(_FEATURES, size=size)
    matrix = sparse.csr_matrix((signs, (rows, np.arange(size))), (_FEATURES, size))
    return np.asarray((matrix @ flat.T).T)


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """R2 of the place, the mean of x and y, from the pixels and behind every layer.

    Returns:
        A result for each layer.

    Raises:
        NotApplicable: for fewer than 50 validation images or two test images.
    """
    activations = predict.activations
    assert activations is not None  # as required
    check_enough(dataset)

    def ask(split: Split, first: int):
        images, targets = in_poses(split, first)

        def sketches(batch):
            layers = {"pixels": batch, **activations(batch)}
            # In a list, for JAX would sort the names of a dictionary.
            names[:] = layers
            return [sketch(np.asarray(each)) for each in layers.values()]

        found = predict_all(sketches, images, batch_size=batch_size, name=SUITE)
        return found, targets[:, _PLACE]

    names: list[str] = []
    fitted, targets = ask(dataset.validation.sample(_FITTED), FIRST_VALIDATION)
    tested, truth = ask(dataset.test, 0)
    random = np.random.default_rng(SEED)
    wanted = np.hstack([targets, *(random.permutation(targets) for _ in range(_SHUFFLES))])
    results = []
    for name, of_fitted, of_tested in zip(names, fitted, tested, strict=True):
        read = fit_probe(of_fitted, wanted)(of_tested)
        outcomes = explained(np.tile(truth, 1 + _SHUFFLES), read)
        results.append(_result(name, outcomes, len(targets), dataset.test))
    return results


def _result(layer: str, outcomes: np.ndarray, fitted: int, test: Split) -> Result:
    place = outcomes[:, : len(_PLACE)].mean(axis=1).astype(np.float32)
    return mean(
        SUITE,
        "R2",
        place,
        test,
        unit="",
        details={"shuffled targets": float(outcomes[:, len(_PLACE) :].mean())},
        condition=layer,
        parameters={**parameters(fitted), "features of a layer, at most": _FEATURES},
    )
