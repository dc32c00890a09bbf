"""Precisions of products, and the rate at which a device multiplies matrices in each."""

import contextlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.accelerator.session import seconds_of


class Precision(NamedTuple):
    """A setting of products.

    Attributes:
        products: Of float32 operands, as `jax.default_matmul_precision` names it; None for what
            JAX does by default, which on GPUs since Ampere is TF32 and on TPUs bfloat16.
        dtype: Compute type of a network.
    """

    products: str | None
    dtype: str

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """In which programs have to be traced."""
        if self.products is None:
            return contextlib.nullcontext()
        return jax.default_matmul_precision(self.products)


PRECISIONS = {
    "float32": Precision("float32", "float32"),
    "TF32": Precision("tensorfloat32", "float32"),
    "bfloat16": Precision(None, "bfloat16"),
}


def measure_matrix_rate(side: int, precision: str, least: float) -> dict[str, float]:
    """Multiplies two large square matrices.

    Args:
        side: Of the matrices.
        precision: Of `PRECISIONS`.
        least: Seconds of measurement.

    Returns:
        "TFLOP/s".
    """
    setting = PRECISIONS[precision]
    matrix = jnp.full((side, side), 0.5, setting.dtype)
    with setting.context():
        multiply = jax.jit(jnp.matmul).lower(matrix, matrix).compile()
    seconds = seconds_of(lambda: jax.block_until_ready(multiply(matrix, matrix)), least)
    return {"TFLOP/s": 2e-12 * side**3 / seconds}
