"""The training step, and many of them in one dispatch.

The model is split once into a static graph and a pytree of arrays; from there on everything is a
pure function under `jax.jit`, the state donated. How many steps a dispatch runs is an argument,
not a constant, so one compiled program serves blocks of every length and the arithmetic of a step
does not depend on how a run was cut into blocks.
"""

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, Key

from cnn.output import in_mode, read
from common.errors import UserError, first_line
from data.batches import DeviceSplit, draw, epoch_order, steps_per_epoch
from training.continuing import build_optimizer
from training.experiment import Experiment

DATA_AXIS = "data"


class TrainState(NamedTuple):
    """All that changes during training; a pytree of arrays.

    Attributes:
        step: Steps done.
        params: The model's parameters.
        other: The model's other variables, such as the keys of its dropout.
        optimizer: The optimizer's state.
        average: Moving average of the parameters, and of nothing else, or None.
    """

    step: Int[Array, ""]
    params: Any
    other: Any
    optimizer: Any
    average: Any

    @property
    def evaluated_params(self):
        """The parameters that evaluations use, which are the average if there is one."""
        return self.params if self.average is None else self.average

    @property
    def num_parameters(self) -> int:
        """The number of the model's parameters."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))


@dataclasses.dataclass(frozen=True)
class Program:
    """The pure functions of one experiment.

    Attributes:
        create_state: () -> the state at step 0.
        train_steps: (state, split, count) -> (state, metrics); metrics are arrays
            `[block_size]` of which the first `count` entries hold.
        outputs: (params, other, images in [0, 1], names of fields) -> those fields of the model's
            output or views, by name; what no name asks for is not computed.
        fields: Every field that the model's output and views have, by name, as shapes and types for
            a batch of one image.
        activations: (params, other, images) -> the model's `activations`, in its order, or None if
            it names none.
        diagnose: The model's `diagnose`, or None.
        block_size: The most steps that one dispatch runs.
    """

    create_state: Callable[[], TrainState]
    train_steps: jax.stages.Wrapped
    outputs: jax.stages.Wrapped
    fields: Mapping[str, Any]
    activations: jax.stages.Wrapped | None
    diagnose: Callable[[dict[str, float]], str | None] | None
    block_size: int


def make_program(
    experiment: Experiment,
    image_shape: tuple[int, ...],
    num_classes: int,
    mesh: Mesh,
    *,
    block_size: int = 200,
    windowed: bool = False,
) -> Program:
    """Builds an experiment's model once and returns the functions that train and evaluate it.

    Args:
        experiment: What is trained.
        image_shape: Of the images that the model receives.
        num_classes: Of their labels.
        mesh: The devices.
        block_size: See `Program`.
        windowed: A split is the window of a step (see `data.streaming`), not whole.

    Raises:
        ValueError: if the model cannot take such images, or the optimizer not such a model.
    """
    optimizer = build_optimizer(experiment)

    def create_model():
        key = jax.random.fold_in(jax.random.key(experiment.seed), 0)
        return experiment.model.build(image_shape, num_classes, nnx.Rngs(key))

    abstract = nnx.eval_shape(create_model)
    train_graph, params, _ = nnx.split(in_mode(abstract, training=True), nnx.Param, ...)
    jax.eval_shape(optimizer.init, params)  # so that an optimizer that does not fit says so here
    test_graph, _, other = nnx.split(in_mode(abstract, training=False), nnx.Param, ...)

    def create_state() -> TrainState:
        _, params, other = nnx.split(create_model(), nnx.Param, ...)
        average = jax.tree.map(jnp.copy, params) if experiment.ema_decay else None
        return TrainState(jnp.zeros((), jnp.int32), params, other, optimizer.init(params), average)

    step_once = _make_step(train_graph, optimizer, experiment.ema_decay)
    train_steps = _make_train_steps(step_once, experiment, mesh, block_size, windowed)

    def over_devices(images):
        if images.shape[0] % mesh.size:
            return images
        return jax.lax.with_sharding_constraint(images, _over_devices(mesh))

    def outputs(params, other, images, fields):
        return read(nnx.merge(test_graph, params, other), over_devices(images), fields)

    def activations(params, other, images):
        model: Any = nnx.merge(test_graph, params, other)
        # Through a plain dictionary, JAX would lose the order of the layers.
        return OrderedDict(model.activations(over_devices(images)))

    one_image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    replicated = NamedSharding(mesh, PartitionSpec())
    return Program(
        create_state=jax.jit(create_state, out_shardings=replicated),
        train_steps=jax.jit(train_steps, donate_argnums=0, out_shardings=replicated),
        outputs=jax.jit(outputs, static_argnums=3, out_shardings=replicated),
        fields=jax.eval_shape(
            lambda *variables: read(nnx.merge(test_graph, *variables[:2]), variables[2]),
            params,
            other,
            one_image,
        ),
        activations=jax.jit(activations, out_shardings=replicated)
        if hasattr(abstract, "activations")
        else None,
        diagnose=getattr(abstract, "diagnose", None),
        block_size=block_size,
    )


def _over_devices(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(DATA_AXIS))


def _make_step(graph, optimizer: optax.GradientTransformation, ema_decay: float):
    def loss_fn(params, other, batch):
        # Copies, for the variables of `other` belong to the trace around the gradient.
        model = nnx.merge(graph, params, other, copy=True)
        loss, metrics = _checked(f"{type(model).__name__}.loss", model.loss(batch))
        _, _, other = nnx.split(model, nnx.Param, ...)
        return loss, (metrics, other)

    with_gradients = jax.value_and_grad(loss_fn, has_aux=True)

    def step_once(state: TrainState, batch) -> tuple[TrainState, dict]:
        (loss, (metrics, other)), gradients = with_gradients(state.params, state.other, batch)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        average = state.average
        if average is not None:
            # Early on the average follows quickly, so that it forgets the initial values.
            decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
            average = optax.incremental_update(params, average, 1.0 - decay)
        metrics = {"loss": loss, **metrics, "gradient_norm": optax.tree.norm(gradients)}
        return TrainState(state.step + 1, params, other, optimizer_state, average), metrics

    return step_once


def _checked(name: str, returned: Any) -> tuple[Any, Mapping[str, Any]]:
    """What a model's loss returned, while it is traced; see `training.experiment.ModelConfig`.

    Raises:
        UserError: if it is not a scalar and scalar metrics, one of them the accuracy.
    """
    must = "it must return a scalar loss and a dictionary of scalar metrics with 'accuracy'"
    pair = isinstance(returned, tuple) and len(returned) == 2
    if not pair or not isinstance(returned[1], Mapping):
        raise UserError(f"{name} returns {type(returned).__name__}; {must}")
    loss, metrics = returned
    shapes = {"the loss": jnp.shape(loss), **{k: jnp.shape(v) for k, v in metrics.items()}}
    if "accuracy" not in shapes:
        raise UserError(f"{name} returns the metrics {', '.join(metrics) or 'none'}; {must}")
    for what, shape in shapes.items():
        if shape:
            raise UserError(f"{name} returns {what} of shape {shape}; {must}")
    return loss, metrics


def data_key(experiment: Experiment) -> Key[Array, ""]:
    """The key of the order and the augmentation of a run's images."""
    return jax.random.fold_in(jax.random.key(experiment.seed), 1)


