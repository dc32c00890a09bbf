"""The forward pass of a trained network as an ONNX model, by way of jax2onnx."""

import logging
from typing import Any

import jax
import jax.numpy as jnp
from jax import export
from jax.extend.core import jaxpr_as_fun

from common.errors import UserError, first_line
from inference.flattening import flatten
from inference.forward import Forward

# Its declared bounds on orbax-checkpoint are below what this project needs; it imports none.
_INSTALL = "pip install onnx onnx-ir onnxruntime && pip install --no-deps jax2onnx"


def to_onnx(outputs: Forward, image_shape: tuple[int, ...]) -> bytes:
    """Converts a function of images to a model with an input "images", for any number of them.

    Args:
        outputs: As of `inference.forward.forward`; its names are those of the model's outputs.
        image_shape: Height, width, channels.

    Returns:
        The serialised model.

    Raises:
        UserError: if jax2onnx is not installed, the function computes in bfloat16, which ONNX
            Runtime's operators do not take, or the converter does not know how to convert it.
    """
    converter = _jax2onnx()
    (batch,) = export.symbolic_shape("batch")
    images = jax.ShapeDtypeStruct((batch, *image_shape), jnp.float32)
    flat = flatten(outputs, images)
    if any(each.aval.dtype == jnp.bfloat16 for step in flat.jaxpr.eqns for each in step.outvars):
        raise UserError("--onnx: the network computes in bfloat16, which ONNX Runtime does not")
    run = jaxpr_as_fun(flat)
    try:
        model = converter.to_onnx(
            lambda images: tuple(run(images)),
            [images],
            input_names=["images"],
            output_names=sorted(jax.eval_shape(outputs, images)),
            return_mode="proto",
        )
    except Exception as error:  # of many kinds, for networks that it was not tried with
        kind = type(error).__name__
        raise UserError(
            f"--onnx: jax2onnx cannot convert the network ({kind}: {first_line(error)[:200]}); "
            "leave out --onnx"
        ) from error
    return model.SerializeToString()


def _jax2onnx() -> Any:
    try:
        import jax2onnx  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(f"--onnx: {first_line(error)}; it needs {_INSTALL}") from error
    logging.getLogger("onnx_ir").setLevel(logging.ERROR)  # of shapes that it need not know
    return jax2onnx
