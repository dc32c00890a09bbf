"""The least time that a network's arithmetic and its weights' traffic take on a machine."""

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.timing import measure
from cnn.convolution import Convolution
from cnn.output import in_mode
from data.batches import Batch
from equivariant.group_convolution import OrientedConvolution

_MATRIX_SIDE = 2048
_STREAM_BYTES = 256 * 2**20  # far more than a cache holds


def measure_machine(rounds: int) -> dict[str, float]:
    """Measures the highest arithmetic and memory rates of this machine.

    Args:
        rounds: How often each measurement is taken; the fastest counts.

    Returns:
        "flops_per_second" of a float32 product of two 2,048 x 2,048 matrices, and
        "bytes_per_second", read and written, of adding one to 256 MB.
    """
    matrix = jnp.ones((_MATRIX_SIDE, _MATRIX_SIDE), jnp.float32)
    stream = jnp.ones(_STREAM_BYTES // 4, jnp.float32)
    multiply = jax.jit(jnp.matmul)
    add = jax.jit(lambda stream: stream + 1.0)
    times = measure(
        {
            "product": lambda: jax.block_until_ready(multiply(matrix, matrix)),
            "stream": lambda: jax.block_until_ready(add(stream)),
        },
        rounds,
    )
    return {
        "flops_per_second": 2e3 * _MATRIX_SIDE**3 / times["product"]["minimum_ms"],
        "bytes_per_second": 2e3 * _STREAM_BYTES / times["stream"]["minimum_ms"],
    }


def count_work(config: Any, images: np.ndarray, labels: np.ndarray) -> dict[str, dict[str, float]]:
    """Arithmetic and compulsory memory traffic of one call, by task.

    Arithmetic is that of direct convolutions, whatever the layers would choose, counted by XLA
    before it optimises; products of spectra can take less. Traffic is each weight read once and,
    in training, weights and both of Adam's moments read and written, as if all activations stayed
    in caches.

    Args:
        config: Of the network.
        images: One batch, [batch, height, width, channels].
        labels: Its labels.

    Returns:
        "flops" and "bytes" for "training" (one step) and "inference".
    """
    with on_host():
        model = config.build(images.shape[1:], 10, nnx.Rngs(0))
        batch = Batch(jnp.asarray(images), jnp.asarray(labels))
    for _, module in nnx.iter_graph(model):
        if isinstance(module, Convolution | OrientedConvolution):
            module.lowering = "native"
    graph, params, other = nnx.split(in_mode(model, training=True), nnx.Param, ...)
    test_graph = nnx.graphdef(in_mode(model, training=False))

    def loss(params):
        network: Any = nnx.merge(graph, params, other, copy=True)
        return network.loss(batch)[0]

    def logits(params):
        network: Any = nnx.merge(test_graph, params, other, copy=True)
        return network(batch.images).logits

    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    return {
        "training": {
            "flops": count_flops(jax.value_and_grad(loss), params),
            "bytes": images.nbytes + 6.0 * weights,
        },
        "inference": {
            "flops": count_flops(logits, params),
            "bytes": images.nbytes + 1.0 * weights,
        },
    }


def floor_ms(work: dict[str, float], machine: dict[str, float]) -> float:
    """The time that the longer of arithmetic and traffic takes at the machine's best, in ms."""
    seconds = max(
        work["flops"] / machine["flops_per_second"], work["bytes"] / machine["bytes_per_second"]
    )
    return 1e3 * seconds


def count_flops(function: Callable[..., Any], *arguments: Any) -> float:
    """Arithmetic of a function as it is written, before XLA optimises it.

    It is counted on the host, for JAX does not count for GPUs and TPUs.

    Raises:
        RuntimeError: if JAX cannot count here either.
    """
    shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), arguments)
    with on_host():
        counted = jax.jit(function).lower(*shapes).cost_analysis()
    if counted is None:
        raise RuntimeError("this version of JAX counts no FLOPs on this host")
    return float(counted["flops"])


def on_host() -> contextlib.AbstractContextManager[Any]:
    """In which arrays and programs are the CPU's, whatever else there is."""
    return jax.default_device(jax.local_devices(backend="cpu")[0])
