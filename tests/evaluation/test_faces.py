import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn import ConvolutionalNetworkConfig
from data.dataset import Dataset, Split
from data.faces import arrangements
from data.faces.conditions import KEEP, Renderer, cut_and_paste, renderer, small_moves, widened
from data.faces.tasks import FACE, FacesConfig
from evaluation import suites
from evaluation.metrics.faces import face_threshold, half_way, selectivity
from evaluation.model import Predictor
from evaluation.statistics import intervals
from evaluation.statistics.intervals import auroc
from evaluation.suites import NotApplicable

COUNT = 120
SUITE = suites.load("faces")


def test_the_threshold_misses_five_percent():
    scores = np.random.default_rng(2).normal(size=1000)
    assert np.mean(scores < face_threshold(scores)) == 0.05


def test_half_way_is_interpolated():
    strengths = np.array([0.0, 0.5, 1.0])
    rows = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 0], [1, 0, 0]], bool)
    # From 3/4 at 0.5 to 0 at 1: one half is a third of that way.
    assert half_way(rows, strengths) == pytest.approx(0.5 + 0.5 / 3)
    assert half_way(np.ones((4, 3), bool), strengths) == 1.0
    assert half_way(np.zeros((4, 3), bool), strengths) == 0.0


def test_selectivity_is_a_ratio_of_changes():
    whole = np.array([1.0, -1.0])
    assert selectivity(whole, np.array([5.0, -5.0]), np.array([0.0, 2.0])) == 2.0
    assert selectivity(whole, whole, whole) == 0.0


_RENDERED = {}


def shared_renderer(config, role, count):
    """`renderer`, whose images are kept for all tests."""

    def show(contents, *, progress=1.0, change=KEEP):
        key = (repr(config), role, count, contents.tobytes(), progress, change.tobytes())
        if key not in _RENDERED:
            maker = (repr(config), role, count)
            if maker not in _RENDERED:
                _RENDERED[maker] = renderer(config, role, count)
            _RENDERED[key] = _RENDERED[maker](contents, progress=progress, change=change)
        return _RENDERED[key]

    return Renderer(
        show,
        whole=lambda: show(arrangements.HOME),
        sham=lambda: cut_and_paste(show),
    )


@pytest.fixture(autouse=True)
def render_once(monkeypatch):
    monkeypatch.setattr(SUITE, "renderer", shared_renderer)


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr(intervals, "_RESAMPLES", 50)


@functools.cache
def dataset(task):
    config = FacesConfig(task, validation_images=COUNT, test_images=COUNT)
    return config.load(None)


@functools.cache
def table(task):
    """The right class of all images of the suite, by their pixels."""
    config, data = dataset(task).generator, dataset(task)
    classes = {}

    def learn(images, labels):
        labels = np.broadcast_to(labels, len(images))
        classes.update((i.tobytes(), k) for i, k in zip(images, labels, strict=True))

    learn(data.test.images, data.test.labels)
    if task == "configuration":
        for each in (config, widened(config)):
            show = shared_renderer(each, "test pairs", COUNT)
            learn(show(arrangements.CONFIGURATIONS), np.arange(COUNT) % 6)
        return classes
    for role, count in (("validation pairs", COUNT), ("test pairs", COUNT)):
        show = shared_renderer(config, role, count)
        for change in (KEEP, small_moves(count)):
            learn(show(arrangements.HOME, change=change), FACE)
    learn(shared_renderer(widened(config), "test pairs", COUNT)(arrangements.HOME), FACE)
    return classes


def oracle(task):
    """Knows every face by its pixels; every other image is none, or of class 0."""

    def predict(images):
        pixels = np.round(np.asarray(images) * 255).astype(np.uint8)
        return np.eye(dataset(task).num_classes)[[table(task).get(i.tobytes(), 0) for i in pixels]]

    return predict


def by_condition(results, metric):
    return {result.condition: result for result in results if result.metric.name == metric}


