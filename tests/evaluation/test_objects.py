import numpy as np
import pytest

from evaluation.metrics.moments import distances, find_objects, object_statistics
from tests.evaluation.suites.digits import mnist


def rectangle(top, left, height, width, side=20, light=200):
    image = np.zeros((1, side, side, 1), np.uint8)
    image[0, top : top + height, left : left + width] = light
    return image


def test_a_rectangle_has_its_place_and_size():
    found = find_objects(np.concatenate([rectangle(3, 5, 4, 8), rectangle(0, 0, 1, 1, light=9)]))
    # The centre of 20 pixels is at 9.5; columns 5 to 12 have theirs at 8.5, rows 3 to 6 at 4.5.
    np.testing.assert_allclose(found.x, [-1.0, -9.5])
    np.testing.assert_allclose(found.y, [-5.0, -9.5])
    np.testing.assert_allclose(found.width, [8.0, 1.0])
    np.testing.assert_allclose(found.height, [4.0, 1.0])
    np.testing.assert_allclose(found.slant, 0.0, atol=1e-9)
    assert abs(found.angle[0]) == pytest.approx(90.0)  # it is longer across


def test_a_line_has_its_angle():
    lines = np.zeros((4, 21, 21, 1), np.uint8)
    steps = np.arange(-8, 9)
    lines[0, 10 - steps, 10 + steps] = 255  # up and to the right, 45 degrees from the vertical
    lines[1, 10 - steps, 10 - steps] = 255
    lines[2, 10 - steps, 10] = 255
    lines[3, 10 - 2 * steps[4:-4], 10 + steps[4:-4]] = 255
    found = find_objects(lines)
    expected = [45.0, -45.0, 0.0, np.rad2deg(np.arctan(0.5))]
    np.testing.assert_allclose(found.angle, expected, atol=1e-6)
    np.testing.assert_allclose(found.slant, [1.0, -1.0, 0.0, 1.0], atol=1e-9)


def test_light_of_all_channels_counts_and_its_strength_does_not():
    image = rectangle(3, 5, 4, 8)
    coloured = np.concatenate([image // 4, np.zeros_like(image), image], axis=-1)
    np.testing.assert_allclose(find_objects(coloured), find_objects(image), atol=1e-9)


def test_a_blank_image_has_everything_zero():
    np.testing.assert_array_equal(find_objects(np.zeros((2, 8, 9, 1), np.uint8)), 0.0)


def test_mnist_is_centred_by_its_centre_of_mass():
    # Its digits were placed so that the centre of mass falls on the middle, by whole pixels.
    images, _ = mnist("test")
    found = find_objects(images[:1000])
    assert np.all(np.hypot(found.x, found.y) < 1.5)
    assert found.x.std() < 0.4
    assert found.y.std() < 0.4
    assert found.height.max() < 28.0


def test_distances_are_mahalanobis_within_classes():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 500)
    mix = random.normal(size=(5, 5))
    values = random.normal(size=(1000, 5)) @ mix + 10.0 * labels[:, None]
    reference = type(find_objects(rectangle(1, 1, 2, 2)))(*values.T, np.zeros(1000))
    found = distances(reference, labels, reference, labels)
    # The mean square is the number of directions, whatever the units and the classes' places.
    assert np.mean(found**2) == pytest.approx(5.0)
    from scipy.spatial.distance import mahalanobis

    centred = values - np.stack([values[labels == k].mean(axis=0) for k in (0, 1)])[labels]
    inverse = np.linalg.inv(centred.T @ centred / 1000)
    expected = [
        mahalanobis(values[k], values[labels == labels[k]].mean(axis=0), inverse)
        for k in (0, 3, 999)
    ]
    np.testing.assert_allclose(found[[0, 3, 999]], expected)
    # An object of class 0 that is where those of class 1 are is far from its class.
    assert np.all(distances(reference, 1 - labels, reference, labels) > found)


def test_constant_properties_and_unknown_classes_do_no_harm():
    same = find_objects(np.concatenate([rectangle(3, 5, 4, 8)] * 6))
    moved = find_objects(rectangle(4, 5, 4, 8))
    np.testing.assert_array_equal(distances(moved, [7], same, np.zeros(6, int)), 0.0)


def test_statistics_by_hand():
    images = np.concatenate([rectangle(3, 5, 4, 8), rectangle(5, 5, 4, 8), rectangle(3, 5, 8, 2)])
    objects = find_objects(images)
    found = object_statistics("train", objects, np.array([0, 0, 2]), 4)
    assert found.label == "train"
    nothing = [np.nan, np.nan]
    np.testing.assert_allclose(found.y, [[-4.0, 1.0], nothing, [-3.0, 0.0], nothing])
    np.testing.assert_allclose(found.width[[0, 2], 0], [8.0, 2.0])
    # Lying objects are 90 degrees from upright ones in either direction: no average of the two.
    assert abs(found.angle[0, 0]) == pytest.approx(90.0)
    assert found.angle[0, 1] == pytest.approx(0.0, abs=1e-4)


def test_the_spread_of_directions_is_that_of_lines():
    found = find_objects(rectangle(3, 5, 4, 8))
    random = np.random.default_rng(0)
    angles = 80.0 + random.normal(size=20_000) * 8.0
    lines = found._replace(angle=np.where(angles > 90.0, angles - 180.0, angles))
    many = type(found)(*[np.broadcast_to(each, (20_000,)) for each in lines])
    mean, deviation = object_statistics("test", many, np.zeros(20_000, int), 1).angle[0]
    assert mean == pytest.approx(80.0, abs=0.2)
    assert deviation == pytest.approx(8.0, rel=0.02)
