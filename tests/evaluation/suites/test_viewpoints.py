import dataclasses
import types

import numpy as np
import pytest

from data.dataset import Dataset, Split
from evaluation import suites
from evaluation.applicability import NotApplicable
from inference.subjects import elsewhere

SUITE = suites.load("viewpoints")


def split(azimuths, wrong):
    """Images of four classes in turn; the first pixel is the class that a model is to predict."""
    count = len(azimuths)
    labels = (np.arange(count) % 4).astype(np.int32)
    images = np.zeros((count, 4, 4, 1), np.uint8)
    images[:, 0, 0, 0] = (labels + wrong) % 4
    factors = {"azimuth": np.array(azimuths), "elevation": np.full(count, 30)}
    return Split(images, labels, factors=factors)


FAMILIAR = split([0, 0, 20, 20], [0, 1, 0, 0])
NOVEL = split([40, 40, 60, 60, 60], [1, 1, 0, 0, 1])
DATASET = Dataset("toys", 4, FAMILIAR, FAMILIAR, FAMILIAR, novel=NOVEL)


def predict(images):
    return np.eye(4)[np.round(255 * images[:, 0, 0, 0]).astype(int)]


def measured(dataset):
    return {r.condition: r for r in suites.run(SUITE, predict, dataset, batch_size=3)}


def test_accuracies_are_of_their_own_images_at_each_viewpoint():
    results = measured(DATASET)
    assert list(results) == ["familiar viewpoints", "novel viewpoints"]
    familiar, novel = results.values()
    assert (familiar.value, familiar.count) == (0.75, 4)
    assert (novel.value, novel.count) == (pytest.approx(0.4), 5)
    assert novel.data_checksum == NOVEL.checksum != familiar.data_checksum
    found = {name: detail.value for name, detail in novel.details.items()}
    assert found == {
        "azimuth 40 degrees": 0.0,
        "azimuth 60 degrees": pytest.approx(2 / 3),
        "elevation 30 degrees": pytest.approx(0.4),
    }


def test_without_novel_viewpoints_there_is_one_condition():
    assert list(measured(dataclasses.replace(DATASET, novel=None))) == ["familiar viewpoints"]


def test_unknown_viewpoints_are_not_measured():
    plain = Split(FAMILIAR.images, FAMILIAR.labels)
    with pytest.raises(NotApplicable, match="viewpoints of the images of toys are not known"):
        measured(Dataset("toys", 4, plain, plain, plain))
    assert suites.examples("viewpoints", Dataset("toys", 4, plain, plain, plain)) == {}


def test_fewer_images_are_fewer_of_both():
    subject = types.SimpleNamespace(dataset=DATASET, on=lambda dataset, **_: dataset)
    few = elsewhere(subject, None, 3, None)
    assert (len(few.test), len(few.novel)) == (3, 3)
    shown = suites.examples("viewpoints", DATASET)
    assert [len(images) for images in shown.values()] == [4, 5]
