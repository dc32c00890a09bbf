import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from common.errors import UserError
from training.optimizers import (
    AdamConfig,
    ConstantSchedule,
    CosineSchedule,
    ExponentialSchedule,
    MomentumConfig,
    StepSchedule,
)


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


def test_steps_of_the_transformer_papers_schedule():
    rate = StepSchedule().build(0.01, 150_000)
    found = [float(rate(step)) for step in (0, 49_999, 50_000, 99_999, 100_000, 149_999)]
    np.testing.assert_allclose(found, [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4], rtol=1e-5)


def test_momentum_by_hand():
    params, gradients = jnp.array([1.0]), jnp.array([2.0])
    plain = MomentumConfig(learning_rate=0.1).build(10)
    updates, _ = plain.update(gradients, plain.init(params), params)
    np.testing.assert_allclose(updates, [-0.2], rtol=1e-6)
    heavy = MomentumConfig(learning_rate=0.1, momentum=0.5, clip_norm=1.0).build(10)
    state = heavy.init(params)
    for expected in (-0.1, -0.15):
        updates, state = heavy.update(gradients, state, params)
        np.testing.assert_allclose(updates, [expected], rtol=1e-6)


def test_weight_decay_goes_through_the_momentum():
    config = MomentumConfig(learning_rate=0.1, momentum=0.5, weight_decay=0.5)
    optimizer, params = config.build(10), jnp.array([2.0])
    state = optimizer.init(params)
    # The gradient of 1 and half of the weight of 2; then both again, and half of what was before.
    for expected in (-0.2, -0.3):
        updates, state = optimizer.update(jnp.array([1.0]), state, params)
        np.testing.assert_allclose(updates, [expected], rtol=1e-6)


class Transformed(nnx.Module):
    def __init__(self):
        self.transformers = nnx.List([nnx.Linear(2, 3, rngs=nnx.Rngs(0))])
        self.classifier = nnx.Linear(2, 3, rngs=nnx.Rngs(1))


@pytest.mark.parametrize("config", [AdamConfig, MomentumConfig])
def test_a_part_learns_at_a_rate_of_its_own(config):
    params = nnx.state(Transformed(), nnx.Param)
    gradients = jax.tree.map(jnp.ones_like, params)
    updates = []
    for fields in ({}, {"slow_part": "transformers", "slow_factor": 0.1}):
        optimizer = config(schedule=ConstantSchedule(), **fields).build(10)
        updates.append(optimizer.update(gradients, optimizer.init(params), params)[0])
    usual, slowed = updates
    for one, other in zip(*map(jax.tree.leaves, (usual, slowed)), strict=True):
        assert np.all(one != 0)
        ratio = np.unique(np.round(np.asarray(other / one), 5))
        assert ratio.size == 1
    np.testing.assert_array_equal(slowed["classifier"]["bias"], usual["classifier"]["bias"])
    np.testing.assert_allclose(
        slowed["transformers"][0]["bias"], 0.1 * usual["transformers"][0]["bias"], rtol=1e-6
    )


def test_a_part_that_does_not_exist_is_named():
    optimizer = AdamConfig(slow_part="transfromers", slow_factor=0.1).build(10)
    with pytest.raises(ValueError, match="slow_part='transfromers': no parameter"):
        optimizer.init(nnx.state(Transformed(), nnx.Param))


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (AdamConfig(learning_rate=0.0), "optimizer.learning_rate=0.0: must be more than 0"),
        (AdamConfig(learning_rate=-1e-3), "optimizer.learning_rate=-0.001: must be more than 0"),
        (AdamConfig(learning_rate=math.nan), "optimizer.learning_rate=nan: must be a finite"),
        (AdamConfig(learning_rate=1e39), "optimizer.learning_rate=1e+39: must be at most 3.4"),
        (AdamConfig(beta1=1.0), "optimizer.beta1=1.0: must be less than 1"),
        (AdamConfig(beta2=-0.1), "optimizer.beta2=-0.1: must be at least 0"),
        (AdamConfig(epsilon=0.0), "optimizer.epsilon=0.0: must be more than 0"),
        (AdamConfig(epsilon=1e-50), "optimizer.epsilon=1e-50: must be more than 0"),
        (AdamConfig(weight_decay=-1.0), "optimizer.weight_decay=-1.0: must be at least 0"),
        (AdamConfig(clip_norm=-1.0), "optimizer.clip_norm=-1.0: must be at least 0"),
        (AdamConfig(clip_norm=math.inf), "optimizer.clip_norm=inf: must be a finite"),
        (AdamConfig(slow_factor=-0.1), "optimizer.slow_factor=-0.1: must be at least 0"),
        (MomentumConfig(momentum=1.0), "optimizer.momentum=1.0: must be less than 1"),
        (MomentumConfig(weight_decay=-1.0), "optimizer.weight_decay=-1.0: must be at least 0"),
        (MomentumConfig(clip_norm=-1.0), "optimizer.clip_norm=-1.0: must be at least 0"),
        (AdamConfig(schedule=3), "optimizer.schedule=int: must have build(learning_rate, steps)"),
        (AdamConfig(schedule=CosineSchedule(-1)), "schedule.warmup_steps=-1: must be at least 0"),
        (AdamConfig(schedule=StepSchedule(0.0)), "schedule.decay_rate=0.0: must be more than 0"),
        (AdamConfig(schedule=StepSchedule(1.5)), "schedule.decay_rate=1.5: must be at most 1"),
        (AdamConfig(schedule=StepSchedule(0.1, 0)), "schedule.decay_steps=0: must be at least 1"),
        (AdamConfig(schedule=ExponentialSchedule(floor=-1.0)), "floor=-1.0: must be at least 0"),
        (AdamConfig(schedule=ExponentialSchedule(floor=0.1)), "floor=0.1: must be at most 0.001"),
    ],
)
def test_values_that_no_optimizer_can_have(optimizer, message):
    with pytest.raises(UserError) as caught:
        optimizer.check()
    assert message in str(caught.value)


def test_the_ends_of_the_ranges_are_in():
    AdamConfig(
        schedule=CosineSchedule(0), beta1=0.0, weight_decay=0.0, clip_norm=0.0, slow_factor=0.0
    ).check()
    MomentumConfig(schedule=StepSchedule(1.0, 1), momentum=0.0).check()
    AdamConfig(schedule=ExponentialSchedule(1.0, 1, 1e-3)).check()
