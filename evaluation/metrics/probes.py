"""Linear probes: prediction of numbers from a vector by a linear map.

Ridge regression (Hoerl and Kennard, 1970) on standardised features. Its strength is chosen on every
fifth of the images that it is fitted to, for a vector of 16 numbers needs another one than a vector
of a thousand. The strongest lets nothing through but the mean, so that a number that cannot be
predicted has an R2 near 0 rather than far below.
"""

import dataclasses

import numpy as np

# Penalties, times the number of images. Features are standardised, so penalties compare with a
# feature's variance.
_STRENGTHS = (*(10.0**power for power in range(-9, 4)), np.inf)
_MIN_DEVIATION = 0.1  # of a feature, against that of all
_HELD_OUT = 5  # every fifth image


@dataclasses.dataclass(frozen=True)
class LinearProbe:
    """A linear map from features to numbers.

    Attributes:
        centre: `[features]`.
        weights: `[features, targets]`.
        offset: `[targets]`.
    """

    centre: np.ndarray
    weights: np.ndarray
    offset: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Predicts `[images, targets]` from `[images, features]`."""
        return (features - self.centre) @ self.weights + self.offset


def fit_probe(features: np.ndarray, targets: np.ndarray) -> LinearProbe:
    """Fits a probe, with a strength of its own for each target.

    Args:
        features: `[images, features]`, of at least five images in no order.
        targets: `[images, targets]`.
    """
    features, targets = np.asarray(features, np.float64), np.asarray(targets, np.float64)
    held_out = np.arange(len(features)) % _HELD_OUT == 0
    tries = _fit(features[~held_out], targets[~held_out])
    errors = [
        np.mean((probe(features[held_out]) - targets[held_out]) ** 2, axis=0) for probe in tries
    ]
    best = np.argmin(errors, axis=0)
    whole = _fit(features, targets)
    weights = [whole[chosen].weights[:, target] for target, chosen in enumerate(best)]
    return dataclasses.replace(whole[0], weights=np.stack(weights, axis=1))


def _fit(features: np.ndarray, targets: np.ndarray) -> list[LinearProbe]:
    """Fits a probe of each strength, by one decomposition."""
    centre, offset = features.mean(axis=0), targets.mean(axis=0)
    deviation = features.std(axis=0)
    usual = float(np.sqrt(np.mean(deviation**2)))
    # A pixel or unit that is hardly ever on must not become a giant where it is.
    scale = np.maximum(deviation, _MIN_DEVIATION * usual) if usual else np.ones_like(deviation)
    standard, gaps = (features - centre) / scale, targets - offset
    # The smaller of the two Gram matrices suffices.
    if standard.shape[1] <= len(standard):
        squares, basis = np.linalg.eigh(standard.T @ standard)
        along, back = basis.T @ (standard.T @ gaps), basis
    else:
        squares, basis = np.linalg.eigh(standard @ standard.T)
        along, back = basis.T @ gaps, standard.T @ basis
    penalties = (len(features) * strength for strength in _STRENGTHS)
    return [
        LinearProbe(
            centre,
            back @ (along / (np.maximum(squares, 0.0) + penalty)[:, None]) / scale[:, None],
            offset,
        )
        for penalty in penalties
    ]


@dataclasses.dataclass(frozen=True)
class Projection:
    """A projection of features onto their principal components (Hotelling, 1933).

    Attributes:
        centre: `[features]`.
        components: `[features, count]`, orthonormal, of falling variance.
    """

    centre: np.ndarray
    components: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Projects `[images, features]` to `[images, count]`."""
        return (features - self.centre) @ self.components


def fit_projection(features: np.ndarray, count: int) -> Projection:
    """Finds the directions along which features vary most, so many or as many as they have.

    Args:
        features: `[images, features]`.
        count: Number of components.
    """
    features = np.asarray(features, np.float64)
    centre = features.mean(axis=0)
    gaps = features - centre
    # The smaller of the two Gram matrices suffices.
    if gaps.shape[1] <= len(gaps):
        _, basis = np.linalg.eigh(gaps.T @ gaps)
        return Projection(centre, basis[:, ::-1][:, :count])
    _, basis = np.linalg.eigh(gaps @ gaps.T)
    # Of fewer images than components some directions are arbitrary.
    components, _ = np.linalg.qr(gaps.T @ basis[:, ::-1][:, :count])
    return Projection(centre, components)


def fit_probes_within(
    classes: np.ndarray, features: np.ndarray, targets: np.ndarray
) -> dict[int, LinearProbe]:
    """Fits a probe to each class with ten images or more, to its images alone."""
    return {
        int(label): fit_probe(features[classes == label], targets[classes == label])
        for label, count in zip(*np.unique(classes, return_counts=True), strict=True)
        if count >= 2 * _HELD_OUT
    }


def predict_within(
    probes: dict[int, LinearProbe], default: LinearProbe, classes: np.ndarray, features: np.ndarray
) -> np.ndarray:
    """Predicts `[images, targets]` by the probe of each image's class, or else by `default`."""
    found = default(features)
    for label, probe in probes.items():
        found[classes == label] = probe(features[classes == label])
    return found


def explained(targets: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Computes each image's contribution to R2, the share of the targets' variance explained.

    Args:
        targets: `[images, targets]`, each not constant.
        predicted: `[images, targets]`, by probes of the same images.

    Returns:
        `[images, targets]`, whose mean over the images is R2: 1 of perfect predictions, 0 of the
        targets' mean, less for worse.
    """
    return 1.0 - (targets - predicted) ** 2 / np.var(targets, axis=0)
