"""Reconstruction of the class that is predicted, beside the image."""

import numpy as np

from data.dataset import Dataset
from evaluation.metrics.reconstructions import ERROR, squared_errors
from evaluation.model import Predictor, predict_all
from evaluation.results.pictures import Reconstructions
from evaluation.results.result import Result, mean

SUITE = "reconstructions"
FIELD = "reconstruction"
REQUIRES = ("images", FIELD)
PASSES = 1
_SHOWN = 6


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> Result:
    """Measures the reconstruction error of all test images, and shows the first of them."""
    test = dataset.test

    def errors(batch):
        return squared_errors(np.asarray(predict.outputs(batch, FIELD)[FIELD]), batch)

    found = predict_all(errors, test.images, batch_size=batch_size, name=SUITE)
    shown = test.images[:_SHOWN]
    decoded = predict_all(predict.field(FIELD), shown, batch_size=batch_size, name=SUITE)
    pictures = Reconstructions(shown / np.float32(255.0), decoded)
    definition = {"decoded": "the prediction"}
    return mean(SUITE, ERROR, found, test, definition=definition, artifacts=(pictures,))
