import dataclasses

import numpy as np
import pytest

from evaluation.results.artifacts import (
    Artifact,
    ConfusionMatrix,
    Images,
    ObjectStatistics,
    ReliabilityDiagram,
    ShiftMap,
    Unknown,
    averages,
    kind_of,
    make,
)

NAN = np.nan
MATRIX = ConfusionMatrix.of(np.array([0, 0, 2, 1]), np.array([0, 2, 2, 0]), 3)
DIAGRAM = ReliabilityDiagram.of(
    np.array([0.31, 0.39, 0.95, 1.0]), np.array([True, False, True, True])
)
MAP = ShiftMap(np.arange(9.0).reshape(3, 3) / 8, label="all images")
STATISTICS = ObjectStatistics(*np.arange(20.0).reshape(5, 2, 2), label="test")
IMAGES = Images(
    np.array([0, 51, 255], np.float32).reshape(1, 3, 1, 1) / np.float32(255.0),
    label="squares, 10 %",
)
ALL = (MATRIX, DIAGRAM, MAP, STATISTICS, IMAGES)


def same(first, second):
    assert type(first) is type(second)
    assert first.label == second.label
    for name in first.names():
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_a_confusion_matrix_by_hand():
    np.testing.assert_array_equal(MATRIX.counts, [[1, 0, 1], [1, 0, 0], [0, 0, 1]])


def test_bins_of_confidence_by_hand():
    there = [3, 9]
    np.testing.assert_allclose(DIAGRAM.confidence[there], [0.35, 0.975])
    np.testing.assert_allclose(DIAGRAM.accuracy[there], [0.5, 1.0])
    np.testing.assert_array_equal(DIAGRAM.images, [0, 0, 0, 2, 0, 0, 0, 0, 0, 2])
    without = np.setdiff1d(np.arange(10), there)
    assert np.isnan(DIAGRAM.confidence[without]).all()
    assert np.isnan(DIAGRAM.accuracy[without]).all()


@pytest.mark.parametrize("artifact", ALL, ids=kind_of)
def test_an_artifact_is_read_as_it_was_written(artifact):
    arrays = artifact.to_arrays()
    same(type(artifact).from_arrays(artifact.label, arrays), artifact)
    same(make(kind_of(artifact), artifact.label, arrays), artifact)


def test_images_are_stored_with_8_bits():
    (stored,) = IMAGES.to_arrays().values()
    assert stored.dtype == np.uint8
    assert stored.ravel().tolist() == [0, 51, 255]


@pytest.mark.parametrize("artifact", ALL, ids=kind_of)
def test_missing_and_surplus_arrays_are_errors(artifact):
    arrays = artifact.to_arrays()
    with pytest.raises(ValueError, match=r"arrays|levels"):
        type(artifact).from_arrays("", {**arrays, "surplus": np.zeros(3)})
    arrays.popitem()
    with pytest.raises(ValueError, match=r"arrays|levels"):
        make(kind_of(artifact), "", arrays)


@pytest.mark.parametrize(
    ("kind", "arrays", "message"),
    [
        (ConfusionMatrix, [np.zeros((2, 3))], "ConfusionMatrix has no square of counts"),
        (ConfusionMatrix, [np.zeros((0, 0))], "no square of counts"),
        (ConfusionMatrix, [-np.ones((2, 2))], "no counts above zero"),
        (ReliabilityDiagram, [np.zeros(10), np.zeros(10), np.zeros(9)], "no bins of one number"),
        (ReliabilityDiagram, [np.zeros((2, 2))] * 3, "no bins of one number"),
        (ReliabilityDiagram, [np.zeros(3), np.zeros(3), -np.ones(3)], "no counts above zero"),
        (ShiftMap, [np.zeros((2, 2))], "no middle"),
        (ShiftMap, [np.zeros((3, 5))], "no middle"),
        (ShiftMap, [np.full((3, 3), 2.0)], "no shares"),
        (ShiftMap, [np.full((3, 3), NAN)], "no shares"),
        (ObjectStatistics, [np.zeros((3, 2))] * 4 + [np.zeros((4, 2))], "means and deviations"),
        (ObjectStatistics, [np.zeros((3, 3))] * 5, "means and deviations"),
        (Images, [np.zeros((4, 4, 1))], "no images"),
        (Images, [np.zeros((0, 4, 4, 1))], "no images"),
    ],
)
def test_other_shapes_and_values_are_errors(kind, arrays, message):
    with pytest.raises(ValueError, match=message):
        kind(*arrays)


def test_images_of_other_levels_are_errors():
    with pytest.raises(ValueError, match="8 bits"):
        Images.from_arrays("", {"images": np.zeros((1, 2, 2, 1))})


def test_means_leave_out_what_is_missing():
    first = ReliabilityDiagram(np.array([NAN, NAN, 0.2]), np.array([NAN, NAN, 0.0]), np.arange(3))
    second = ReliabilityDiagram(np.array([NAN, 0.5, 0.4]), np.array([NAN, 1.0, 1.0]), np.arange(3))
    (found,) = averages([first, second])
    np.testing.assert_allclose(found.confidence, [NAN, 0.5, 0.3])
    np.testing.assert_allclose(found.accuracy, [NAN, 1.0, 0.5])
    np.testing.assert_allclose(found.images, np.arange(3))


def test_means_are_of_one_kind_label_and_shape():
    other = dataclasses.replace(MAP, label="image 1, a 7")
    larger = ShiftMap(np.ones((5, 5)), label="all images")
    ones = ShiftMap(np.ones((3, 3)), label="all images")
    mean, lone, large, matrix = averages([MAP, other, larger, MATRIX, ones])
    np.testing.assert_allclose(mean.accuracy, (MAP.accuracy + 1.0) / 2.0)
    assert mean.label == "all images"
    assert (lone, large, matrix) == (other, larger, MATRIX)


def test_images_have_no_mean():
    assert averages([IMAGES, Images(1.0 - IMAGES.images, label=IMAGES.label)]) == (IMAGES,)


def test_an_unknown_kind_is_kept_as_it_was_stored():
    arrays = {"field": np.arange(3)}
    found = make("Saliency", "image 1", arrays)
    assert isinstance(found, Unknown)
    assert (kind_of(found), found.label, found.to_arrays()) == ("Saliency", "image 1", arrays)
    assert averages([found, make("Saliency", "image 1", arrays)]) == (found,)


def test_a_new_kind_is_a_class_alone():
    @dataclasses.dataclass(frozen=True, eq=False)
    class Attribution(Artifact):
        levels: np.ndarray

    first, second = (make("Attribution", "", {"levels": np.full(2, each)}) for each in (0.0, 1.0))
    assert isinstance(first, Attribution)
    (mean,) = averages([first, second])
    np.testing.assert_array_equal(mean.levels, [0.5, 0.5])
