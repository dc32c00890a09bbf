"""The decoder of a trained network by itself: from class capsules to images."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, ArrayLike, Float, Int

from cnn.output import Output, in_mode
from inference.forward import abstract_network
from training.trained import TrainedRun

Decode = Callable[
    [Float[ArrayLike, "batch classes dim"], Int[ArrayLike, "batch"]],
    Float[Array, "batch height width channels"],
]
"""Class capsules, and which of them to decode, to images with pixels in (0, 1)."""


def decoder_of(run: TrainedRun) -> Decode | None:
    """Makes the function that decodes class capsules of a run; None of a network without one.

    A network with a decoder has poses and a method `reconstruct(output, labels)`.
    """
    if not {"poses", "reconstruction"} <= set(run.program.fields):
        return None
    abstract = abstract_network(run.experiment.model, run.signature)
    if not hasattr(abstract, "reconstruct"):
        return None
    graph, _, _ = nnx.split(in_mode(abstract, training=False), nnx.Param, ...)

    @jax.jit
    def decode(params, other, poses, labels):
        network: Any = nnx.merge(graph, params, other, copy=True)
        logits = jnp.zeros(poses.shape[:2])
        return network.reconstruct(Output(logits, poses=poses), labels)

    return lambda poses, labels: decode(run.state.evaluated_params, run.state.other, poses, labels)
