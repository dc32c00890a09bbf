"""The ensemble of attacks, and what is flagged about it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data.batches import normalise
from data.dataset import Split
from evaluation import suites
from evaluation.attacks import ensemble
from evaluation.attacks.search import attack_in_turn
from evaluation.model import Differentiable, Predictor
from evaluation.suites import NotApplicable
from evaluation.suites.adversarial import adversarial
from inference.restore import restore_run
from tests.evaluation.suites.digits import linear_weights, some_digits

COUNT = 8
DIGITS = some_digits().test
SPLIT = Split(DIGITS.images[:COUNT], DIGITS.labels[:COUNT])
IMAGES = np.asarray(normalise(jnp.asarray(SPLIT.images)))
WEIGHTS = jnp.asarray(linear_weights())


def linear(weights, images):
    return images.reshape(len(images), -1) @ weights[:-1] + weights[-1]


def scores(variables, images):
    """The linear model, with so much of its gradient: one program for all tests."""
    weights, visible = variables
    return linear(weights, visible * images + (1.0 - visible) * jax.lax.stop_gradient(images))


def votes(variables, images):
    return linear(variables[0], images)


def predictor(visible=1.0, **further):
    return Predictor.of(
        lambda images: np.asarray(linear(WEIGHTS, images)),
        differentiable=Differentiable(scores, (WEIGHTS, jnp.float32(visible)), **further),
    )


CLEAN = float(np.mean(np.argmax(linear(WEIGHTS, IMAGES), axis=1) == SPLIT.labels))


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(adversarial, "EPSILONS", (0.0, 0.05, 0.3))
    monkeypatch.setattr(adversarial, "LENGTHS", (0.0, 2.0))
    monkeypatch.setattr(ensemble, "STEPS", 10)
    monkeypatch.setattr(ensemble, "QUERIES", 200)
    return dataclasses.replace(some_digits(), test=SPLIT)


def measure(model, dataset):
    results = adversarial.evaluate(model, dataset, batch_size=COUNT)
    return {(result.condition, result.strength): result for result in results}


def test_a_model_that_follows_is_not_suspected(quick):
    found = measure(predictor(), quick)
    for condition in ("FGSM", "worst attack", "worst attack, Euclidean"):
        assert found[condition, 0.0].value == CLEAN
    for epsilon in adversarial.EPSILONS:
        assert found["worst attack", epsilon].value <= found["FGSM", epsilon].value
    assert found["FGSM", 0.3].value == 0.0
    assert not any(result.flags for result in found.values())
    for result in found.values():
        (shown,) = result.artifacts
        assert shown.label == f"{result.condition}, {result.strength:g}"
        change = np.abs(shown.images - IMAGES).reshape(COUNT, -1)
        size = np.linalg.norm(change, axis=1) if "Eu" in result.condition else change.max(axis=1)
        # An image that misleads is not moved on, so that it may lie within the ball.
        assert 0.8 * result.strength <= size.max() <= result.strength * (1 + 1e-5)


def test_what_each_attack_was_the_first_to_mislead_adds_up(quick):
    for result in measure(predictor(), quick).values():
        misled = [
            detail.value for name, detail in result.details.items() if name.startswith("misled by")
        ]
        np.testing.assert_allclose(CLEAN - sum(misled), result.value)


def test_a_model_that_hides_its_gradient_is_flagged(quick):
    found = measure(predictor(visible=0.0), quick)
    worst = found["worst attack", 0.3]
    assert worst.details["images without a gradient"].value == CLEAN
    assert any("have no gradient to follow" in flag for flag in worst.flags)
    assert any("where any change is allowed: gradients may be masked" in f for f in worst.flags)
    (square,) = (flag for flag in worst.flags if flag.startswith("the Square attack misleads"))
    assert square.endswith("at 0.3 that gradients do not: gradients are masked")
    assert worst.value < CLEAN == found["FGSM", 0.3].value
    assert worst.details["misled by Square"].value >= 0.5  # random starts mislead some


def test_an_attack_with_too_few_steps_is_flagged(quick, monkeypatch):
    monkeypatch.setattr(adversarial, "EPSILONS", (0.0, 0.03, 0.05))
    weak = {"twice the steps": [ensemble.targeted("inf", 1)]}
    monkeypatch.setattr(ensemble, "stronger", lambda norm: weak)
    monkeypatch.setattr(ensemble, "by_pixels", lambda classes, *, votes: {"Square": []})
    found = measure(predictor(), quick)
    flags = found["worst attack", 0.05].flags
    assert any("twice the steps would mislead about" in flag for flag in flags)


def test_votes_are_attacked_where_there_are_any(quick):
    model = predictor(visible=0.0, vote_logits=votes)
    found = measure(model, quick)["worst attack", 0.3]
    assert found.details["misled by vote attack"].value >= 0.5
    assert found.value == found.details["misled by Square"].value == 0.0
    assert "misled by vote attack" not in measure(predictor(), quick)["FGSM", 0.3].details


@pytest.mark.parametrize(
    ("classes", "kinds"),
    [
        (2, ["APGD-CE", "APGD-margin", "Square"]),
        (3, ["APGD-CE", "APGD-DLR", "Square"]),
        (4, ["APGD-CE", "APGD-DLR", "APGD-T", "Square"]),
    ],
)
def test_few_classes_have_the_losses_that_they_can_have(classes, kinds):
    assert list(ensemble.by_pixels(classes, votes=False)) == kinds


@pytest.mark.parametrize(("classes", "targets"), [(4, 3), (10, 9), (200, 9)])
def test_every_wrong_class_is_a_target_up_to_nine(classes, targets):
    ranks = [attack.rank for attack in ensemble.by_gradients("inf", classes)["APGD-T"]]
    assert ranks == list(range(1, targets + 1))


def test_two_classes_are_told_apart_no_more():
    (last,) = ensemble.by_gradients("inf", 2)["APGD-margin"]
    few = Differentiable(lambda weights, images: linear(weights, images)[:, :2], WEIGHTS)
    labels = np.argmax(few.logits(WEIGHTS, IMAGES), axis=1).astype(np.int32)
    found = last(few, Split(SPLIT.images, labels), epsilon=0.3, batch_size=COUNT, name="test")
    assert found.misled.all()


def test_it_does_not_apply_to_predictions_alone(quick):
    with pytest.raises(NotApplicable, match="no `differentiable`"):
        suites.run(adversarial, lambda images: images, quick, batch_size=8)


@pytest.mark.slow
def test_an_undefended_cnn_falls_where_clean_images_do_not(
    command, data_dir, tmp_path, monkeypatch
):
    run = tmp_path / "cnn"
    command(
        "train.py",
        "--config=mnist:cnn",
        "--config.steps=100",
        "--config.optimizer.learning_rate=0.005",
        "--config.model.channels=(8,16)",
        "--config.model.dense=(32,)",
        "--config.dataset.train=train[:6400]",
        "--config.dataset.validation=train[6400:6500]",
        "--config.dataset.test=test[:500]",
        "--config.suites=()",
        f"--workdir={run}",
        check=True,
    )
    monkeypatch.setattr(ensemble, "STEPS", 20)
    restored = restore_run(run, data_dir=data_dir)
    model, few = restored.predictor.differentiable, restored.setup.dataset.test.sample(50)

    def misled(attacks, epsilon):
        searches = ensemble.flatten(attacks)[:2]
        standing = np.ones(len(few), bool)
        found = attack_in_turn(
            model, few, searches, epsilon, standing=standing, batch_size=50, name="attack"
        )
        return np.mean(found.attacked.misled)

    predictions = restored.predictor(few.images / np.float32(255)).argmax(axis=1)
    assert np.mean(predictions == few.labels) > 0.8
    by_gradients = ensemble.by_gradients("inf", 10)
    assert misled(by_gradients, 0.3) > 0.95
    assert misled(by_gradients, 0.1) >= misled(ensemble.single_step(), 0.1)
