"""Clean test images are predicted once, whatever number of suites reads the predictions."""

import dataclasses

import numpy as np
import pytest

from evaluation import suites
from evaluation.model import Kept, Predictor, predict_split
from tests.evaluation.suites.digits import linear_classifier, some_digits

DATASET = some_digits()
SPLIT = DATASET.test
CLEAN = SPLIT.images / np.float32(255.0)


def counting():
    """A model, and the number of its passes over the first clean image, by field."""
    counts = {"logits": 0, "probabilities": 0}

    def read(images, names):
        for name in names:
            counts[name] += bool(np.allclose(images[:8], CLEAN[:8]))
        return {name: linear_classifier()(images) for name in names}

    return Predictor(read, tuple(counts)), counts


def test_several_suites_share_them():
    model, counts = counting()
    results = {
        name: suites.run(suites.load(name), model, DATASET, batch_size=8)
        for name in (
            "clean",
            "confusions",
            "object_statistics",
            "rotation",
            "calibration",
            "selectivity",
        )
    }
    assert counts == {"logits": 1, "probabilities": 1}
    alone = suites.run(suites.load("confusions"), linear_classifier(), DATASET, batch_size=8)
    assert results["confusions"] == alone


def test_fields_are_computed_together_and_only_if_they_are_not_kept():
    requested = []

    def read(images, names):
        requested.append(names)
        return {name: linear_classifier()(images) for name in names}

    model = Predictor(read, ("logits", "features", "lengths"))
    how = {"batch_size": 24, "name": "test"}
    predict_split(model, SPLIT, "logits", "features", **how)
    found = predict_split(model, SPLIT, "features", "lengths", **how)
    assert requested == [("logits", "features"), ("lengths",)]
    assert set(found) == {"features", "lengths"}
    with pytest.raises(ValueError, match="read-only"):
        found["features"][0] = 1.0


def test_other_images_and_other_models_have_their_own():
    model, counts = counting()
    other = dataclasses.replace(SPLIT, images=SPLIT.images[::-1])
    how = {"batch_size": 8, "name": "test"}
    first = predict_split(model, SPLIT, "logits", **how)["logits"]
    turned = predict_split(model, other, "logits", **how)["logits"]
    np.testing.assert_array_equal(turned, first[::-1])
    again, other_counts = counting()
    predict_split(again, SPLIT, "logits", **how)
    assert counts["logits"] == other_counts["logits"] == 1


def test_the_kept_outputs_are_bounded():
    kept = Kept(max_bytes=100)
    for number in range(3):
        kept.add(number, np.full(5, float(number)))  # 40 bytes
    assert kept.get(0) is None
    assert kept.get(1) is not None
    assert kept.get(2)[0] == 2.0
    kept.add("large", np.zeros(100))
    assert kept.get("large") is None


def test_a_field_that_a_model_lacks_is_named():
    with pytest.raises(KeyError, match="the model has no `warp`, but logits"):
        Predictor.of(linear_classifier()).outputs(CLEAN, "warp")
