"""Losses of attacks by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evaluation.attacks.losses import (
    cross_entropy,
    logits_ratio,
    margin,
    ranked_targets,
    targeted_ratio,
)

LOGITS = jnp.array([[1.0, 3.0, 2.0, -1.0, 0.5], [1.0, 3.0, 2.0, -1.0, 0.5]])
LABELS = jnp.array([1, 0])


def test_margins():
    np.testing.assert_allclose(margin(LOGITS, LABELS), [-1.0, 2.0])


def test_cross_entropies():
    shares = np.exp(LOGITS[0]) / np.exp(LOGITS[0]).sum()
    np.testing.assert_allclose(
        cross_entropy(LOGITS, LABELS), -np.log([shares[1], shares[0]]), rtol=1e-6
    )


def test_difference_of_logits_ratios():
    # The largest is 3, the third 1: -(3 - 2) / (3 - 1) and -(1 - 3) / (3 - 1).
    np.testing.assert_allclose(logits_ratio(LOGITS, LABELS), [-0.5, 1.0])


def test_targeted_difference_of_logits_ratios():
    # Third and fourth are 1 and 0.5: -(3 - 2) / (3 - 0.75) and -(1 - (-1)) / (3 - 0.75).
    found = targeted_ratio(LOGITS, LABELS, jnp.array([2, 3]))
    np.testing.assert_allclose(found, [-1.0 / 2.25, -2.0 / 2.25], rtol=1e-6)


@pytest.mark.parametrize(("rank", "expected"), [(1, [2, 1]), (2, [0, 2]), (4, [3, 3])])
def test_targets_are_the_highest_scoring_wrong_classes(rank, expected):
    np.testing.assert_array_equal(ranked_targets(LOGITS, LABELS, jnp.int32(rank)), expected)


def test_ratios_do_not_change_with_the_scale_of_logits():
    for scale, shift in ((1e-6, 0.0), (1e4, -7.0)):
        other = scale * LOGITS + shift * scale
        np.testing.assert_allclose(
            logits_ratio(other, LABELS), logits_ratio(LOGITS, LABELS), rtol=1e-4
        )


@pytest.mark.parametrize("loss", [logits_ratio, lambda z, y: targeted_ratio(z, y, 1 - y)])
def test_equal_logits_leave_ratios_and_gradients_finite(loss):
    equal = jnp.full((2, 5), np.log(np.float32(1e-12)))
    value, gradient = jax.value_and_grad(lambda z: jnp.sum(loss(z, LABELS)))(equal)
    assert value == 0.0
    assert np.all(np.isfinite(gradient))
