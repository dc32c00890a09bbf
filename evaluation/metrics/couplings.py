"""Entropy of couplings, and of the shares of winning paths."""

from collections.abc import Sequence

import numpy as np

from cnn.output import CapsuleShares
from evaluation.results.quantities import Metric

ENTROPY = Metric("coupling entropy")
"""As a share of the largest: 100 % where every capsule is coupled to all classes alike."""

SPREAD = Metric("spread of the winning path")
"""The entropy of shares over the places of the lowest map, likewise."""


def coupling_entropies(couplings: np.ndarray) -> np.ndarray:
    """The mean entropy of each image's couplings, as a share of the largest.

    Args:
        couplings: `[batch, capsules, classes]`, not negative; each capsule's are brought to a sum
            of one, for a leaky routing sends some nowhere.

    Returns:
        `[batch]` in [0, 1]: 1 where all classes get the same, 0 where there is one class alone.
    """
    return np.mean(entropies(couplings), axis=1)


def entropies(weights: np.ndarray) -> np.ndarray:
    """The entropy of weights along the last axis, as a share of the largest that there can be.

    Args:
        weights: `[..., count]`, not negative; brought to a sum of one.
    """
    count = weights.shape[-1]
    if count == 1:
        return np.zeros(weights.shape[:-1])
    tiny = np.finfo(np.float32).tiny
    shares = weights / np.maximum(np.sum(weights, axis=-1, keepdims=True), tiny)
    found = -np.sum(shares * np.log(np.maximum(shares, tiny)), axis=-1) / np.log(count)
    return np.clip(found, 0.0, 1.0)


def path_spreads(layers: Sequence[CapsuleShares]) -> np.ndarray:
    """The entropy `[count]` of the lowest layer's shares over places, as a share of the largest.

    Args:
        layers: The field `winning_paths` of `cnn.Views`.
    """
    shares = np.asarray(layers[0].shares).sum(axis=3)
    return entropies(shares.reshape(len(shares), -1))
