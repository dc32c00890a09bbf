import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from data.batches import normalise
from data.dataset import Split
from evaluation.attacks.balls import project
from evaluation.attacks.gradient import (
    LOSSES,
    Attack,
    attack_all,
    attack_with_all,
    fgsm,
    pgd,
)
from evaluation.attacks.losses import margin
from evaluation.model import Differentiable
from tests.evaluation.suites.digits import linear_weights, some_digits

DIGITS = some_digits().test
IMAGES = np.asarray(normalise(jnp.asarray(DIGITS.images)))


def linear(weights, images):
    return images.reshape(len(images), -1) @ weights[:-1] + weights[-1]


MODEL = Differentiable(linear, jnp.asarray(linear_weights()))


def attack(how, epsilon, split=DIGITS, model=MODEL, **options):
    return attack_all(model, split, how, epsilon, batch_size=10, name="test", **options)


def clean_hits():
    return np.argmax(linear(MODEL.variables, IMAGES), axis=1) == DIGITS.labels


def slow_fgsm(epsilon):
    """The sign of the gradient of -log softmax, which for a linear model is known."""
    weights = np.asarray(MODEL.variables[:-1], np.float64)
    scores = np.asarray(linear(MODEL.variables, IMAGES), np.float64)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    gradient = (shares - np.eye(10)[DIGITS.labels]) @ weights.T
    return np.clip(IMAGES + epsilon * np.sign(gradient).reshape(IMAGES.shape), 0.0, 1.0)


def test_fgsm_on_a_linear_model_is_known():
    found = attack(fgsm("cross-entropy"), 0.1)
    np.testing.assert_allclose(found.images, slow_fgsm(0.1), atol=1e-6)
    predictions = np.argmax(linear(MODEL.variables, found.images), axis=1)
    np.testing.assert_array_equal(found.misled, predictions != DIGITS.labels)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("how", [fgsm, lambda loss: pgd("inf", loss), lambda loss: pgd("2", loss)])
def test_without_room_nothing_changes(how, loss):
    found = attack(how(loss), 0.0)
    np.testing.assert_array_equal(found.images, IMAGES)
    np.testing.assert_array_equal(~found.misled, clean_hits())


@pytest.mark.parametrize(("norm", "epsilon"), [("inf", 0.1), ("2", 1.5)])
def test_changes_stay_in_the_ball_and_in_range(norm, epsilon):
    found = attack(pgd(norm, "margin"), epsilon)
    change = (found.images - IMAGES).reshape(len(IMAGES), -1)
    sizes = np.abs(change).max(axis=1) if norm == "inf" else np.linalg.norm(change, axis=1)
    assert np.all(sizes <= epsilon * (1 + 1e-5))
    assert sizes.max() > 0.9 * epsilon
    assert found.images.min() >= 0.0
    assert found.images.max() <= 1.0


def test_pgd_is_not_weaker_than_fgsm_and_grows_with_its_radius():
    counts = []
    for epsilon in (0.0, 0.02, 0.05, 0.1):
        single = attack(fgsm("margin"), epsilon).misled
        iterated = attack(pgd("inf", "margin"), epsilon).misled
        assert iterated.sum() >= single.sum()
        counts.append(iterated.sum())
    assert counts == sorted(counts)
    assert counts[-1] == len(DIGITS) > counts[0]


def test_an_image_is_attacked_alike_in_every_batch():
    few = attack(pgd("2", "margin"), 1.0, Split(DIGITS.images[:7], DIGITS.labels[:7]))
    all_of_them = attack(pgd("2", "margin"), 1.0)
    np.testing.assert_allclose(few.images, all_of_them.images[:7], atol=1e-6)


def test_the_strongest_of_several_attacks_is_that_of_all_on_all_images():
    mask = np.random.default_rng(0).random(DIGITS.images.shape[:3]) < 0.7
    # The first fools a part of the images: the others see batches that it did not.
    tried = [
        Attack("inf", "margin", steps=1, relative_step=0.1, random_start=True),
        *(dataclasses.replace(pgd("inf", loss, 20), relative_step=1 / 30) for loss in LOSSES),
    ]
    options = {"mask": mask, "batch_size": 10, "name": "test"}
    each = [attack_all(MODEL, DIGITS, how, 0.1, **options).misled for how in tried]
    found = attack_with_all(MODEL, DIGITS, tried, 0.1, **options)
    np.testing.assert_array_equal(found.misled, np.any(each, axis=0))
    assert 0 < each[0].sum() < found.misled.sum() < len(DIGITS)
    assert not found.without_gradient.any()
    predictions = np.argmax(linear(MODEL.variables, found.images), axis=1)
    np.testing.assert_array_equal(found.misled, predictions != DIGITS.labels)


def test_only_what_the_mask_shows_changes():
    mask = np.zeros((28, 28), bool)
    mask[8:14] = True
    found = attack(pgd("inf", "margin"), 0.5, mask=mask)
    changed = np.any(found.images != IMAGES, axis=(0, 3))
    assert changed.any()
    assert not changed[~mask].any()


def test_margins_by_hand():
    scores = jnp.array([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0]])
    np.testing.assert_allclose(margin(scores, jnp.array([1, 2])), [-1.0, 1.0])


def test_projection_by_hand():
    centre = jnp.full((1, 1, 2, 1), 0.5)
    far = centre + jnp.array([0.3, -0.4]).reshape(1, 1, 2, 1)
    np.testing.assert_allclose(project(far, centre, 0.1, "inf")[0, 0, :, 0], [0.6, 0.4], rtol=1e-6)
    np.testing.assert_allclose(project(far, centre, 0.25, "2")[0, 0, :, 0], [0.65, 0.3], rtol=1e-6)


def spoilt(weights, images):
    """The linear model, NaN for images whose grey levels are not those of stored images."""
    levels = 255.0 * images
    changed = jnp.max(jnp.abs(levels - jnp.round(levels)), axis=(1, 2, 3)) > 0.01
    return linear(weights, images) + jnp.where(changed, jnp.nan, 0.0)[:, None]


@pytest.mark.parametrize("how", [fgsm("margin"), pgd("inf", "cross-entropy"), pgd("2", "margin")])
def test_an_undefined_output_is_no_success_of_an_attack(how):
    model = Differentiable(spoilt, MODEL.variables)
    assert not attack(how, 0.0, model=model).misled[clean_hits()].any()
    with pytest.raises(UserError, match=r"test: .* NaN or infinite for \d+ of 24 attacked images"):
        attack(how, 0.31, model=model)


def test_an_undefined_gradient_is_not_followed_and_flagged():
    # The square root of zero, as in the length of a vector of zeros: 0 with a gradient of 0 / 0.
    def scores(weights, images):
        return linear(weights, images) + 0.0 * jnp.sqrt(images[:, :1, 0, 0])

    model = Differentiable(scores, MODEL.variables)
    for how in (fgsm("margin"), pgd("2", "margin")):
        found = attack(how, 0.1, model=model)
        assert np.isfinite(found.images).all()
        assert found.undefined_gradient.all()
        (flag,) = found.flags()
        assert flag.startswith("24 of 24 images met gradients that are NaN")
    clean = attack(fgsm("margin"), 0.1)
    assert not clean.undefined_gradient.any()
    assert clean.flags() == ()
