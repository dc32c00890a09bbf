import jax.numpy as jnp
import numpy as np
import optax
import pytest

from training.optimizers import AdamConfig, ConstantSchedule, CosineSchedule, ExponentialSchedule


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 1e-3),
        (1_000, 9.79796e-4),
        (2_000, 9.6e-4),
        (60_000, 2.9386e-4),
        (100_000, 1.29886e-4),
        (300_000, 2.1912e-6),
        (338_500, 1e-6),
        (600_000, 1e-6),
    ],
)
def test_the_released_code_schedule(step, expected):
    rate = ExponentialSchedule().build(1e-3, 300_000)(step)
    assert float(rate) == pytest.approx(expected, rel=2e-4)


def test_cosine_ends_at_zero_and_may_warm_up():
    plain = CosineSchedule().build(0.1, 100)
    np.testing.assert_allclose([plain(0), plain(50), plain(100)], [0.1, 0.05, 0.0], atol=1e-7)
    warm = CosineSchedule(warmup_steps=10).build(0.1, 100)
    np.testing.assert_allclose([warm(0), warm(5), warm(10)], [0.0, 0.05, 0.1], atol=1e-7)
    assert float(warm(100)) == pytest.approx(0.0, abs=1e-7)


def test_constant():
    assert float(ConstantSchedule().build(0.1, 5)(99)) == pytest.approx(0.1)


def test_adam_is_optax_adam():
    config = AdamConfig(learning_rate=0.01, schedule=ConstantSchedule())
    ours, theirs = config.build(10), optax.adam(0.01)
    params, gradients = jnp.array([1.0, -2.0]), jnp.array([0.3, 0.1])
    for optimizer_step in range(3):
        updates, _ = ours.update(gradients, ours.init(params), params)
        wanted, _ = theirs.update(gradients, theirs.init(params), params)
        np.testing.assert_allclose(updates, wanted, rtol=1e-6, err_msg=str(optimizer_step))


def test_weight_decay_is_decoupled():
    config = AdamConfig(learning_rate=0.1, schedule=ConstantSchedule(), weight_decay=0.5)
    optimizer, params = config.build(10), jnp.array([2.0])
    updates, _ = optimizer.update(jnp.zeros(1), optimizer.init(params), params)
    np.testing.assert_allclose(updates, [-0.1 * 0.5 * 2.0], rtol=1e-6)
