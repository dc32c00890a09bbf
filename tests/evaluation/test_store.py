import dataclasses
import json

import numpy as np
import pytest

from common.errors import UserError
from data.dataset import Split
from evaluation.metrics.classification import ACCURACY
from evaluation.results.artifacts import ConfusionMatrix, Images
from evaluation.results.provenance import Checkpoint, Provenance
from evaluation.results.quantities import Axis, Detail, Metric
from evaluation.results.result import Record, Result, rate
from evaluation.results.store import RecordStore

SPLIT = Split(np.zeros((23, 4, 4, 1), np.uint8), np.zeros(23, np.int32))
PROVENANCE = Provenance(
    run="mnist_cnn_seed0",
    name="mnist:cnn",
    model="mnist:cnn",
    dataset="mnist",
    data=SPLIT.checksum,
    weights="0000007b",
    environment={"versions": {"jax": "0.10.2"}},
    seed=0,
    checkpoint=Checkpoint.matched(0.99),
    step=429,
    parameters=12345,
    experiment={},
)
HITS = np.arange(23) % 3 > 0
IMAGES = (
    Images(np.arange(12.0).reshape(2, 2, 3, 1) / 11.0, label="turned, 15"),
    Images(np.ones((1, 1, 1, 3)), label="3 words/more"),
)
CURVE = rate(
    "rotation",
    ACCURACY,
    HITS,
    SPLIT,
    condition="turned",
    strength=15.0,
    axis=Axis("angle", "degrees", identity=0.0),
    chance=0.25,
    details={"ink": Detail(0.5), "distance": Detail(2.0, "px")},
    definition={"padding": "zeros"},
    artifacts=(*IMAGES, ConfusionMatrix(np.eye(2))),
)
NUMBER = Result(
    "rotation",
    Metric("R2", "", True, (-np.inf, 1.0)),
    0.75,
    (0.7, 0.8),
    "bootstrap",
    23,
    "x",
    flags=("few images",),
)
RECORD = Record("rotation", PROVENANCE, (CURVE, NUMBER), 1.5)


def assert_same(found, expected):
    """Two records are equal, arrays too; images as far as 8 bits go."""
    assert found == expected
    for result, other in zip(found.results, expected.results, strict=True):
        assert (result.outcomes is None) == (other.outcomes is None)
        if result.outcomes is not None:
            assert result.outcomes.dtype == other.outcomes.dtype
            np.testing.assert_array_equal(result.outcomes, other.outcomes)
        for artifact, wanted in zip(result.artifacts, other.artifacts, strict=True):
            assert (type(artifact), artifact.label) == (type(wanted), wanted.label)
            for name in wanted.names():
                levels = getattr(artifact, name), getattr(wanted, name)
                np.testing.assert_allclose(*levels, atol=0.5 / 255)


def test_a_record_comes_back_with_its_outcomes_and_artifacts(tmp_path):
    store = RecordStore(tmp_path)
    assert store.find("rotation", PROVENANCE) is None
    store.write(RECORD)
    found = store.find("rotation", PROVENANCE)
    assert found is not None
    for record in (found, *store.read_all()):
        assert_same(record, RECORD)
    assert np.mean(HITS) == CURVE.value
    path = tmp_path / "records" / "mnist_cnn_seed0" / "99.00" / "rotation.json"
    assert "outcomes" not in json.loads(path.read_text())["results"][0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", 7),
        ("weights", "7"),
        ("limit", 7),
        ("data", "7"),
        ("seed", 7),
        ("checkpoint", Checkpoint.matched(0.990001)),
    ],
)
def test_a_record_of_something_else_is_not_found(tmp_path, name, value):
    store = RecordStore(tmp_path)
    store.write(RECORD)
    elsewhere = dataclasses.replace(PROVENANCE, environment={"device": "another"})
    assert store.find("rotation", elsewhere) is not None
    assert store.find("rotation", dataclasses.replace(PROVENANCE, **{name: value})) is None


@pytest.mark.parametrize("content", ["{", '{"schema": 4, "results": []}', "{}"])
def test_a_damaged_record_is_named(tmp_path, content):
    store = RecordStore(tmp_path)
    store.write(RECORD)
    (path,) = tmp_path.glob("records/*/*/*.json")
    path.write_text(content)
    with pytest.raises(UserError, match=r"rotation.json .* delete it to measure again"):
        store.find("rotation", PROVENANCE)
