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
    run, names = jaxpr_as_fun(flat), sorted(jax.eval_shape(outputs, images))
    # The lengths of capsules, for one, may be their probabilities; the converter wants them once.
    values = flat.jaxpr.outvars
    firsts = [values.index(each) for each in values]
    kept = sorted(set(firsts))
    try:
        model = converter.to_onnx(
            lambda images: tuple(run(images)[place] for place in kept),
            [images],
            input_names=["images"],
            output_names=[names[place] for place in kept],
            return_mode="proto",
        )
    except Exception as error:  # of many kinds, for networks that it was not tried with
        kind = type(error).__name__
        raise UserError(
            f"--onnx: jax2onnx cannot convert the network ({kind}: {first_line(error)[:200]}); "
            "leave out --onnx"
        ) from error
    for name, place in zip(names, firsts, strict=True):
        if name != names[place]:
            _repeat(model, names[place], name)
    return model.SerializeToString()


def _repeat(model: Any, output: str, name: str) -> None:
    """Adds an output that has the value of another."""
    graph = model.graph
    graph.node.add(op_type="Identity", input=[output], output=[name])
    (kind,) = (each.type for each in graph.output if each.name == output)
    graph.output.add(name=name, type=kind)


def _jax2onnx() -> Any:
    # Its examples for other libraries are missed aloud, and shapes that it need not know.
    for name in ("jax2onnx", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        import jax2onnx  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError(f"--onnx: {first_line(error)}; it needs {_INSTALL}") from error
    return jax2onnx
