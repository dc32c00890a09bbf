import json

import numpy as np
import pytest

from common.errors import UserError
from evaluation.records import Result, rate
from evaluation.store import RecordStore
from tests.evaluation.test_suites import SPLIT

FACTS = {
    "suite": "rotation",
    "run": "mnist_cnn_seed0",
    "name": "mnist:cnn",
    "model": "mnist:cnn",
    "dataset": "mnist",
    "parameters": 12345,
    "environment": {"versions": {"jax": "0.10.2"}},
    "experiment": {},
    "seed": 0,
    "checkpoint": "99.00 % on validation",
    "step": 429,
    "weights": "0000007b",
    "limit": 0,
    "data": SPLIT.checksum,
    "seconds": 1.5,
}
HITS = np.arange(23) % 3 > 0
PICTURES = {"turned, 15": np.arange(12.0).reshape(2, 2, 3, 1) / 11.0, "3 words more": np.ones((1,))}
CURVE = rate(
    "rotation",
    "accuracy",
    HITS,
    SPLIT,
    condition="turned",
    strength=15.0,
    axis="angle, degrees",
    pictures=PICTURES,
)
NUMBER = Result("rotation", "auroc", 0.75, (0.7, 0.8), "bootstrap", 23, "x", flags=("few images",))


def test_a_record_comes_back_with_its_outcomes_and_pictures(tmp_path):
    store = RecordStore(tmp_path)
    assert store.find(FACTS) is None
    store.write(FACTS, [CURVE, NUMBER])
    for record in (store.find(FACTS), *store.read_all()):
        assert record.facts == FACTS
        assert record.results == (CURVE, NUMBER)
        np.testing.assert_array_equal(record.results[0].outcomes, HITS)
        assert record.results[1].outcomes is None
        assert record.results[0].pictures.keys() == PICTURES.keys()
        for name, shown in PICTURES.items():
            np.testing.assert_allclose(record.results[0].pictures[name], shown, atol=0.5 / 255)
        assert not record.results[1].pictures
    assert np.mean(HITS) == CURVE.value
    path = tmp_path / "records" / "mnist_cnn_seed0" / "99.00" / "rotation.json"
    assert "outcomes" not in json.loads(path.read_text())["results"][0]


@pytest.mark.parametrize("name", ["step", "weights", "limit", "data", "seed"])
def test_a_record_of_something_else_is_not_found(tmp_path, name):
    store = RecordStore(tmp_path)
    store.write(FACTS, [CURVE])
    assert store.find(FACTS | {"seconds": 9.0}) is not None
    assert store.find(FACTS | {name: 7}) is None


@pytest.mark.parametrize("content", ["{", '{"schema": 1, "results": []}', "{}"])
def test_a_damaged_record_is_named(tmp_path, content):
    store = RecordStore(tmp_path)
    store.write(FACTS, [CURVE])
    (path,) = tmp_path.glob("records/*/*/*.json")
    path.write_text(content)
    with pytest.raises(UserError, match=r"rotation.json .* delete it to measure again"):
        store.find(FACTS)
