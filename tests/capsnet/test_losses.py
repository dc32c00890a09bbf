import jax
import jax.numpy as jnp
import numpy as np
import pytest

from capsnet.losses import margin_loss, reconstruction_loss, spread_loss, spread_margin


@pytest.mark.parametrize(
    ("all_lengths", "expected"), [(0.0, 0.81), (0.1, 0.64), (0.5, 0.88), (0.9, 2.88), (1.0, 3.645)]
)
def test_margin_loss_of_ten_equal_lengths(all_lengths, expected):
    lengths = jnp.full((1, 10), all_lengths)
    loss = margin_loss(lengths, jax.nn.one_hot(jnp.array([3]), 10))
    np.testing.assert_allclose(loss, [expected], rtol=1e-5)


def test_margin_loss_of_three_classes():
    loss = margin_loss(jnp.array([[0.6, 0.3, 0.05]]), jnp.array([[1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(loss, [0.11], rtol=1e-5)


def test_margin_loss_of_several_present_classes():
    # The released code's unit test: 1.07 in its units, half of the paper's.
    lengths = jnp.array([[-0.3, 0.3, 0.9], [1.2, 0.5, -0.5]])
    loss = margin_loss(lengths, jnp.array([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]))
    assert float(jnp.sum(loss)) == pytest.approx(2.14, abs=1e-5)


def test_margin_loss_takes_its_constants():
    loss = margin_loss(
        jnp.array([[0.5, 0.5]]),
        jnp.array([[1.0, 0.0]]),
        positive=1.0,
        negative=0.0,
        down_weight=1.0,
    )
    np.testing.assert_allclose(loss, [0.5], rtol=1e-6)


def test_reconstruction_loss_sums_over_pixels():
    images = jnp.zeros((2, 28, 28, 1)).at[1].set(1.0)
    loss = reconstruction_loss(jnp.full((2, 28, 28, 1), 0.25), images)
    np.testing.assert_allclose(loss, [784 * 0.0625, 784 * 0.5625], rtol=1e-6)


@pytest.mark.parametrize(
    ("step", "margin"),
    [(0, 0.214209), (50_000, 0.237466), (100_000, 0.294170), (200_000, 0.595), (400_000, 0.975791)],
)
def test_spread_margin_of_the_released_code(step, margin):
    assert float(spread_margin(step)) == pytest.approx(margin, abs=1e-6)
    assert float(spread_margin(step // 50_000, period=1)) == pytest.approx(margin, abs=1e-6)


def test_spread_margin_stays_at_its_end():
    assert float(spread_margin(700_000)) == float(spread_margin(10**7))
    assert float(spread_margin(700_000)) == pytest.approx(0.989964, abs=1e-6)


def test_spread_loss_by_hand():
    # The true class leads by .1 and -.3: lacking .2 and .6 of a margin of .3; or leads by enough.
    activations = jnp.array([[0.4, 0.3, 0.7], [0.9, 0.6, 0.1]])
    loss = spread_loss(activations, jnp.eye(3)[jnp.array([0, 0])], margin=0.3)
    np.testing.assert_allclose(loss, [0.04 + 0.36, 0.0], atol=1e-6)
