import dataclasses

import matplotlib as mpl
import numpy as np
import pytest

from data.dataset import Dataset, Split
from evaluation import suites
from evaluation.comparison.tables import tabulate
from evaluation.metrics.moments import find_objects
from evaluation.reports.figures.artifacts import figures_of
from evaluation.reports.figures.style import SETTINGS
from evaluation.suites import NotApplicable
from evaluation.suites.representation import object_statistics
from tests.evaluation.made_up import record
from tests.evaluation.suites.digits import constant, mnist

COUNT = 253


def squares(moves):
    """A square for each move, that many pixels right of the middle; labels are all 7."""
    images = np.zeros((len(moves), 28, 28, 1), np.uint8)
    for image, move in zip(images, moves, strict=True):
        image[10:18, 10 + move : 18 + move] = 255
    return Split(images, np.full(len(moves), 7, np.int32))


def moved_squares():
    """Training images lie within a pixel of the middle, test images up to ten from it."""
    near, far = squares(np.arange(60) % 3 - 1), squares(np.arange(COUNT) % 11)
    return Dataset("squares", 10, near, near, far)


def by_split(places):
    return {each.label: each for each in places.artifacts}


def evaluate(predict, data):
    results = object_statistics.evaluate(predict, data, batch_size=50)
    return results[0], results[1:]


def knows_the_middle(images):
    """Predicts 7 where a square lies within three pixels of the middle."""
    offset = find_objects(np.round(255 * np.asarray(images)).astype(np.uint8)).x
    return np.eye(10)[np.where(np.abs(offset) < 3.5, 7, 0)]


def test_accuracy_falls_with_the_distance_from_training():
    data = moved_squares()
    _, curve = evaluate(knows_the_middle, data)
    assert [result.strength for result in curve] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert all(result.count == COUNT // 5 for result in curve)
    # Moves 0 to 3 are right: 92 of 253 images, of which three are in no share.
    assert [result.value for result in curve] == [1.0, 39 / 50, 0.0, 0.0, 0.0]
    medians = [result.details["median distance"].value for result in curve]
    assert {result.details["median distance"].unit for result in curve} == {"standard deviations"}
    assert medians == sorted(medians)
    # A training image is 0 or 1 pixels off, sqrt(2/3) on average; a median of 9 or 10 is so far.
    assert medians[-1] == pytest.approx(10.0 / np.sqrt(2 / 3), abs=1.3)


def test_the_spread_of_places_is_by_hand():
    places, _ = evaluate(constant, moved_squares())
    moves = np.arange(COUNT) % 11
    assert places.value == pytest.approx(np.abs(moves - moves.mean()).mean(), rel=1e-4)
    found = by_split(places)
    assert list(found) == ["train", "validation", "test"]
    np.testing.assert_allclose(found["test"].x[7], [moves.mean(), moves.std()], rtol=1e-5)
    np.testing.assert_allclose(found["train"].width[7], [8.0, 0.0], atol=1e-5)
    assert np.isnan(found["test"].x[:7]).all()
    assert places.metric.unit == "px"
    assert places.metric.higher_is_better is None


def test_mnist_hardly_moves():
    images, labels = mnist("test")
    split = Split(images[:300], labels[:300].astype(np.int32))
    places, _ = evaluate(constant, Dataset("mnist", 10, split, split, split))
    assert places.value < 0.6


def test_rendered_images_are_compared_with_validation_images():
    data = moved_squares()
    rendered = dataclasses.replace(data.test, poses=np.zeros((COUNT, 1, 6)))
    for other in (
        dataclasses.replace(data, generator="a generator"),
        dataclasses.replace(data, test=rendered),
        dataclasses.replace(data, train=Split(data.train.images[:, :20, :20], data.train.labels)),
    ):
        places, curve = evaluate(knows_the_middle, other)
        assert curve[0].definition["from"] == "validation images"
        assert list(by_split(places)) == ["validation", "test"]
    assert evaluate(constant, data)[1][0].definition["from"] == "train images"


def test_shares_of_several_seeds_can_be_drawn_anew_together():
    data = moved_squares()
    records = [
        record(name, object_statistics.evaluate(predict, data, batch_size=50), seed=seed)
        for name, predict in (("constant", constant), ("middle", knows_the_middle))
        for seed in (0, 1)
    ]
    (table,) = tabulate(records)
    _, row = table.rows
    assert row.headlines["middle"].strengths == (5.0,)
    # It is right everywhere, for everything is a 7.
    assert row.headlines["constant"].value > row.headlines["middle"].value


def test_statistics_are_drawn_once_with_every_split_and_class():
    results = object_statistics.evaluate(constant, moved_squares(), batch_size=50)
    (table,) = tabulate([record(name, results) for name in ("a", "b")])
    (planned,) = figures_of(table.rows[:1], {})
    with mpl.rc_context(SETTINGS):
        figure = planned.draw()
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert len(shown) == 5
    for axis in shown:
        assert len(axis.containers) == 3  # splits
    points = shown[0].containers[0].lines[0].get_xydata()
    assert points.shape == (10, 2)
    assert np.isfinite(points[:, 1]).tolist() == [label == 7 for label in range(10)]


def test_too_few_images_have_no_shares():
    data = moved_squares()
    few = dataclasses.replace(data, test=data.test.sample(4))
    with pytest.raises(NotApplicable, match="fewer than 5"):
        suites.run(object_statistics, constant, few, batch_size=50)
