import dataclasses

import numpy as np
import pytest

from data.dataset import Dataset, Split
from evaluation import suites
from evaluation.attacks import patches
from evaluation.suites import NotApplicable
from evaluation.suites.adversarial import patch
from tests.evaluation.suites import stripes
from tests.evaluation.suites.digits import constant

STRIPES = stripes.dataset()
COUNT = len(STRIPES.test)
LABELS = STRIPES.test.labels


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(patch, "AREAS", (0.0, 20.0))
    monkeypatch.setattr(patch, "_CHUNK", COUNT)
    monkeypatch.setattr(patches, "STEPS", 30)
    monkeypatch.setattr(patches, "BATCH", 8)


def measure(model):
    results = patch.evaluate(model, STRIPES, batch_size=COUNT)
    return {(each.condition, each.strength): each for each in results}


def test_the_trained_patch_beside_its_controls():
    found = measure(stripes.PREDICTOR)
    for condition in (patch.TRAINED, patch.NOISE, patch.WHITE, patch.PASTED):
        assert found[condition, 0.0].value == 0.0  # clean images are all classified correctly
        assert found[condition, 20.0].count == COUNT
        assert not found[condition, 20.0].flags
    trained = found[patch.TRAINED, 20.0]
    assert trained.value > 0.9
    assert trained.value == trained.outcomes.mean()
    for control in (patch.NOISE, patch.WHITE, patch.PASTED):
        assert found[control, 20.0].value < trained.value - 0.3
    white = patch.paste_all(STRIPES.test, np.ones((1, 14, 14, 1), np.float32), 20.0)
    wrong = np.argmax(stripes.PREDICTOR(white), axis=1) != LABELS
    np.testing.assert_array_equal(found[patch.WHITE, 20.0].outcomes, wrong)
    shown = found[patch.TRAINED, 20.0].artifacts
    assert [len(each.images) for each in shown] == [2, 8, 8]
    assert shown[0].label == "trained patches for classes 0, 1"
    assert not found[patch.TRAINED, 0.0].artifacts
    hits = found[patch.WHITE, 20.0].details
    assert hits["class 0"].value == wrong[LABELS == 1].mean()
    assert hits["class 1"].value == wrong[LABELS == 0].mean()


def test_an_images_own_class_is_no_target():
    labels = np.array([0, 4, 9, 7])
    hits = np.array([[True] * 4, [False] * 4, [True, False, False, False]])
    others = labels != np.array([0, 4, 9])[:, None]
    np.testing.assert_allclose(patch._share(hits, others), [1 / 2, 1 / 2, 1 / 2, 1 / 3])


def test_a_patch_that_a_control_beats_is_flagged():
    one, two = np.full(4, 0.25), np.full(4, 0.5)
    even = {(name, 20.0): one for name in (patch.TRAINED, patch.NOISE, patch.WHITE, patch.PASTED)}
    assert patch._suspicions(even) == ()
    (flag,) = patch._suspicions({**even, (patch.WHITE, 20.0): two})
    assert "less often than that of white" in flag


def test_images_of_the_target_class_are_pasted():
    pasted = patch._controls(STRIPES, np.array([0, 1]))[patch.PASTED]
    known = STRIPES.validation.images[LABELS == 1] / np.float32(255.0)
    assert pasted[1].shape == (COUNT, 16, 16, 1)
    assert all(np.any(np.all(known == each, axis=(1, 2, 3))) for each in pasted[1])
    assert len({each.tobytes() for each in pasted[1]}) > 5


def test_few_classes_are_all_targets():
    def targets(validation, test):
        validation, test = (
            Split(np.zeros((len(k), 4, 4, 1), np.uint8), k) for k in (validation, test)
        )
        return patch._targets(Dataset("made up", 10, validation, validation, test)).tolist()

    some = np.arange(10, dtype=np.int32)
    assert targets(some[:2], some[:2]) == [0, 1]
    assert targets(some, some) == [0, 4, 9]
    # One is pasted and trained beside others, and counted in others.
    assert targets(some[3:6], some) == [3, 4, 5]
    assert targets(some, some[4:5]) == [0, 5, 9]
    assert targets(some[:1], some) == []


def test_it_does_not_apply_to_a_single_class():
    ones = Split(STRIPES.test.images, np.ones_like(LABELS))
    lone = dataclasses.replace(STRIPES, validation=ones, test=ones)
    with pytest.raises(NotApplicable, match="no class that others"):
        suites.run(patch, stripes.PREDICTOR, lone, batch_size=COUNT)


def test_it_does_not_apply_to_predictions_alone():
    with pytest.raises(NotApplicable, match="no `differentiable`"):
        suites.run(patch, constant, STRIPES, batch_size=COUNT)
