import sys

import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from evaluation import custom_model, suites
from evaluation.model import Predictor
from tests.evaluation.test_suites import DATASET, SPLIT, perfect

MODULE = """
import numpy as np

def create():
    return lambda images: np.zeros((len(images), 4))

def nothing():
    return None

def broken():
    raise ValueError("no weights here")
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "a_model_of_mine.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_model_in_the_working_directory(module):
    predict = custom_model.load("a_model_of_mine:create")
    custom_model.check("a_model_of_mine:create", predict, DATASET)
    assert np.asarray(predict(DATASET.test.images[:3])).shape == (3, 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a_model_of_mine", "name a module and a function"),
        ("not_there:create", "No module named 'not_there'"),
        ("a_model_of_mine:make", "has no attribute 'make'"),
        ("a_model_of_mine:nothing", r"nothing\(\) must return a function"),
        ("a_model_of_mine:broken", "ValueError: no weights here"),
    ],
)
def test_models_that_are_not(module, name, message):
    with pytest.raises(UserError, match=message):
        custom_model.load(name)


def fails(images):
    raise TypeError("only colour")


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda images: np.zeros((len(images), 3)), r"with shape \(2, 3\); it must be \(2, 4\)"),
        (lambda images: [[0.0] * 4] * 3, r"with shape \(3, 4\); it must be \(2, 4\)"),
        (lambda images: None, "fails on images of shape"),
        (lambda images: [["a"] * 4] * 2, "could not convert string to float"),
        (lambda images: np.zeros((2, 4), complex), "complex"),
        (lambda images: sys.exit(3), "SystemExit"),
        (lambda images: np.full((len(images), 4), np.nan), "NaN"),
        (fails, "only colour"),
    ],
)
def test_answers_that_do_not_fit(predict, message):
    with pytest.raises(UserError, match=message):
        custom_model.check("mine:create", predict, DATASET)


class Tensor:
    """As PyTorch's: an array only once it is detached and on the host."""

    def __init__(self, values, ready=False):
        self.values, self.ready = values, ready

    def detach(self):
        return Tensor(self.values)

    def cpu(self):
        return Tensor(self.values, ready=True)

    def __array__(self, dtype=None, copy=None):
        if not self.ready:
            raise RuntimeError("use detach() and cpu() first")
        return np.asarray(self.values, dtype)


def in_place(images):
    images *= 255.0
    images += 0.25
    return perfect(np.floor(images) / 255.0)


ANSWERS = {
    "double": lambda images: perfect(images).astype(np.float64),
    "half": lambda images: perfect(images).astype(np.float16),
    "bfloat16": lambda images: jnp.asarray(perfect(images), jnp.bfloat16),
    "whole numbers": lambda images: perfect(images).astype(np.int64),
    "booleans": lambda images: perfect(images) > 0.5,
    "lists": lambda images: perfect(images).tolist(),
    "jax": lambda images: jnp.asarray(perfect(images)),
    "tensors": lambda images: Tensor(perfect(images)),
    "in place": in_place,
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_model_may_answer_in_any_numbers(kind):
    predict = custom_model.guard("mine:create", ANSWERS[kind], DATASET)
    for name in ("clean", "calibration", "selectivity"):
        results = suites.run(suites.load(name), predict, DATASET, batch_size=8)
        expected = suites.run(suites.load(name), perfect, DATASET, batch_size=8)
        assert [each.value for each in results] == pytest.approx([e.value for e in expected])
    assert not np.array_equal(SPLIT.images[0], SPLIT.images[1])  # nobody wrote into them


def test_a_fixed_batch_is_asked_for_as_it_will_be():
    def fixed(images):
        assert images.shape == (250, 28, 28, 1)
        return perfect(images)

    found = custom_model.check("mine:create", fixed, DATASET, batch_size=250)
    np.testing.assert_array_equal(found, perfect(DATASET.test.images[:2] / np.float32(255)))
    with pytest.raises(UserError, match="--model=mine:create fails on images of shape"):
        custom_model.check("mine:create", fixed, DATASET, batch_size=8)


@pytest.mark.parametrize(
    ("part", "function", "message"),
    [
        ("probabilities", lambda images: np.ones((len(images), 3)), "'s probabilities .* must be"),
        ("features", lambda images: np.ones((3, 3)), "'s features .* first length must be"),
        ("reconstruction", lambda images: images[:, :5], "'s reconstruction .* it must be"),
        ("depths", lambda images: np.ones((3, 3)), "'s depths .* first length must be"),
        ("warp", lambda images: images, "'s warp fails on images of shape"),
        ("activations", lambda images: {"layer": fails(images)}, "'s activations .* only colour"),
        ("cost", lambda batch_size: {"parameters": "many"}, "'s cost fails: ValueError"),
    ],
)
def test_what_else_a_model_knows_is_guarded(part, function, message):
    predict = custom_model.guard("mine:create", Predictor.of(perfect, **{part: function}), DATASET)
    beside = {"activations": predict.activations, "cost": predict.cost}
    ask = beside.get(part) or predict.field(part)
    given = 8 if part == "cost" else DATASET.test.images[:8] / np.float32(255)
    with pytest.raises(UserError, match=f"--model=mine:create{message}"):
        ask(given)


def test_an_object_tells_its_fields_by_its_attributes():
    class Model:
        def __call__(self, images):
            return perfect(images)

        def features(self, images):
            return images[:, 0, 0]

    predict = custom_model.guard("mine:create", Model(), DATASET)
    assert predict.fields == ("logits", "features")
    given = DATASET.test.images[:8] / np.float32(255)
    np.testing.assert_array_equal(predict.field("features")(given), given[:, 0, 0])
