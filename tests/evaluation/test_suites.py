import dataclasses
import pathlib
import types

import numpy as np
import pytest

from common.errors import UserError
from common.tables import markdown_table
from data.dataset import Dataset, Split
from evaluation import suites
from evaluation.comparison.contrasts import Outcome
from evaluation.comparison.tables import Stated, tabulate
from evaluation.model import Predictor, predict_all
from evaluation.results import earlier_schemas
from evaluation.results.quantities import Detail
from evaluation.statistics.intervals import wilson_interval
from tests.evaluation import made_up

# Image k shows the value k; its label is k modulo 4.
IMAGES = np.broadcast_to(np.arange(23, dtype=np.uint8)[:, None, None, None], (23, 28, 28, 1))
SPLIT = Split(np.ascontiguousarray(IMAGES), (np.arange(23) % 4).astype(np.int32))
DATASET = Dataset("counting", 4, SPLIT, SPLIT, SPLIT)


def perfect(images):
    images = np.round(255 * np.asarray(images)).astype(int)
    return np.eye(4)[images[:, 0, 0, 0] % 4]


def results_or_none(name, model, data):
    try:
        return suites.run(suites.load(name), model, data, batch_size=8)
    except suites.NotApplicable:
        return []


@pytest.mark.parametrize("batch_size", [1, 5, 23, 100])
def test_every_image_is_predicted_once_in_order(batch_size):
    sizes = []

    def predict(images):
        sizes.append(len(images))
        assert np.asarray(images).dtype == np.float32
        return np.round(255 * np.asarray(images[:, 0, 0]))

    outputs = predict_all(predict, SPLIT.images, batch_size=batch_size)
    np.testing.assert_array_equal(outputs[:, 0], np.arange(23))
    assert set(sizes) == {batch_size}  # one shape, one compilation


@pytest.mark.parametrize("batch_size", [4, 23, 50])
def test_clean_counts_every_image_exactly(batch_size):
    clean = suites.load("clean")
    (result,) = clean.evaluate(perfect, DATASET, batch_size=batch_size)
    assert (result.value, result.count) == (1.0, 23)
    (constant,) = clean.evaluate(
        lambda images: np.eye(4)[np.zeros(len(images), int)], DATASET, batch_size=batch_size
    )
    assert constant.value == 6 / 23  # blank filling of the last batch must not count as class 0
    assert constant.interval == wilson_interval(6, 23)
    assert constant.data_checksum == SPLIT.checksum


def test_every_suite_can_be_loaded_and_evaluates():
    files = pathlib.Path(suites.__file__).parent.rglob("[a-z]*.py")
    assert suites.names() == sorted(file.stem for file in files)
    applicable = set()
    accuracies = set()
    for name in suites.names():
        results = results_or_none(name, perfect, DATASET)
        assert all(result.suite == name for result in results)
        applicable |= {name} if results else set()
        accuracies |= {(name, r.chance) for r in results if r.metric.name == "accuracy"}
    # Every accuracy knows what guessing reaches.
    assert {chance for _, chance in accuracies} == {1 / 4}
    assert len(accuracies) >= 10
    # These need more than predictions for stored images; their own tests have it.
    assert applicable == set(suites.names()) - {
        "adversarial",
        "colocalisation",
        "cost",
        "coupling_maps",
        "detection",
        "faces",
        "layer_equivariance",
        "localized_attack",
        "overlaps",
        "patch",
        "place_probe",
        "pose",
        "pose_probe",
        "pose_sweeps",
        "reconstructions",
        "sliding_window",
        "viewpoints",
        "winning_paths",
    }


def test_an_unknown_suite_is_named():
    with pytest.raises(
        UserError, match=r"suite 'clear' does not exist; did you mean clean\?"
    ) as raised:
        suites.load("clear")
    assert all(name in str(raised.value) for name in suites.names())
    with pytest.raises(UserError, match=r"does not exist; python evaluate.py list describes all"):
        suites.load("")


def test_suites_have_their_earlier_names_too():
    for earlier, today in earlier_schemas.SUITES.items():
        assert suites.current(earlier) == suites.current(today) == today
        assert suites.load(earlier) is suites.load(today)
        assert earlier not in suites.names()
        assert f"{earlier} " not in suites.describe()
        assert today in suites.names()
    assert suites.current("rotation") == "rotation"
    assert suites.current("clear") == "clear"
    assert suites.examples("light", DATASET).keys() == (
        suites.examples("brightness_and_contrast", DATASET).keys()
    )


MADE_UP = """
import numpy as np

from evaluation.results.quantities import Metric
from evaluation.results.result import rate

CERTAIN = Metric("certain", higher_is_better=True)


def evaluate(predict, dataset, *, batch_size):
    hits = np.max(predict(dataset.test.images), axis=-1) > 0.9
    return rate("made_up", CERTAIN, hits, dataset.test)
"""


