"""The programs that are timed: several training steps, or passes, of a network in one dispatch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax

from benchmarks.timing import Contender
from cnn.output import in_mode
from data.batches import Batch

TASKS = ("training", "inference")


class Program(NamedTuple):
    """A function that is not compiled yet, and arguments for it.

    Attributes:
        function: Of the argument and the batch.
        argument: Arrays.
        batch: What it computes on.
        donates: Whether the result takes the place of the argument, and can be given next.
    """

    function: Callable[[Any, Batch], Any]
    argument: Any
    batch: Batch
    donates: bool

    def lower(self) -> jax.stages.Lowered:
        """Traces the function, under the settings of the moment."""
        donated = (0,) if self.donates else ()
        return jax.jit(self.function, donate_argnums=donated).lower(self.argument, self.batch)


def make_batch(batch: int, image_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Images in [0, 1] and labels of ten classes."""
    random = np.random.default_rng(0)
    images = random.random((batch, *image_shape), np.float32)
    return images, random.integers(0, 10, batch).astype(np.int32)


def make_programs(
    config: Any, images: np.ndarray, labels: np.ndarray, steps: int
) -> dict[str, Program]:
    """Training by Adam, and inference of logits, on one batch again and again.

    Args:
        config: Of the network.
        images: `[batch, height, width, channels]`.
        labels: `[batch]`.
        steps: Steps, or passes, of a call.

    Returns:
        By the names of `TASKS`.
    """
    model = config.build(images.shape[1:], 10, nnx.Rngs(0))
    batch = Batch(jnp.asarray(images), jnp.asarray(labels))
    return {
        "training": _training(model, batch, steps),
        "inference": _inference(model, batch, steps),
    }


def _training(model, batch: Batch, steps: int) -> Program:
    graph, params, other = nnx.split(in_mode(model, training=True), nnx.Param, ...)
    optimizer = optax.adam(1e-4)

    def loss_of(params, other, batch):
        network: Any = nnx.merge(graph, params, other, copy=True)
        return network.loss(batch)[0], nnx.split(network, nnx.Param, ...)[2]

    def step(batch, carried):
        params, other, state, _ = carried
        with_gradients = jax.value_and_grad(loss_of, has_aux=True)
        (loss, other), gradients = with_gradients(params, other, batch)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), other, state, loss

    def train(carried, batch):
        return lax.fori_loop(0, steps, lambda _, carried: step(batch, carried), carried)

    # A copy, for the steps take their argument's memory. The keys of dropout go on from step to
    # step, or XLA would draw its masks once for all of them.
    params, other = jax.tree.map(jnp.copy, (params, other))
    argument = (params, other, optimizer.init(params), jnp.zeros(()))
    return Program(train, argument, batch, donates=True)


def _inference(model, batch: Batch, steps: int) -> Program:
    graph, state = nnx.split(in_mode(model, training=False))

    def largest_logit(state, images):
        network: Any = nnx.merge(graph, state, copy=True)
        return jnp.max(network(images).logits)

    def infer(state, batch):
        # Each pass depends on the one before, or XLA would do it once.
        return lax.fori_loop(
            0,
            steps,
            lambda _, shift: 0.0 * largest_logit(state, batch.images + shift),
            jnp.zeros(()),
        )

    return Program(infer, state, batch, donates=False)


def make_contender(compiled: Callable[[Any, Batch], Any], program: Program) -> Contender:
    """A call of a compiled program, which goes on from the call before where it donates."""
    argument = [program.argument]

    def run():
        result = jax.block_until_ready(compiled(argument[0], program.batch))
        if program.donates:
            argument[0] = result
        return result

    return run
