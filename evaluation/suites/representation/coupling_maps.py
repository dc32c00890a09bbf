"""Couplings: their entropy, and maps of where the winning class capsule gets its votes from.

The softmax of a routing over output capsules leaves couplings near-uniform where it does little, so
that a map looks alike everywhere; the entropy says how much of that there is. Neither more nor less
is better by itself.
"""

import numpy as np

from data.dataset import Dataset
from evaluation.metrics.couplings import ENTROPY, coupling_entropies
from evaluation.model import Predictor, predict_all
from evaluation.results.pictures import CouplingMaps
from evaluation.results.result import Result, mean

SUITE = "coupling_maps"
PLACES = "capsule_places"
REQUIRES = ("images", "couplings", PLACES)
PASSES = 1
_SHOWN = 6


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> Result:
    """Measures the entropy of the couplings of all test images, and shows the first as maps."""
    test = dataset.test

    def entropies(batch):
        return coupling_entropies(np.asarray(predict.outputs(batch, "couplings")["couplings"]))

    found = predict_all(entropies, test.images, batch_size=batch_size, name=SUITE)
    shown = test.images[:_SHOWN]
    fields = predict_all(
        lambda batch: dict(predict.outputs(batch, "couplings", PLACES, "logits")),
        shown,
        batch_size=batch_size,
        name=SUITE,
    )
    picture = CouplingMaps.of(
        shown / np.float32(255.0), fields["logits"], fields["couplings"], fields[PLACES]
    )
    definition = {"entropy": "of each capsule's couplings, against that of equal ones"}
    return mean(SUITE, ENTROPY, found, test, definition=definition, artifacts=(picture,))
