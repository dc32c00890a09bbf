import numpy as np
import pytest

from data.errors import UserError
from evaluation import own_model
from tests.evaluation.test_suites import DATASET

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
    predict = own_model.load("a_model_of_mine:create")
    own_model.check("a_model_of_mine:create", predict, DATASET)
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
        own_model.load(name)


def fails(images):
    raise TypeError("only colour")


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda images: np.zeros((len(images), 3)), r"with shape \(2, 3\); it must be \(2, 4\)"),
        (lambda images: np.full((len(images), 4), np.nan), "NaN"),
        (fails, "only colour"),
    ],
)
def test_answers_that_do_not_fit(predict, message):
    with pytest.raises(UserError, match=message):
        own_model.check("mine:create", predict, DATASET)
