import contextlib
import dataclasses

import numpy as np
import pytest

from cnn.output import CapsuleShares, Warp
from common.errors import UserError
from data.dataset import Dataset, Split
from evaluation.model import Predictor
from stn.sampling.grids import identity_grid
from tests.training.tiny_model import TinyConfig
from training import monitors
from training.config_types import types_in
from training.experiment import Experiment, from_json, to_json

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 12, 12, 1), np.uint8)
SPLIT = Split(IMAGES, np.zeros(10, np.int32))
DATASET = Dataset("images", 3, SPLIT, SPLIT, SPLIT)
GREY = IMAGES / np.float32(255.0)


def warp(images):
    grids = np.broadcast_to(identity_grid((12, 12)), (len(images), 1, 12, 12, 2))
    return Warp(images[:, None], np.asarray(grids))


MODEL = Predictor.of(
    lambda images: np.zeros((len(images), 3)),
    warp=warp,
    reconstruction=lambda images: np.clip(images - 0.5, 0.0, 1.0),
    couplings=lambda images: np.full((len(images), 4, 3), 1.0 / 3.0),
    class_reconstructions=lambda images: np.stack([images, 0.0 * images, images], axis=1),
)
# Capsules of two places and two types, and paths through them.
PLACES = np.array([[[-0.5, 0.0], [0.5, 0.0]]], np.float32)
SHARES = CapsuleShares(np.array([[[0.25, 0.0], [0.5, 0.25]]]), np.array([0, 1, 0]), PLACES)


def for_each(images, value):
    return np.broadcast_to(value, (len(images), *np.shape(value)))


VIEWED = Predictor.of(
    lambda images: for_each(images, np.array([0.0, 2.0, 1.0])),
    couplings=lambda images: np.full((len(images), 4, 3), 1.0 / 3.0),
    capsule_places=lambda images: for_each(images, PLACES),
    winning_paths=lambda images: (CapsuleShares(*(for_each(images, part) for part in SHARES)),),
    pose_sweeps=lambda images: np.zeros((len(images), 2, 11, 12, 12, 1)),
)
# Of each image one object is a half as bright and the other blank.
OBJECTS = np.stack([IMAGES // 2, 0 * IMAGES], axis=1)
PAIR_SPLIT = Split(IMAGES, np.tile(np.array([2, 1], np.int32), (10, 1)), objects=OBJECTS)
PAIRS = Dataset("pairs", 3, PAIR_SPLIT, PAIR_SPLIT, PAIR_SPLIT)


def observe(model=MODEL, names=monitors.NAMES, picture=None, dataset=DATASET):
    return monitors.observe(names, model, dataset, batch_size=4, picture=picture)


def test_the_numbers_are_those_of_the_output():
    found = observe()
    assert found["coverage"] == pytest.approx(1.0)
    error = np.sum((np.clip(GREY - 0.5, 0.0, 1.0) - GREY) ** 2) / 10
    assert found["reconstruction_error"] == pytest.approx(error, rel=1e-5)
    assert found["coupling_entropy"] == pytest.approx(1.0)


def test_overlapping_objects_are_compared_with_their_own_reconstructions():
    found = observe(names=("overlaps", "reconstructions"), dataset=PAIRS)
    assert set(found) == {"reconstruction_error", "separated"}
    error = np.sum((GREY - IMAGES // 2 / 255.0) ** 2) / 10
    assert found["reconstruction_error"] == pytest.approx(error, rel=1e-5)
    # The blank object's is exact, and the other's is closer to it than to the blank one.
    assert found["separated"] == 1.0


def test_every_monitor_draws_a_picture(tmp_path):
    drawn = []

    @contextlib.contextmanager
    def picture(name):
        drawn.append(name)
        yield tmp_path / f"{name}.png"

    observe(picture=picture)
    assert drawn == list(monitors.DEFAULT)
    observe(names=("overlaps", "reconstructions"), picture=picture, dataset=PAIRS)
    assert drawn[3:] == ["overlaps"]
    for name in drawn:
        content = (tmp_path / f"{name}.png").read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 3000


def test_views_are_drawn_and_computed_for_the_picture_alone(tmp_path):
    asked, drawn = [], []

    def read(images, names):
        asked.append((len(images), names))
        return VIEWED.read(images, names)

    @contextlib.contextmanager
    def picture(name):
        drawn.append(name)
        yield tmp_path / f"{name}.png"

    model = dataclasses.replace(VIEWED, read=read)
    found = observe(model, picture=picture)
    # Three quarters and one quarter over two places.
    spread = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / np.log(2)
    assert found == pytest.approx({"coupling_entropy": 1.0, "path_spread": spread})
    assert drawn == ["couplings", "pose_sweeps", "winning_paths"]
    assert all((tmp_path / f"{name}.png").stat().st_size > 3000 for name in drawn)
    assert (
        asked
        == [(4, ("couplings", "logits", "winning_paths"))] * 3
        + [(4, ("capsule_places", "pose_sweeps"))] * 2
    )
    asked.clear()
    observe(model, names=("pose_sweeps",))  # another process draws it
    assert asked == [(4, ("logits", "pose_sweeps"))] * 2


def test_what_a_model_lacks_is_not_looked_at():
    assert observe(Predictor.of(lambda images: np.zeros((len(images), 3)))) == {}
    assert set(observe(names=("couplings",))) == {"coupling_entropy"}
    assert observe(names=()) == {}


def test_the_model_is_asked_once_for_all_monitors():
    asked = []

    def read(images, names):
        asked.append(names)
        return MODEL.read(images, names)

    observe(dataclasses.replace(MODEL, read=read))
    assert asked == [("couplings", "reconstruction", "warp")] * 3


def test_an_unknown_monitor_is_one_line():
    experiment = Experiment(model=TinyConfig(), steps=1, monitors=("warp",))
    with pytest.raises(UserError, match="monitors='warp': did you mean warps") as caught:
        experiment.check()
    assert "\n" not in str(caught.value)


def test_an_older_run_has_the_default():
    experiment = Experiment(model=TinyConfig(), steps=1)
    assert experiment.monitors == monitors.DEFAULT == ("warps", "reconstructions", "couplings")
    experiment.check()
    stored = to_json(experiment)
    del stored["monitors"]
    assert from_json(stored, lambda: types_in(experiment)) == experiment