def _make_train_steps(
    step_once, experiment: Experiment, mesh: Mesh, block_size: int, windowed: bool
):
    key, dataset = data_key(experiment), experiment.dataset

    def generate_chosen(key, split: DeviceSplit, chosen):
        return dataset.augment(key, split.images[chosen], split.labels[chosen])

    def train_steps(state: TrainState, split: DeviceSplit, count):
        size = split.labels.shape[0]
        epoch_length = steps_per_epoch(size, experiment.batch_size)

        def order_at(step):
            if windowed:
                return jnp.arange(size)
            return epoch_order(key, step // epoch_length, size)

        def batch_at(order, step):
            batch = draw(
                split,
                order,
                key,
                step,
                batch_size=experiment.batch_size,
                generate=generate_chosen if windowed else dataset.generate,
            )
            return jax.lax.with_sharding_constraint(batch, _over_devices(mesh))

        def body(index, carry):
            state, order, history = carry
            # An order lasts an epoch; it is drawn anew only where the next epoch begins.
            order = jax.lax.cond(
                state.step % epoch_length == 0,
                lambda step, _: order_at(step),
                lambda _, order: order,
                state.step,
                order,
            )
            state, metrics = step_once(state, batch_at(order, state.step))
            history = jax.tree.map(
                lambda past, now: past.at[index].set(now.astype(past.dtype)), history, metrics
            )
            return state, order, history

        order = order_at(state.step)
        try:
            shapes = jax.eval_shape(lambda: step_once(state, batch_at(order, state.step))[1])
        except ValueError as error:
            message = first_line(error)
            raise UserError(f"the model cannot learn from these images: {message}") from error
        history = {name: jnp.zeros(block_size, jnp.float32) for name in shapes}
        state, _, history = jax.lax.fori_loop(0, count, body, (state, order, history))
        return state, history

    return train_steps
