"""Pose components: change of the reconstruction as each component of the winning capsule moves.

Figure 4 of Sabour, Frosst and Hinton (2017): a component is moved from -0.25 to 0.25 by steps of
0.05. Neither more nor less change is better: a component that changes nothing is not used, and one
that changes much need not mean anything.
"""

import numpy as np

from data.dataset import Dataset
from evaluation.metrics.reconstructions import CHANGE, changes
from evaluation.model import Predictor, predict_all
from evaluation.results.pictures import PoseSweep
from evaluation.results.result import Result, mean

SUITE = "pose_sweeps"
FIELD = "pose_sweeps"
REQUIRES = ("images", FIELD)
PASSES = 3
# An image has a reconstruction for each component of its capsule and each step.
_FEWER = 8


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> Result:
    """Measures the change between both ends of all sweeps, and shows those of the first image."""
    test, batch_size = dataset.test, max(1, batch_size // _FEWER)

    def measured(batch):
        return changes(np.asarray(predict.outputs(batch, FIELD)[FIELD]))

    found = predict_all(measured, test.images, batch_size=batch_size, name=SUITE)
    first = predict_all(
        lambda batch: dict(predict.outputs(batch, FIELD, "logits")),
        test.images[:1],
        batch_size=batch_size,
        name=SUITE,
    )
    image = test.images[0] / np.float32(255.0)
    picture = PoseSweep.of(image, first[FIELD][0], first["logits"][0])
    definition = {"moved": "a component of the winning capsule, by -0.25 to 0.25"}
    return mean(SUITE, CHANGE, found, test, definition=definition, artifacts=(picture,))
