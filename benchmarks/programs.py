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
    """A function that is not compiled yet, and an argument for it.

    Attributes:
        function: Of the argument; it takes its memory in training.
        argument: Arrays.
        donates: Whether the result takes the place of the argument, and can be given next.
    """

    function: Callable[[Any], Any]
    argument: Any
    donates: bool

    def lower(self) -> jax.stages.Lowered:
        """Traces the function, under the settings of the moment."""
        donated = (0,) if self.donates else ()
        return jax.jit(self.function, donate_argnums=donated).lower(self.argument)


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

    def loss_of(params):
        network: Any = nnx.merge(graph, params, other, copy=True)
        return network.loss(batch)[0]

    def step(_, carried):
        params, state, _ = carried
        loss, gradients = jax.value_and_grad(loss_of)(params)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state, loss

    # A copy, for the steps take their argument's memory.
    argument = (jax.tree.map(jnp.copy, params), optimizer.init(params), jnp.zeros(()))
    return Program(lambda carried: lax.fori_loop(0, steps, step, carried), argument, donates=True)


def _inference(model, batch: Batch, steps: int) -> Program:
    graph, state = nnx.split(in_mode(model, training=False))

    def infer(_, shift):
        # Each pass depends on the one before, or XLA would do it once.
        network: Any = nnx.merge(graph, state, copy=True)
        return 0.0 * network(batch.images + shift).logits[0, 0]

    return Program(
        lambda shift: lax.fori_loop(0, steps, infer, shift), jnp.zeros(()), donates=False
    )


def make_contender(compiled: Callable[[Any], Any], program: Program) -> Contender:
    """A call of a compiled program, which goes on from the call before where it donates."""
    argument = [program.argument]

    def run():
        result = jax.block_until_ready(compiled(argument[0]))
        if program.donates:
            argument[0] = result
        return result

    return run
