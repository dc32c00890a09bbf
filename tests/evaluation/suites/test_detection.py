import dataclasses

import numpy as np
import pytest

from data.dataset import Split
from evaluation import suites
from evaluation.model import reconstruction_errors
from evaluation.suites import NotApplicable
from evaluation.suites.adversarial import detection
from tests.evaluation.suites.digits import dataset, mnist
from tests.evaluation.suites.reconstructing import reconstructing

COUNT = 24
IMAGES, LABELS = mnist("test")
VALIDATION = Split(IMAGES[100:300], LABELS[100:300].astype(np.int32))
DIGITS = dataclasses.replace(dataset(IMAGES[:COUNT], LABELS[:COUNT]), validation=VALIDATION)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(detection, "EPSILONS", (0.0, 0.05))
    monkeypatch.setattr(detection, "WEIGHTS", (0.01,))
    monkeypatch.setattr("evaluation.statistics.intervals._RESAMPLES", 20)


def measure(model, digits=DIGITS):
    results = detection.evaluate(model, digits, batch_size=COUNT)
    return {(each.condition, each.metric.name, each.strength): each for each in results}


def test_reconstruction_errors_by_hand():
    images = np.zeros((3, 2, 2, 1), np.uint8)
    images[1, 0, 0] = 255
    found = reconstruction_errors(
        lambda images: np.full_like(images, 0.5), images, batch_size=2, name="test"
    )
    np.testing.assert_allclose(found, [1.0, 1.0, 1.0])
    found = reconstruction_errors(np.zeros_like, images, batch_size=2, name="test")
    np.testing.assert_allclose(found, [0.0, 1.0, 0.0])


def test_without_an_attack_it_counts_false_alarms_and_errors():
    model = reconstructing()
    found = measure(model)
    wrong = np.argmax(model(DIGITS.test.images / np.float32(255.0)), axis=1) != DIGITS.test.labels
    alarms = found["clean", "false alarm rate", None]
    reconstruct = model.field("reconstruction")
    validation, test = (
        reconstruction_errors(reconstruct, images, batch_size=COUNT, name="test")
        for images in (VALIDATION.images, DIGITS.test.images)
    )
    np.testing.assert_array_equal(alarms.outcomes, test > np.quantile(validation, 0.95))
    for condition in (detection.PLAIN, detection.ADAPTIVE):
        at = {metric: each for (c, metric, e), each in found.items() if (c, e) == (condition, 0.0)}
        np.testing.assert_array_equal(at["attack success rate"].outcomes, wrong)
        np.testing.assert_array_equal(at["detection rate"].outcomes, alarms.outcomes)
        missed = wrong & ~alarms.outcomes
        np.testing.assert_array_equal(at["undetected attack success rate"].outcomes, missed)
        assert at["AUROC of reconstruction error"].value == 0.5
    # The adaptive attack evades the detector at least as often, for it has the other's images too.
    rates = [
        found[condition, "undetected attack success rate", 0.05].value
        for condition in (detection.PLAIN, detection.ADAPTIVE)
    ]
    assert rates[1] > rates[0] - 1e-9
    assert found[detection.PLAIN, "attack success rate", 0.05].value > np.mean(wrong)
    # Noise is far from every digit's mean.
    assert found["noise", "detection rate", None].value == 1.0
    assert found["noise", "AUROC of reconstruction error", None].value == 1.0


def test_a_perfect_reconstruction_detects_nothing():
    found = measure(reconstructing(lambda variables, images: 1.0 * images))
    for (_, metric, _), each in found.items():
        if metric in ("detection rate", "false alarm rate"):
            assert each.value == 0.0
        if metric.startswith("AUROC"):
            assert each.value == 0.5
    for condition in (detection.PLAIN, detection.ADAPTIVE):
        success = found[condition, "attack success rate", 0.05].value
        assert found[condition, "undetected attack success rate", 0.05].value == success > 0.5


def test_a_bad_reconstruction_of_test_images_alone_detects_everything():
    marked = IMAGES[:COUNT].copy()
    marked[:, :2, :2] = 255
    marked = Split(marked, LABELS[:COUNT].astype(np.int32))

    def reconstruct(variables, images):
        return images + 0.5 * (images[:, :2, :2].mean(axis=(1, 2, 3), keepdims=True) > 0.8)

    found = measure(reconstructing(reconstruct), dataclasses.replace(DIGITS, test=marked))
    assert found["clean", "false alarm rate", None].value == 1.0
    for condition in (detection.PLAIN, detection.ADAPTIVE):
        assert found[condition, "attack success rate", 0.05].value > 0.5
        assert found[condition, "undetected attack success rate", 0.05].value == 0.0
        detected = found[condition, "detection rate", 0.05]
        assert detected.value == detected.details["of the successful ones"].value == 1.0


def test_the_attempt_that_fools_and_costs_least_is_chosen():
    misled = np.array([[True, False, False], [True, True, False]])
    errors = np.array([[3.0, 1.0, 2.0], [2.0, 5.0, 4.0]])
    chosen = detection._choose(misled, errors, costs=errors)
    np.testing.assert_array_equal(chosen.misled, [True, True, False])
    np.testing.assert_array_equal(chosen.errors, [2.0, 5.0, 2.0])
    first = detection._choose(misled, errors, costs=np.zeros_like(errors))
    np.testing.assert_array_equal(first.errors, [3.0, 5.0, 2.0])


def test_images_of_no_class_are_made_as_named():
    digits = np.stack([DIGITS.test.images[..., 0], 255 - DIGITS.test.images[..., 0]], axis=-1)
    made = detection.out_of_distribution(digits)
    assert all(each.shape == digits.shape and each.dtype == np.uint8 for each in made.values())
    np.testing.assert_array_equal(made["negative"], digits[..., ::-1])
    np.testing.assert_array_equal(made["upside down"][:, 0, 0], digits[:, 27, 27])
    shuffled = made["shuffled pixels"]
    np.testing.assert_array_equal(shuffled[..., 0], 255 - shuffled[..., 1])  # pixels stay whole
    np.testing.assert_array_equal(
        np.sort(shuffled.reshape(COUNT, -1)), np.sort(digits.reshape(COUNT, -1))
    )
    lit = shuffled[..., 0] > 0
    assert np.mean(lit[:, :4]) == pytest.approx(np.mean(lit), abs=0.03)  # spread to the edges
    assert 120 < made["noise"].mean() < 135


def test_it_needs_a_decoder():
    model = reconstructing()
    with pytest.raises(NotApplicable, match="the model has no `reconstruction`"):
        suites.run(detection, model.field("logits"), DIGITS, batch_size=COUNT)
    # One that cannot be differentiated is measured without attacks.
    found = measure(dataclasses.replace(model, differentiable=None))
    assert {condition for condition, _, _ in found} == {
        "clean",
        "noise",
        "negative",
        "upside down",
        "shuffled pixels",
    }
