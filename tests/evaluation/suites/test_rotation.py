import dataclasses

import numpy as np
import pytest
import scipy.ndimage

from evaluation import suites
from evaluation.comparison.tables import tabulate
from evaluation.perturbations.curve import measure
from evaluation.suites.distortions import rotation
from tests.evaluation import made_up
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


@pytest.fixture(scope="module")
def results():
    """Of 60 digits, which are said to be digits."""
    digits = dataset(*(part[:60] for part in mnist("test")))
    digits = dataclasses.replace(digits, is_of_digits=True)
    return suites.run(rotation, linear_classifier(), digits, batch_size=60)


def test_the_full_circle_is_measured(results):
    angles = [result.strength for result in results if not result.condition]
    assert angles == [float(a) for a in range(-165, 181, 15)]
    # None is measured twice: half a turn is the same either way.
    assert len({angle % 360.0 for angle in angles}) == len(angles)


def test_parts_have_every_angle_but_the_identity_once():
    within, beyond = rotation.CURVE.axis.parts
    assert within.strengths == (-45.0, -30.0, -15.0, 15.0, 30.0, 45.0)
    assert sorted((0.0, *within.strengths, *beyond.strengths)) == list(rotation.CURVE.strengths)


def test_a_table_has_a_row_for_each_part(results):
    (table,) = tabulate([made_up.record("linear", results)])
    rows = {(row.condition, row.part): row for row in table.rows}
    assert list(rows) == [
        (condition, part.name)
        for condition in ("", rotation.OTHER_DIGITS)
        for part in rotation.CURVE.axis.parts
    ]
    near = [r.value for r in results if not r.condition and 0.0 < abs(r.strength) <= 45.0]
    row = rows["", "within 45 degrees"]
    assert row.headlines["linear"].value == pytest.approx(np.mean(near))


def test_6_and_9_are_left_out_of_the_second_condition(results):
    labels = mnist("test")[1][:60]
    others = ~np.isin(labels, (6, 9))
    assert 0 < others.sum() < 60
    half = len(results) // 2
    for whole, part in zip(results[:half], results[half:], strict=True):
        assert (part.condition, part.strength) == (rotation.OTHER_DIGITS, whole.strength)
        np.testing.assert_array_equal(part.outcomes, whole.outcomes[others])
        assert part.count == others.sum()
        assert part.value == np.mean(whole.outcomes[others])
        assert part.data_checksum != whole.data_checksum
        assert part.chance == 0.1


def test_other_classes_than_digits_are_not_left_out():
    digits = dataset(*(part[:5] for part in mnist("test")))
    results = suites.run(rotation, linear_classifier(), digits, batch_size=5)
    assert {result.condition for result in results} == {""}
