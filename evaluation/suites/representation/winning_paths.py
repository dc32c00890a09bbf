"""Winning paths: which capsules of each layer the winning class capsule comes from.

From the class down, a capsule's share is what the capsules above received from it, its coupling
times its activation if it has one, out of all that they received (see `capsnet/paths.py`). The
spread is the entropy of the lowest layer's shares over the places of its map, against that of equal
shares: 100 % where the class comes from everywhere alike. Neither more nor less is better.
"""

import numpy as np

from data.dataset import Dataset
from evaluation.metrics.couplings import SPREAD, path_spreads
from evaluation.model import Predictor, predict_all
from evaluation.results.pictures import WinningPaths
from evaluation.results.result import Result, mean

SUITE = "winning_paths"
FIELD = "winning_paths"
REQUIRES = ("images", FIELD)
PASSES = 2
_SHOWN = 6


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> Result:
    """Measures the spread over the lowest map for all test images, and shows the first of them."""
    test = dataset.test

    def spreads(batch):
        return path_spreads(predict.outputs(batch, FIELD)[FIELD])

    found = predict_all(spreads, test.images, batch_size=batch_size, name=SUITE)
    shown = test.images[:_SHOWN]
    fields = predict_all(
        lambda batch: dict(predict.outputs(batch, FIELD, "logits")),
        shown,
        batch_size=batch_size,
        name=SUITE,
    )
    pictures = WinningPaths.of(shown / np.float32(255.0), fields["logits"], fields[FIELD])
    definition = {"spread": "entropy of the lowest layer's shares over places"}
    return mean(SUITE, SPREAD, found, test, definition=definition, artifacts=pictures)