def test_a_new_metric_takes_one_constant_and_one_call():
    """A table has it under its name, with its contrasts tested."""
    suite = types.ModuleType("made_up")
    exec(MADE_UP, vars(suite))
    assert sum("CERTAIN" in line for line in MADE_UP.splitlines()) == 2
    split = Split(np.zeros((200, 4, 4, 1), np.uint8), np.zeros(200, np.int32))
    data = Dataset("blank", 4, split, split, split)

    def certain_of(share):
        return lambda images: (
            np.eye(4)[np.zeros(200, int)] * (np.arange(200) < 200 * share)[:, None]
        )

    records = [
        made_up.record(
            name, suites.run(suite, certain_of(share + 0.01 * seed), data, batch_size=200), seed
        )
        for name, share in (("sure", 0.9), ("unsure", 0.5))
        for seed in range(3)
    ]
    (table,) = tabulate(records, Stated())
    (verdict,) = table.verdicts
    assert (verdict.row.suite, verdict.row.metric) == ("made_up", suite.CERTAIN)
    assert (verdict.first, verdict.outcome) == ("sure", Outcome.BETTER)


def test_checksums_tell_data_apart():
    other = Split(SPLIT.images, SPLIT.labels[::-1].copy())
    assert other.checksum != SPLIT.checksum


def test_a_table_is_aligned_markdown():
    table = markdown_table([{"run": "a", "accuracy": "99.25 %"}, {"run": "bcd", "accuracy": "1 %"}])
    assert table.splitlines() == [
        "| run | accuracy |",
        "|-----|----------|",
        "| a   | 99.25 %  |",
        "| bcd | 1 %      |",
    ]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("name", ["clean", "rotation", "spatial_adversary", "calibration"])
def test_scores_that_are_no_numbers_end_a_suite(name, wrong):
    sizes = []

    def spoilt(images):
        sizes.append(len(images))
        logits = perfect(images)
        if len(sizes) > 1:  # NaN is class 0 to argmax, and infinity a certain prediction
            logits[2, 1] = wrong
        return logits

    with pytest.raises(UserError, match=r"output for image \d+ of \d+ is NaN or infinite"):
        suites.run(suites.load(name), spoilt, DATASET, batch_size=8)


def test_only_images_count_and_not_what_fills_a_batch():
    def blind_to_nothing(images):
        total = images.sum(axis=(1, 2, 3))
        logits = perfect(images)
        logits[total == 0.0] = np.nan
        return logits

    bright = Split(SPLIT.images + np.uint8(1), SPLIT.labels)
    assert np.isfinite(predict_all(blind_to_nothing, bright.images, batch_size=10)).all()
    with pytest.raises(UserError, match="test: the model's output for image 1 of 23 is NaN"):
        predict_all(blind_to_nothing, SPLIT.images, batch_size=10, name="test")


@pytest.mark.parametrize("labels", [[3], [1] * 9])
def test_few_images_and_missing_classes_give_results_or_none(labels):
    count = len(labels)
    few = Split(SPLIT.images[:count], np.array(labels, np.int32))
    data = Dataset("few", 4, few, few, few)

    def knowing(images):
        return perfect(images)

    known = Predictor.of(
        knowing,
        probabilities=knowing,
        reconstruction=lambda images: np.full_like(images, 0.5),
        features=lambda images: images[:, ::4, ::4, 0].reshape(len(images), -1),
        activations=lambda images: {"every other": images[:, ::2, ::2]},
    )
    hits = np.argmax(perfect(few.images / 255.0), axis=1) == labels
    for name in set(suites.names()) - {"faces", "spatial_adversary", "small_shifts"}:
        for result in results_or_none(name, known, data):
            low, high = result.interval
            assert np.isfinite([low, result.value, high]).all(), name
            assert low <= high
            if name == "clean":
                assert result.value == hits.mean()


def test_without_images_nothing_is_measured():
    none = Split(SPLIT.images[:0], SPLIT.labels[:0])
    data = Dataset("few", 4, SPLIT, SPLIT, none)
    with pytest.raises(UserError, match="few has no test images"):
        suites.run(suites.load("clean"), perfect, data, batch_size=8)


@pytest.mark.parametrize("side", [1, 3])
def test_images_of_a_few_pixels_are_moved_no_farther_than_they_reach(side):
    images = np.arange(4 * side**2, dtype=np.uint8).reshape(4, side, side, 1)
    split = Split(images, np.arange(4, dtype=np.int32))
    data = Dataset("tiny", 4, split, split, split)
    for name in ("small_shifts", "shift_map", "selectivity", "translation"):
        assert not results_or_none(name, perfect, data)
    assert suites.examples("selectivity", data) == {}


def test_a_suite_that_measures_nan_is_stopped():
    class Broken:
        @staticmethod
        def evaluate(predict, dataset, *, batch_size):
            (result,) = suites.load("clean").evaluate(predict, dataset, batch_size=batch_size)
            return dataclasses.replace(result, details={"ratio": Detail(float("nan"))})

    with pytest.raises(UserError, match="clean, accuracy: accuracy is NaN"):
        suites.run(Broken, perfect, DATASET, batch_size=8)
