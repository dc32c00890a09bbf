"""Auto-PGD against a slow reference, and what holds for any of its results."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from capsnet.networks.sabour import CapsNetConfig
from capsnet.routing import DynamicRouting
from common.errors import UserError
from data.batches import normalise
from data.dataset import Split
from evaluation.attacks.apgd import AutoPGD
from evaluation.attacks.balls import draw_start
from evaluation.attacks.gradient import attack_all, pgd
from evaluation.attacks.losses import cross_entropy
from evaluation.attacks.search import attack_in_turn
from evaluation.model import Differentiable
from evaluation.modules import of_module

SIDE, CLASSES, COUNT = 6, 5, 24


class Variables(NamedTuple):
    """Weights, and faults of the model, so that one program does for all tests.

    Attributes:
        first: Weights of the hidden layer.
        second: Weights of the classifier.
        visible: Factor of the gradient.
        brightest: Level of the first pixel above which logits are NaN.
        corner: The gradient is NaN where this is zero.
    """

    first: jax.Array
    second: jax.Array
    visible: jax.Array = jnp.float32(1.0)
    brightest: jax.Array = jnp.float32(2.0)
    corner: jax.Array = jnp.float32(1.0)


def smooth(variables, images):
    """Logits of a small network whose loss has many maxima in a ball."""
    hidden = jnp.sin(images.reshape(len(images), -1) @ variables.first)
    return 3.0 * hidden @ variables.second


def faulty(variables, images):
    """Logits of the same network, with its faults."""
    visible, first_pixel = variables.visible, images[:, :1, 0, 0]
    shown = visible * images + (1.0 - visible) * jax.lax.stop_gradient(images)
    logits = smooth(variables, shown) + jnp.where(first_pixel > variables.brightest, jnp.nan, 0.0)
    return logits + 0.0 * jnp.sqrt(variables.corner + 0.0 * first_pixel)


def model_with(**faults):
    random = np.random.default_rng(0)
    first = jnp.asarray(random.normal(size=(SIDE * SIDE, 20)), jnp.float32)
    second = jnp.asarray(random.normal(size=(20, CLASSES)), jnp.float32)
    faults = {name: jnp.float32(value) for name, value in faults.items()}
    return Differentiable(faulty, Variables(first, second, **faults))


MODEL = model_with()
PICTURES = np.random.default_rng(1).integers(0, 256, (COUNT, SIDE, SIDE, 1), np.uint8)
IMAGES = np.asarray(normalise(jnp.asarray(PICTURES)))
SPLIT = Split(PICTURES, np.argmax(smooth(MODEL.variables, IMAGES), axis=1).astype(np.int32))
NORMS = [("inf", 0.04), ("2", 0.15)]


def attack(how, epsilon, split=SPLIT, model=MODEL, batch_size=COUNT, **options):
    return how(model, split, epsilon=epsilon, batch_size=batch_size, name="test", **options)


def checkpoints(steps):
    """Steps after which lengths are looked at: p_0 = 0, p_1 = .22, p_j+1 = p_j + max(gap - .03,
    .06), in hundredths so that rounding up is exact."""
    shares = [0, 22]
    while shares[-1] < 100:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 3, 6))
    return [-(-share * steps // 100) for share in shares]


@functools.cache
def looking():
    def loss(image, label):
        logits = smooth(MODEL.variables, image[None])
        return cross_entropy(logits, label[None])[0], logits[0]

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def slow_project(point, image, epsilon, norm):
    change = point - image
    if norm == "inf":
        change = np.clip(change, -epsilon, epsilon)
    else:
        change = change * min(1.0, epsilon / max(np.sqrt(np.sum(change**2)), 1e-12))
    return np.clip(image + change, 0.0, 1.0)


def slow_attack(image, label, start, epsilon, norm, steps):
    """Algorithm 1 of Croce and Hein (2020) for one image, up to the first that misleads."""

    def step_from(point, gradient):
        if norm == "inf":
            return point + stride * np.sign(gradient)
        return point + stride * gradient / np.sqrt(np.sum(gradient**2))

    def look(point):
        (value, logits), gradient = looking()(jnp.asarray(point, jnp.float32), jnp.asarray(label))
        return float(value), np.asarray(gradient), np.argmax(logits) != label

    project = functools.partial(slow_project, image=image, epsilon=epsilon, norm=norm)
    at = checkpoints(steps)
    here = before = best = project(image + epsilon * start)
    value, gradient, misled = look(here)
    best_value, best_gradient, stride = value, gradient, 2.0 * epsilon
    old_value, halved, rises, last, following = best_value, True, 0, 0, 1
    for k in range(steps):
        if misled:
            return here, True
        moved = project(step_from(here, gradient))
        if k:
            moved = project(here + 0.75 * (moved - here) + 0.25 * (here - before))
        before, here, previous = here, moved, value
        value, gradient, misled = look(here)
        if misled or value > best_value:
            best, best_value, best_gradient = here, value, gradient
        rises += value > previous
        if k + 1 == at[following]:
            rarely = rises < 0.75 * (at[following] - last)
            stuck = not halved and best_value == old_value
            halved = rarely or stuck
            if halved:
                stride /= 2.0
                if not misled:
                    here, value, gradient = best, best_value, best_gradient
            old_value, rises, last, following = best_value, 0, k + 1, following + 1
    return best, misled


@pytest.mark.parametrize(("norm", "epsilon"), NORMS)
def test_steps_are_those_of_the_algorithm(norm, epsilon):
    steps = 25
    found = attack(AutoPGD(norm, "cross-entropy", steps), epsilon)
    starts = np.asarray(draw_start(jnp.arange(COUNT), IMAGES.shape[1:], norm))
    for number in range(COUNT):
        expected, misled = slow_attack(
            IMAGES[number], SPLIT.labels[number], starts[number], epsilon, norm, steps
        )
        assert found.misled[number] == misled
        np.testing.assert_allclose(found.images[number], expected, atol=1e-4)
    assert 0 < found.misled.sum() < COUNT


def test_checkpoints_by_hand():
    assert checkpoints(100) == [0, 22, 41, 57, 70, 80, 87, 93, 99, 105]


@pytest.mark.parametrize(
    ("norm", "epsilon", "loss"), [("inf", 0.04, "DLR"), ("2", 0.15, "targeted DLR")]
)
def test_changes_stay_in_the_ball_and_mislead_as_told(norm, epsilon, loss):
    found = attack(AutoPGD(norm, loss, 20, rank=2), epsilon)
    change = (found.images - IMAGES).reshape(COUNT, -1)
    sizes = np.abs(change).max(axis=1) if norm == "inf" else np.linalg.norm(change, axis=1)
    assert np.all(sizes <= epsilon * (1 + 1e-5))
    assert sizes.max() > 0.9 * epsilon
    assert found.images.min() >= 0.0
    assert found.images.max() <= 1.0
    predictions = np.argmax(smooth(MODEL.variables, found.images), axis=1)
    np.testing.assert_array_equal(found.misled, predictions != SPLIT.labels)


@pytest.mark.parametrize(("norm", "epsilon"), NORMS)
def test_it_is_at_least_as_strong_as_pgd_of_as_many_steps(norm, epsilon):
    how = pgd(norm, "cross-entropy", steps=40)
    theirs = attack_all(MODEL, SPLIT, how, epsilon, batch_size=COUNT, name="test")
    ours = attack(AutoPGD(norm, "cross-entropy", 40), epsilon)
    assert ours.misled.sum() >= theirs.misled.sum() > 0

    def losses(images):
        return cross_entropy(smooth(MODEL.variables, images), SPLIT.labels)

    both = ~ours.misled & ~theirs.misled
    assert np.mean(losses(ours.images)[both]) >= np.mean(losses(theirs.images)[both]) - 1e-4


def test_more_steps_and_starts_find_no_fewer():
    counts = [attack(AutoPGD("inf", "DLR", steps), 0.04).misled.sum() for steps in (1, 5, 30)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] < COUNT
    starts = [AutoPGD("inf", "DLR", 5, restart=restart) for restart in range(3)]
    each = [attack(start, 0.04).misled for start in starts]
    everything = np.ones(COUNT, bool)
    several = attack_in_turn(
        MODEL, SPLIT, starts, 0.04, standing=everything, batch_size=COUNT, name="test"
    )
    np.testing.assert_array_equal(several.attacked.misled, np.any(each, axis=0))
    np.testing.assert_array_equal(
        several.found_by, np.where(np.any(each, axis=0), np.argmax(each, axis=0), -1)
    )
    assert several.attacked.misled.sum() >= each[0].sum()
    assert not np.array_equal(attack(starts[0], 0.04).images, attack(starts[1], 0.04).images)


def test_an_image_is_attacked_alike_in_every_batch():
    how = AutoPGD("2", "targeted DLR", 15)
    everything = attack(how, 0.15)
    np.testing.assert_array_equal(attack(how, 0.15).images, everything.images)
    numbers = np.array([3, 8, 9, 20, 23])
    few = attack(how, 0.15, numbers=numbers, batch_size=2)
    np.testing.assert_allclose(few.images, everything.images[numbers], atol=1e-5)
    np.testing.assert_array_equal(few.misled, everything.misled[numbers])


def test_images_that_are_not_standing_are_not_attacked():
    standing = np.arange(COUNT) % 2 == 0
    found = attack_in_turn(
        MODEL,
        SPLIT,
        [AutoPGD("inf", "cross-entropy", 5)],
        0.1,
        standing=standing,
        batch_size=COUNT,
        name="test",
    )
    np.testing.assert_array_equal(found.attacked.images[~standing], IMAGES[~standing])
    assert np.all(found.attacked.misled[~standing])
    assert np.all(found.found_by[~standing] == -1)


def test_outputs_and_gradients_that_are_undefined_are_told():
    how = AutoPGD("inf", "DLR", 3)
    with pytest.raises(UserError, match=r"test: .* NaN or infinite for \d+ of 24 attacked images"):
        attack(how, 0.05, model=model_with(brightest=0.5))
    found = attack(how, 0.05, model=model_with(corner=0.0))
    assert np.all(found.undefined_gradient)
    assert np.all(np.isfinite(found.images))


def test_votes_are_attacked_of_models_that_have_them():
    how = AutoPGD("inf", "cross-entropy", 5, on_votes=True)
    with pytest.raises(ValueError, match="no votes to attack"):
        attack(how, 0.1)
    model = model_with(visible=0.0)._replace(vote_logits=smooth)
    plain = attack(AutoPGD("inf", "cross-entropy", 5), 0.1, model=model)
    assert np.all(plain.without_gradient)
    through = attack(how, 0.1, model=model)
    assert not np.any(through.without_gradient)
    assert through.misled.sum() > plain.misled.sum()
    predictions = np.argmax(smooth(MODEL.variables, through.images), axis=1)
    np.testing.assert_array_equal(through.misled, predictions != SPLIT.labels)


def test_the_vote_attack_misleads_a_capsule_network():
    config = CapsNetConfig(
        convolution_channels=4,
        kernel_size=3,
        primary_types=2,
        class_dim=4,
        routing=DynamicRouting(2),
        reconstruction_weight=0.0,
    )
    network = config.build((12, 12, 1), CLASSES, nnx.Rngs(0))
    model = of_module(network, (12, 12, 1))
    assert model.has("vote_logits")
    pictures = np.random.default_rng(0).integers(0, 256, (8, 12, 12, 1), np.uint8)
    labels = np.argmax(model(pictures / np.float32(255.0)), axis=1)
    split = Split(pictures, labels.astype(np.int32))
    how = AutoPGD("inf", "cross-entropy", 10, on_votes=True)
    found = attack(how, 0.3, split=split, model=model.differentiable, batch_size=8)
    again = np.argmax(model(found.images), axis=1)
    np.testing.assert_array_equal(found.misled, again != labels)
    assert found.misled.mean() > 0.5