@functools.cache
def oracle_results(task):
    return suites.run(SUITE, oracle(task), dataset(task), batch_size=50)


def test_images_that_are_no_faces_are_not_measured():
    split = Split(np.zeros((3, 32, 32, 1), np.uint8), np.zeros(3, np.int32))
    stored = Dataset("stored", 2, split, split, split)
    with pytest.raises(NotApplicable, match="not made of the parts of faces"):
        suites.run(SUITE, oracle("relation"), stored, batch_size=3)


@pytest.mark.usefixtures("few_resamples")
def test_an_oracle_of_faces_is_perfect():
    results = oracle_results("relation")
    scrambles = (SUITE.TRAINED, SUITE.HELD_OUT)
    for name in (*scrambles, SUITE.WIDE_HELD_OUT):
        assert by_condition(results, "AUROC")[name].value == 1.0
        effect = by_condition(results, "configural effect")[name]
        assert (effect.value, effect.interval) == (2.0, (2.0, 2.0))
        assert effect.value == np.mean(effect.outcomes)
        assert by_condition(results, "false-positive rate")[name].value == 0.0
    for name in ("intact", "sham", "small move", SUITE.WIDE):
        assert by_condition(results, "classified as a face")[name].value == 1.0
    for name in ("missing part", "doubled part", "single part", "no part", "clutter"):
        assert by_condition(results, "false-positive rate")[name].value == 0.0
    curve = [r for r in results if r.axis]
    assert [r.value for r in curve] == [1.0] + [0.0] * 8
    t50 = by_condition(results, "t50")["displacement"]
    assert (t50.value, t50.interval) == (0.0625, (0.0625, 0.0625))
    assert all(by_condition(results, "selectivity")[name].value > 1e6 for name in scrambles)


@pytest.mark.usefixtures("few_resamples")
def test_every_result_is_defined():
    for task in ("relation", "configuration"):
        for result in oracle_results(task):
            assert result.condition
            assert result.count == COUNT
            assert len(result.data_checksum) == 64
            assert result.definition["task"] == task
            assert "at the ceiling of its own task" in result.flags
            assert result.interval[0] <= result.value + 1e-9
            assert result.value <= result.interval[1] + 1e-9
    pairs = [(r.metric.name, r.condition, r.strength) for r in oracle_results("relation")]
    assert len(set(pairs)) == len(pairs)


@pytest.mark.usefixtures("few_resamples")
def test_an_oracle_of_configurations_is_perfect():
    accuracy = by_condition(oracle_results("configuration"), "accuracy")
    assert accuracy["intact"].value == accuracy[SUITE.WIDE].value == 1.0
    assert accuracy["no part"].value == pytest.approx(1 / 6)
    assert accuracy["no part"].details["class 0"].value == 1.0


@pytest.mark.usefixtures("few_resamples")
def test_conditions_in_which_models_cannot_differ_are_not_ranked():
    rates = ("classified as a face", "false-positive rate")
    whole = [r for r in oracle_results("relation") if r.metric.name in rates and not r.axis]
    unranked = {r.condition for r in whole if r.metric.higher_is_better is None}
    assert unranked == {"sham", "eye swap", SUITE.INVERTED}
    accuracies = oracle_results("configuration")
    unranked = {r.condition for r in accuracies if r.metric.higher_is_better is None}
    assert unranked == {"eye swap", "no part"}
    assert {r.chance for r in accuracies} == {1 / 6}


def test_a_fold_shows_its_own_kind_of_scrambles():
    """Rendered from the permutations that its task does not train on."""
    config = FacesConfig("relation", validation_images=6, test_images=6, fold=2)
    shown = suites.examples("faces", config.load(None))
    show = shared_renderer(config, "test pairs", 6)
    for name, of in (
        (SUITE.HELD_OUT, arrangements.held_out),
        (SUITE.TRAINED, arrangements.trained),
    ):
        assert np.array_equal(np.round(255.0 * shown[name]), show(of(2)))
    assert np.array_equal(shown[SUITE.HELD_OUT], shown["displacement, 1 of the way"])


