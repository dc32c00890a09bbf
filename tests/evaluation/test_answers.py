import numpy as np

from evaluation.results.answers import (
    confusion_details,
    is_of_answers,
    read_confusion,
    read_reliability,
    reliability_details,
)


def test_a_confusion_matrix_is_read_as_it_was_written():
    details = confusion_details(np.array([0, 0, 2, 1]), np.array([0, 2, 2, 0]), 3)
    assert details["label 0, answer 2"] == 1.0
    np.testing.assert_array_equal(
        read_confusion({**details, "pixels": 7.0}), [[1, 0, 1], [1, 0, 0], [0, 0, 1]]
    )
    assert read_confusion({"pixels": 7.0}) is None


def test_bins_of_confidence_by_hand():
    confidences = np.array([0.31, 0.39, 0.95, 1.0])
    details = reliability_details(confidences, np.array([True, False, True, True]))
    found = read_reliability({**details, "pixels": 7.0})
    np.testing.assert_allclose(found, [[0.35, 0.5, 2], [0.975, 1.0, 2]])
    assert set(details) == {f"{kind} in bin {k}" for kind in KINDS for k in (3, 9)}
    assert read_reliability({"pixels": 7.0}) is None


KINDS = ("confidence", "accuracy", "images")


def test_numbers_of_their_own_are_told_apart():
    names = ["label 10, answer 2", "images in bin 0", "images", "label 1", "chance"]
    assert [is_of_answers(name) for name in names] == [True, True, False, False, False]
