import dataclasses

import numpy as np
import pytest

from data.dataset import Split
from evaluation import suites
from evaluation.model import Predictor
from evaluation.perturbations.curve import distort_all
from evaluation.suites import NotApplicable
from evaluation.suites.representation import pose_probe
from tests.evaluation.suites.digits import constant, dataset, mnist

IMAGES, LABELS = mnist("test")
IMAGES = IMAGES[:, ::2, ::2]  # a quarter of the pixels to fit to
FITTED, TESTED = 300, 200


def small_dataset():
    made = dataset(IMAGES[:TESTED], LABELS[:TESTED])
    validation = Split(IMAGES[-FITTED:], LABELS[-FITTED:].astype(np.int32))
    return dataclasses.replace(made, validation=validation)


def served(vectors_of_validation, vectors_of_test):
    """A model whose features are given, whatever its input; the suite reads them in this order."""
    queue = [vectors_of_validation, vectors_of_test]
    return Predictor.of(constant, features=lambda images: queue.pop(0))


def evaluate(predict):
    results = pose_probe.evaluate(predict, small_dataset(), batch_size=FITTED)
    return {(result.metric.name, result.condition): result for result in results}


def padded(vectors):
    """As the last batch is filled up, features are computed of so many images."""
    return np.concatenate([vectors, np.zeros((FITTED - len(vectors), vectors.shape[1]))])


def test_a_planted_pose_is_predicted():
    mix = np.random.default_rng(0).normal(size=(4, 16))
    poses = [
        pose_probe.poses(first + np.arange(count))
        for first, count in ((pose_probe.FIRST_VALIDATION, FITTED), (0, TESTED))
    ]
    assert not np.allclose(poses[0][:TESTED], poses[1])
    found = evaluate(served(poses[0] @ mix, padded(poses[1] @ mix)))
    assert len(found) == 16
    for result in found.values():
        assert result.value > 0.999
        assert result.value == pytest.approx(result.outcomes.mean())
        assert result.interval[0] <= result.value <= result.interval[1] <= 1.0 + 1e-3
        # Nothing but chance: 20 shuffles of a few hundred images.
        assert -0.5 < result.details["shuffled targets"].value < 0.05
        assert result.flags == ()
        assert result.count == TESTED


def test_nothing_is_predicted_from_noise():
    random = np.random.default_rng(0)
    found = evaluate(served(random.normal(size=(FITTED, 16)), random.normal(size=(FITTED, 16))))
    for result in found.values():
        assert -0.5 < result.value < 0.05
        assert -0.5 < result.details["shuffled targets"].value <= 0.02
    # From the pixels of a digit among ten the shift can be predicted in part.
    assert found["R2", "shift in x"].details["from pixels"].value > 0.3


def test_all_are_brought_to_the_same_number_of_features():
    """A pose among louder numbers is lost, and the pixels are projected likewise."""
    random = np.random.default_rng(0)
    poses = [
        pose_probe.poses(first + np.arange(count))
        for first, count in ((pose_probe.FIRST_VALIDATION, FITTED), (0, TESTED))
    ]
    noise = [10.0 * random.normal(size=(len(pose), 20)) for pose in poses]
    validation, test = (np.hstack(each) for each in zip(poses, noise, strict=True))
    found = evaluate(served(validation, padded(test)))
    equal = f", {pose_probe.EQUAL} components"
    conditions = {condition for _, condition in found}
    assert conditions == {t + size for t in pose_probe.TARGETS for size in ("", equal)}
    for target in pose_probe.TARGETS:
        assert found["R2", target].value > 0.95
        assert found["R2", target + equal].value < 0.1
        assert found["R2", target].definition != found["R2", target + equal].definition
    pixels = [found["R2", "shift in x" + size].details["from pixels"].value for size in ("", equal)]
    assert 0.1 < pixels[1] < pixels[0]
    # Of as many features as there are components nothing is lost.
    mix = random.normal(size=(4, pose_probe.EQUAL))
    kept = evaluate(served(poses[0] @ mix, padded(poses[1] @ mix)))
    assert min(result.value for result in kept.values()) > 0.999


def test_poses_are_those_that_the_images_have():
    # A disc in the middle moves with the image, counted from its centre.
    y, x = np.mgrid[:28, :28] - 13.5
    disc = np.where(x**2 + y**2 < 16, 255, 0).astype(np.uint8)[None, ..., None]
    images = distort_all(pose_probe.distort, np.repeat(disc, 20, axis=0), None)[..., 0]
    mass = images.sum(axis=(1, 2), dtype=float)
    angle, shift_x, shift_y, log_scale = pose_probe.poses(np.arange(20)).T
    np.testing.assert_allclose((images * x).sum(axis=(1, 2)) / mass, shift_x, atol=0.1)
    np.testing.assert_allclose((images * y).sum(axis=(1, 2)) / mass, shift_y, atol=0.1)
    np.testing.assert_allclose(np.log(mass / disc.sum()) / 2.0, log_scale, atol=0.05)
    assert np.all(np.abs(angle) <= np.deg2rad(30.0))
    # A bar at the right of the centre goes up under a turn counter-clockwise.
    bar = np.zeros((20, 28, 28, 1), np.uint8)
    bar[:, 13:15, 20:24] = 255
    turned = distort_all(pose_probe.distort, bar, None)[..., 0]
    mass = turned.sum(axis=(1, 2), dtype=float)
    right = (turned * x).sum(axis=(1, 2)) / mass - shift_x
    down = (turned * y).sum(axis=(1, 2)) / mass - shift_y
    np.testing.assert_allclose(np.arctan2(-down, right), angle, atol=0.03)


def test_it_does_not_apply_without_features_or_images_to_fit_on():
    data = small_dataset()
    with pytest.raises(NotApplicable, match="no `features`"):
        suites.run(pose_probe, constant, data, batch_size=50)
    few = dataclasses.replace(data, validation=data.validation.sample(49))
    with pytest.raises(NotApplicable, match="49 validation images"):
        suites.run(pose_probe, served([], []), few, batch_size=50)
