"""The Square attack, which needs no gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from data.batches import normalise
from evaluation.attacks.losses import margin
from evaluation.attacks.square import Square, _side
from evaluation.model import Differentiable
from tests.evaluation.suites.digits import linear_weights, some_digits

DIGITS = some_digits().test
IMAGES = np.asarray(normalise(jnp.asarray(DIGITS.images)))
WEIGHTS = jnp.asarray(linear_weights())


def rounded(weights, images):
    """A linear classifier that reads rounded logits: its gradient is zero."""
    logits = images.reshape(len(images), -1) @ weights[:-1] + weights[-1]
    return jnp.round(1000.0 * logits) / 1000.0


MODEL = Differentiable(rounded, WEIGHTS)


def attack(queries, epsilon, model=MODEL, batch_size=24, **options):
    how = Square(queries)
    return how(model, DIGITS, epsilon=epsilon, batch_size=batch_size, name="test", **options)


def test_it_misleads_a_model_without_gradients():
    gradient = jax.grad(lambda images: jnp.sum(margin(rounded(WEIGHTS, images), DIGITS.labels)))
    assert not np.any(gradient(jnp.asarray(IMAGES)))
    clean = np.argmax(rounded(WEIGHTS, IMAGES), axis=1) != DIGITS.labels
    assert attack(200, 0.1).misled.sum() > clean.sum() + len(DIGITS) // 2


@pytest.mark.parametrize("epsilon", [0.02, 0.3])
def test_changes_stay_in_the_ball_and_mislead_as_told(epsilon):
    found = attack(50, epsilon)
    assert np.abs(found.images - IMAGES).max() <= epsilon * (1 + 1e-5)
    assert found.images.min() >= 0.0
    assert found.images.max() <= 1.0
    predictions = np.argmax(rounded(WEIGHTS, found.images), axis=1)
    np.testing.assert_array_equal(found.misled, predictions != DIGITS.labels)
    assert np.all(found.without_gradient)
    assert not np.any(found.undefined_gradient)


def test_more_queries_find_no_fewer():
    counts = [attack(queries, 0.05).misled.sum() for queries in (1, 20, 200)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_an_image_is_attacked_alike_in_every_batch():
    everything, numbers = attack(30, 0.05), np.array([1, 7, 8, 20])
    few = attack(30, 0.05, numbers=numbers, batch_size=3)
    np.testing.assert_allclose(few.images, everything.images[numbers], atol=1e-6)


def test_sides_shrink_as_the_schedule_has_it():
    shape = (1, 28, 28, 1)
    sides = [int(_side(jnp.int32(query), jnp.int32(10_000), shape)) for query in (1, 11, 51, 9000)]
    assert sides == [round((0.8 * 784 / 2**halvings) ** 0.5) for halvings in (0, 1, 2, 9)]
    # 1,000 queries go through the same schedule, ten times as fast.
    assert int(_side(jnp.int32(900), jnp.int32(1000), shape)) == sides[-1]
    assert int(_side(jnp.int32(1), jnp.int32(100), (1, 4, 40, 1))) == 4


def test_an_undefined_output_is_told():
    def spoilt(weights, images):
        bright = jnp.max(images, axis=(1, 2, 3)) > 0.0
        return rounded(weights, images) + jnp.where(bright, jnp.nan, 0.0)[:, None]

    with pytest.raises(UserError, match=r"NaN or infinite for 24 of 24 attacked images"):
        attack(3, 0.1, model=Differentiable(jax.jit(spoilt), WEIGHTS))
