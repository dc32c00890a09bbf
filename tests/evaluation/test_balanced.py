"""Balanced accuracy: where it is measured, its value and the width of its interval."""

import dataclasses

import numpy as np
import pytest

from data.dataset import Dataset, Split
from data.labels import are_unbalanced
from evaluation import suites
from evaluation.metrics.classification import BALANCED_ACCURACY, balanced, recalls
from evaluation.reports.figures.predictions import draw_confusions
from evaluation.results.schema import result_from_json, result_to_json
from evaluation.statistics.bootstrap import resample

COUNTS = (60, 10, 30)
LABELS = np.repeat(np.arange(3), COUNTS).astype(np.int32)


def by_hand(right, labels):
    """The mean recall, class by class."""
    of_class = []
    for label in sorted(set(labels.tolist())):
        hits = [bool(h) for h, each in zip(right, labels, strict=True) if each == label]
        of_class.append(sum(hits) / len(hits))
    return sum(of_class) / len(of_class)


def test_the_mean_recall():
    right = np.isin(np.arange(100), [*range(45), 60, *range(70, 91)])
    np.testing.assert_allclose(recalls(right, LABELS, 3), [45 / 60, 1 / 10, 21 / 30])
    expected = (45 / 60 + 1 / 10 + 21 / 30) / 3
    assert by_hand(right, LABELS) == pytest.approx(expected)
    assert balanced(right, LABELS, 3).mean() == pytest.approx(expected)
    # A class without test images does not count.
    assert balanced(right, LABELS, 4).mean() == pytest.approx(expected)
    assert np.isnan(recalls(right, LABELS, 4)[3])


def test_its_bootstrap_varies_as_the_ratios_do():
    """Resampled means of the outcomes against recalls that are counted anew in each resample."""
    random = np.random.default_rng(0)
    labels = np.repeat(LABELS, 4)
    right = random.random(len(labels)) < np.array([0.9, 0.4, 0.7])[labels]
    drawn = random.integers(len(labels), size=(2000, len(labels)))
    ratios = [by_hand(right[places], labels[places]) for places in drawn]
    replicates = resample(balanced(right, labels, 3)[None])
    assert np.std(replicates) == pytest.approx(np.std(ratios), rel=0.08)


def test_classes_are_unbalanced_beyond_chance_only():
    assert are_unbalanced(LABELS, 3)
    assert are_unbalanced(np.repeat([0, 1], [70, 30]), 3)  # a class without images
    assert not are_unbalanced(np.repeat([0, 1, 2], [30, 20, 25]), 3)
    assert not are_unbalanced(np.zeros(50, int), 1)
    # MNIST's numbers of test digits, and samples of equal classes.
    digits = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert not are_unbalanced(np.repeat(np.arange(10), digits), 10)
    random = np.random.default_rng(0)
    assert not any(are_unbalanced(random.integers(10, size=50), 10) for _ in range(200))


def measured(labels, names=()):
    images = np.zeros((len(labels), 4, 4, 1), np.uint8)
    images[:, 0, 0, 0] = np.where(np.arange(len(labels)) % 4 == 0, 0, labels)
    split = Split(images, labels.astype(np.int32))
    dataset = Dataset("pets", 3, split, split, split, class_names=names)

    def predict(images):
        return np.eye(3)[np.round(255 * np.asarray(images)[:, 0, 0, 0]).astype(int)]

    return [
        result
        for suite in ("clean", "confusions")
        for result in suites.run(suites.load(suite), predict, dataset, batch_size=50)
    ]


def test_the_clean_suite_measures_it_where_classes_are_unbalanced():
    accuracy, mean_recall, confusions = measured(LABELS, ("cat", "dog", "emu"))
    right = (LABELS == 0) | (np.arange(100) % 4 != 0)
    assert accuracy.value == right.mean()
    assert mean_recall.metric == BALANCED_ACCURACY
    assert mean_recall.value == pytest.approx(by_hand(right, LABELS))
    low, high = mean_recall.interval
    assert 0.0 <= low < mean_recall.value < high <= 1.0
    assert {name: detail.value for name, detail in mean_recall.details.items()} == {
        "recall of cat": 1.0,
        "recall of dog": pytest.approx(np.mean(right[LABELS == 1])),
        "recall of emu": pytest.approx(np.mean(right[LABELS == 2])),
    }
    assert confusions.definition == {"classes": 3, "class names": ["cat", "dog", "emu"]}
    for result in (mean_recall, confusions):
        assert result_from_json(result_to_json(result)).definition == result.definition
    balanced_classes = measured(np.arange(99) % 3)
    assert [result.metric.name for result in balanced_classes] == ["accuracy", "errors"]
    assert balanced_classes[-1].definition == {"classes": 3}


def test_the_figure_of_confusions_has_the_names_of_classes():
    names = ["cat", "a very long name of a class", "1 $ emu"]
    axes = draw_confusions({"net": np.ones((3, 3))}, names).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "cat",
        "a very long…",
        r"1 \$ emu",
    ]
    numbers = draw_confusions({"net": np.ones((3, 3))}).axes[0]
    numbers.figure.canvas.draw()
    assert [label.get_text() for label in numbers.get_yticklabels()] == ["0", "1", "2"]


def test_rendered_images_are_not_counted_by_their_sources():
    split = Split(np.zeros((100, 4, 4, 1), np.uint8), LABELS)
    assert Dataset("pets", 3, split, split, split).is_unbalanced
    assert not Dataset("sums", 5, split, split, split).is_unbalanced
    faces = Split(split.images, np.zeros(100, np.int32))  # whose labels are drawn in every step
    assert not Dataset("faces", 3, faces, split, split, generator=object()).is_unbalanced


def test_an_imbalance_is_a_sentence():
    split = Split(np.zeros((100, 4, 4, 1), np.uint8), LABELS)
    dataset = Dataset("pets", 3, split, split, split, class_names=("cat", "dog", "emu"))
    assert dataset.imbalance == (
        "classes are unbalanced: 60 training images of cat, 10 of dog; see balanced accuracy, "
        "and --config.dataset.balanced=True draws all as often"
    )
    rendered = dataclasses.replace(dataset, generator=object())  # which takes no such argument
    assert (rendered.imbalance or "").endswith("10 of dog; see balanced accuracy")
    even = Split(split.images[:99], (np.arange(99) % 3).astype(np.int32))
    for train, test in ((even, even), (even, split), (split, even)):
        dataset = Dataset("pets", 3, train, even, test)
        assert not dataset.is_unbalanced
        assert dataset.imbalance is None
