"""Weights at a given accuracy on validation images."""

import dataclasses

import jax
import numpy as np
import pytest

from common.errors import UserError
from evaluation.model import predict_all
from inference import matching
from inference.restore import restore_run
from tests.training.test_loop import EXPERIMENT, metrics
from tests.training.tiny_model import TinyConfig
from training import loop
from training.optimizers import AdamConfig
from training.run.checkpoints import Checkpoints

ROOMY = dataclasses.replace(
    EXPERIMENT,
    model=TinyConfig(width=32, dropout=0.0),
    optimizer=AdamConfig(learning_rate=1e-2),
    steps=40,
    dataset=dataclasses.replace(EXPERIMENT.dataset, validation="train[100:700]"),
    validate_every=10,
    checkpoint_every=10,
    ema_decay=0.5,
    milestones=(0.01,),
)


@pytest.fixture(scope="module")
def run(data_dir, tmp_path_factory):
    """The folder of a run with 600 validation images, so that an image is 0.17 points."""
    folder = tmp_path_factory.mktemp("roomy")
    loop.run(ROOMY, name="tiny", workdir=str(folder), data_dir=data_dir)
    return folder


def scores_of(run):
    checkpoints = Checkpoints(run / "checkpoints", writing=False)
    try:
        return checkpoints.scores()
    finally:
        checkpoints.close()


def restored(run, data_dir, accuracy):
    return restore_run(
        run, match_accuracy=accuracy, data_dir=data_dir, configurations=lambda name: ROOMY
    )


def accuracy_of(found):
    split = found.setup.dataset.validation
    logits = predict_all(found.predictor, split.images, batch_size=40)
    return np.mean(np.argmax(logits, axis=-1) == split.labels)


def test_a_checkpoint_of_the_accuracy_is_taken_as_it_is(run, data_dir):
    scores = scores_of(run)
    measured = {r["step"]: r["accuracy"] for r in metrics(run) if r["split"] == "validation"}
    assert scores == {step: measured[step] for step in scores}
    for step, score in scores.items():
        # As a percentage with two digits, as on a command line.
        found = restored(run, data_dir, round(score, 4))
        assert (found.step, scores[found.step]) == (step, score)
        assert found.matching == f"step {step}, {100 * score:.2f} %"
        assert accuracy_of(found) == score


def test_between_two_checkpoints_weights_are_interpolated(run, data_dir):
    scores = scores_of(run)
    (below, low), (above, high) = list(scores.items())[:2]
    assert high - low > 0.05
    for share in (0.3, 0.7):
        wanted = low + share * (high - low)
        found = restored(run, data_dir, wanted)
        assert abs(accuracy_of(found) - wanted) <= 0.001 + 1e-9
        assert found.step == above
        assert f"of the way between steps {below}, {100 * low:.2f} %, and" in found.matching
        assert f"{above}, {100 * high:.2f} %: {100 * accuracy_of(found):.2f} %" in found.matching
        # Neither one nor the other.
        ends = [restored(run, data_dir, score).weights for score in (low, high)]
        assert found.weights not in ends


def test_accuracies_out_of_reach_are_one_line(run, data_dir):
    with pytest.raises(UserError, match=r"no checkpoint here reached 100.00 % on validation"):
        restored(run, data_dir, 1.0)
    with pytest.raises(UserError, match=r"the first checkpoint here, of step 10, is already past"):
        restored(run, data_dir, 0.011)


def test_a_way_that_jumps_over_the_accuracy_is_one_line(run, data_dir, monkeypatch):
    low, high = list(scores_of(run).values())[:2]
    monkeypatch.setattr(matching, "_accuracy", lambda setup, state: low)
    with pytest.raises(UserError, match=r"no weights between .* are within 0.1 points of"):
        restored(run, data_dir, (low + high) / 2.0)


def test_halving_finds_a_score_within_a_tenth_of_a_point():
    share, score = matching.bisect(lambda share: 0.9 + 0.1 * share**2, 0.95)
    assert abs(score - 0.95) <= 0.001
    assert score == 0.9 + 0.1 * share**2
    # A score of a few images jumps.
    assert matching.bisect(lambda share: float(share > 0.4), 0.5) is None


def test_the_first_step_past_and_the_last_before_are_neighbours():
    scores = {10: 0.8, 20: 0.95, 30: 0.9, 40: 0.97}
    assert matching.neighbours(scores, 0.93, "run") == (10, 20)
    assert matching.neighbours(scores, 0.96, "run") == (30, 40)


def test_mixed_are_the_weights_that_are_evaluated(run, data_dir):
    scores = list(scores_of(run).values())
    first, second = (restored(run, data_dir, score).state for score in scores[:2])
    assert first.average is not None
    mixed = matching.mix(first, second, 0.25)
    for a, b, found in zip(
        *(jax.tree.leaves(state.evaluated_params) for state in (first, second, mixed)), strict=True
    ):
        np.testing.assert_allclose(found, 0.75 * a + 0.25 * b, atol=1e-6)
    for share, end in ((0.0, first), (1.0, second)):
        same = matching.mix(first, second, share).evaluated_params
        assert all(map(np.array_equal, *map(jax.tree.leaves, (same, end.evaluated_params))))
    assert mixed.step == second.step
