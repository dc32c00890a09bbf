import dataclasses

import numpy as np
import pytest
import scipy.ndimage

from evaluation import suites
from evaluation.perturbations.curve import measure
from evaluation.suites.distortions import rotation
from tests.evaluation.suites.digits import dataset, linear_classifier, mnist


@pytest.mark.parametrize("angle", [-150.0, -45.0, 15.0, 90.0])
def test_turned_digits_are_those_of_scipy_to_the_pixel(angle):
    images = mnist("test")[0][:200] / np.float32(255.0)
    turned = rotation.examples(images)[f"{angle:g} degrees"]
    expected = scipy.ndimage.rotate(
        images, angle, axes=(2, 1), reshape=False, order=1, mode="grid-constant"
    )
    # Half a grey level from rounding.
    np.testing.assert_allclose(turned, expected, atol=0.501 / 255.0)


def test_accuracy_is_that_on_digits_turned_by_scipy():
    """All 10,000 test images, and scipy as it comes: no interpolation beyond the frame's edge."""
    images, labels = mnist("test")
    angles = (-60.0, -15.0, 30.0)
    curve = dataclasses.replace(rotation.CURVE, strengths=angles)
    results = measure(
        "rotation", [curve], linear_classifier(), dataset(images, labels), batch_size=1000
    )
    assert results is not None
    scores = []
    for angle, result in zip(angles, results, strict=True):
        turned = scipy.ndimage.rotate(
            images[..., 0] / np.float32(255.0), angle, axes=(2, 1), reshape=False, order=1
        )
        hits = np.argmax(linear_classifier()(turned), axis=-1) == labels
        assert abs(result.value - hits.mean()) < 0.003
        scores.append(result.value)
    # The angles are far enough apart for a wrong direction or size to show.
    assert min(abs(a - b) for a, b in ((scores[0], scores[1]), (scores[1], scores[2]))) > 0.02


def test_the_full_circle_is_measured():
    digits = dataset(*(part[:5] for part in mnist("test")))
    results = suites.run(suites.load("rotation"), linear_classifier(), digits, batch_size=5)
    assert [result.strength for result in results] == [float(a) for a in range(-165, 181, 15)]
    # None is measured twice: half a turn is the same either way.
    assert len({result.strength % 360.0 for result in results}) == len(results)
