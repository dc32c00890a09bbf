import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import AxisType

from capsnet import EfficientCapsNetConfig
from cnn.networks.pooling import PoolingNetworkConfig
from data.batches import DeviceSplit, draw, epoch_order
from data.sources.load import DatasetConfig
from tests.training.tiny_model import TinyConfig
from training.experiment import Experiment
from training.optimizers import AdamConfig, ConstantSchedule
from training.step import make_program

RANDOM = np.random.default_rng(0)
SPLIT = DeviceSplit(
    jnp.asarray(RANDOM.integers(0, 256, (40, 6, 6, 1)), jnp.uint8),
    jnp.asarray(RANDOM.integers(0, 3, 40), jnp.int32),
)


def program(**fields):
    experiment = Experiment(**{"model": TinyConfig(), "steps": 20, "batch_size": 8, **fields})
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
    return make_program(experiment, (6, 6, 1), 3, mesh)


def run(made, counts):
    state, rows = made.create_state(), []
    for count in counts:
        state, history = made.train_steps(state, SPLIT, np.int32(count))
        rows.append(np.asarray(history["loss"])[:count])
    return jax.device_get(state), np.concatenate(rows)


def assert_same(first, second):
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        np.testing.assert_array_equal(one, other)


def test_many_steps_in_one_dispatch_are_the_same_steps():
    # 12 steps cross two ends of the 5-step epochs.
    made = program(ema_decay=0.9)
    one_by_one, losses = run(made, [1] * 12)
    together, same_losses = run(made, [12])
    uneven, other_losses = run(made, [3, 7, 2])
    np.testing.assert_array_equal(losses, same_losses)
    np.testing.assert_array_equal(losses, other_losses)
    assert_same(one_by_one, together)
    assert_same(one_by_one, uneven)
    assert int(together.step) == 12


def test_one_step_by_hand():
    fields = {
        "model": TinyConfig(dropout=0.0),
        "optimizer": AdamConfig(learning_rate=0.01, schedule=ConstantSchedule()),
        "seed": 5,
    }
    state, _ = run(program(**fields), [1])

    @jax.jit
    def expected(split):
        seed = jax.random.key(5)
        model = TinyConfig(dropout=0.0).build((6, 6, 1), 3, nnx.Rngs(jax.random.fold_in(seed, 0)))
        key = jax.random.fold_in(seed, 1)
        first, generate = jnp.asarray(0), DatasetConfig().generate
        order = epoch_order(key, first, 40)
        batch = draw(split, order, key, first, batch_size=8, generate=generate)
        graph, params, other = nnx.split(model, nnx.Param, ...)
        gradients = jax.grad(lambda p: nnx.merge(graph, p, other, copy=True).loss(batch)[0])(params)
        # Adam's first step is the learning rate times the gradient's sign, but for epsilon.
        moved = jax.tree.map(lambda p, g: p - 0.01 * g / (abs(g) + 1e-8), params, gradients)
        return jax.tree.leaves(moved)

    for found, wanted in zip(jax.tree.leaves(state.params), expected(SPLIT), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_seed_decides_everything():
    first, losses = run(program(seed=1), [6])
    again, same_losses = run(program(seed=1), [6])
    assert_same(first, again)
    np.testing.assert_array_equal(losses, same_losses)
    assert not np.array_equal(losses, run(program(seed=2), [6])[1])


def test_dropout_draws_anew_every_step():
    made = program()
    state, _ = run(made, [1])
    start = jax.device_get(made.create_state())
    assert not np.array_equal(*(jax.tree.leaves(s.other)[0] for s in (start, state)))


def test_the_average_follows_the_weights():
    made = program(ema_decay=0.5)
    state = made.create_state()
    average = state.params
    average = jax.tree.map(np.asarray, average)
    for step in range(4):
        state, _ = made.train_steps(state, SPLIT, np.int32(1))
        decay = min(0.5, (1 + step) / (10 + step))
        average = jax.tree.map(
            lambda a, p, d=decay: d * a + (1 - d) * np.asarray(p), average, state.params
        )
    for found, wanted in zip(
        jax.tree.leaves(state.evaluated_params), jax.tree.leaves(average), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_statistics_of_batches_are_those_of_the_weights_themselves():
    model = EfficientCapsNetConfig((3, 4), (3, 3), (1, 2), 2, 2, reconstruction_weight=0.0)
    plain, averaged = (run(program(model=model, ema_decay=d), [4])[0] for d in (0.0, 0.9))
    statistics = nnx.filter_state(averaged.other, nnx.BatchStat)
    assert jax.tree.leaves(statistics)
    assert_same(statistics, nnx.filter_state(plain.other, nnx.BatchStat))
    # Of the parameters alone, which is what stored checkpoints have.
    assert jax.tree.structure(averaged.average) == jax.tree.structure(averaged.params)


def test_without_an_average_the_weights_are_evaluated():
    state = program().create_state()
    assert state.average is None
    assert state.evaluated_params is state.params


def test_clipping_bounds_the_gradient():
    # With plain Adam a scale of the gradient cancels, so look at the first moment.
    def first_moment(clip_norm):
        made = program(optimizer=AdamConfig(clip_norm=clip_norm))
        state, _ = made.train_steps(made.create_state(), SPLIT, np.int32(1))
        adam = [
            s
            for s in jax.tree.leaves(
                state.optimizer, is_leaf=lambda s: isinstance(s, optax.ScaleByAdamState)
            )
            if isinstance(s, optax.ScaleByAdamState)
        ]
        return float(optax.tree.norm(adam[0].mu)) / 0.1

    assert first_moment(0.0) > 0.01
    assert first_moment(0.01) == pytest.approx(0.01, rel=1e-3)


def test_predictions_are_of_the_model_without_dropout():
    made = program()
    state = made.create_state()
    images = np.asarray(SPLIT.images[:4], np.float32) / 255
    first, second = (
        made.outputs(state.evaluated_params, state.other, images, ("logits",))["logits"]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert first.shape == (4, 3)


def test_layers_keep_the_order_of_the_model():
    made = program(model=PoolingNetworkConfig(channels=2, layers=3, downsampling="avg2"))
    state = jax.eval_shape(made.create_state)
    assert made.activations is not None
    layers = jax.eval_shape(
        made.activations, state.params, state.other, jnp.zeros((1, 6, 6, 1), jnp.float32)
    )
    kinds = ("convolution", "filtered", "downsampling")
    blocks = [f"{kind} {block}" for block in (1, 2) for kind in kinds]
    assert list(layers) == [*blocks, "convolution 3"]
    assert program().activations is None


def test_a_model_that_cannot_take_the_images_raises():
    @dataclasses.dataclass
    class Picky:
        def build(self, image_shape, num_classes, rngs):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        program(model=Picky())