@pytest.mark.usefixtures("few_resamples")
def test_a_model_that_classifies_everything_as_a_face_is_flagged():
    def predict(images):
        return np.tile([0.0, 1.0], (len(images), 1))

    results = suites.run(SUITE, predict, dataset("relation"), batch_size=60)
    false = by_condition(results, "false-positive rate")
    assert all(result.value == 1.0 for result in false.values())
    assert by_condition(results, "AUROC")[SUITE.HELD_OUT].value == 0.5
    assert by_condition(results, "configural effect")[SUITE.HELD_OUT].value == 0.0
    assert by_condition(results, "t50")["displacement"].value == 1.0
    assert any("never falls" in flag for flag in by_condition(results, "t50")["displacement"].flags)
    assert all(any("near chance" in flag for flag in result.flags) for result in results)


@pytest.mark.usefixtures("few_resamples")
def test_scrambles_that_are_reconstructed_badly_are_detected():
    known = table("relation")

    def reconstruct(images):
        pixels = np.round(np.asarray(images) * 255).astype(np.uint8)
        right = np.array([known.get(i.tobytes(), 0) for i in pixels])
        return np.asarray(images) * right[:, None, None, None]

    predictor = Predictor.of(
        lambda images: np.tile([0.0, 1.0], (len(images), 1)), reconstruction=reconstruct
    )
    results = suites.run(SUITE, predictor, dataset("relation"), batch_size=60)
    detected = by_condition(results, "detection rate")
    assert detected[SUITE.HELD_OUT].value == detected[SUITE.TRAINED].value == 1.0
    # The error of an intact face is rounding, of which the threshold cuts off 5 % as well.
    assert by_condition(results, "false alarm rate")["intact"].value == pytest.approx(
        0.05, abs=0.05
    )
    assert by_condition(results, "undetected false-positive rate")[SUITE.TRAINED].value == 0.0
    assert by_condition(results, "AUROC of reconstruction error")[SUITE.TRAINED].value == 1.0
    assert not by_condition(oracle_results("relation"), "detection rate")


def test_an_untrained_network_is_at_chance():
    config = FacesConfig("relation")
    show = shared_renderer(config, "test pairs", 600)
    network = ConvolutionalNetworkConfig((8, 8), 5, "SAME", ("max2", "max2"), (16,), 0.0).build(
        (32, 32, 1), 2, nnx.Rngs(0)
    )
    logits_of = jax.jit(lambda images: network(images / 255.0).logits)
    whole, scrambled = (
        np.asarray(logits_of(jnp.asarray(show(contents), jnp.float32)))
        for contents in (arrangements.HOME, arrangements.held_out(0))
    )
    difference = [logits[:, 1] - logits[:, 0] for logits in (whole, scrambled)]
    assert 0.45 <= auroc(*difference) <= 0.55


def test_pictures_show_the_faces_that_are_measured():
    scrambles = suites.examples("faces", dataset("relation"))
    assert np.array_equal(scrambles["intact"], scrambles["sham"])
    assert np.array_equal(scrambles["intact"], scrambles["displacement, 0 of the way"])
    held_out = scrambles[SUITE.HELD_OUT]
    assert np.array_equal(held_out, scrambles["displacement, 1 of the way"])
    assert np.any(held_out != scrambles["intact"])
    show = shared_renderer(dataset("relation").generator, "test pairs", len(held_out))
    assert np.array_equal(np.round(255.0 * held_out), show(arrangements.held_out(0)))
    arranged = suites.examples("faces", dataset("configuration"))
    assert np.array_equal(arranged["intact"], arranged["eye swap"])
    assert len(np.unique(arranged["intact"], axis=0)) == len(arrangements.CONFIGURATIONS)


def test_other_images_have_no_faces_to_show():
    digits = Split(np.zeros((6, 28, 28, 1), np.uint8), np.zeros(6, np.int32))
    assert not suites.examples("faces", Dataset("digits", 10, digits, digits, digits))
