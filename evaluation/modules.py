"""NNX modules as evaluations see them."""

from collections import OrderedDict
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from cnn.output import fields_of, in_mode
from evaluation.model import Differentiable, Predictor


def of_module(module: nnx.Module, image_shape: tuple[int, ...]) -> Predictor:
    """A trained module as a `Predictor`, with dropout and running averages as in tests.

    Args:
        module: From images in [0, 1] to a `cnn.Output`, or another `NamedTuple` or dataclass with
            `logits`. Later changes of its weights do not count.
        image_shape: Height, width and channels; volumes have a depth before.
    """
    graph, variables = nnx.split(in_mode(module, training=False))

    def fields(variables, images):
        network: Any = nnx.merge(graph, variables)
        return fields_of(network(images))

    def named(variables, images, names):
        found = fields(variables, images)
        return {name: found[name] for name in names}

    def layers(variables, images):
        network: Any = nnx.merge(graph, variables)
        return OrderedDict(network.activations(images))  # a dictionary would lose the order

    outputs, activations = jax.jit(named, static_argnums=2), jax.jit(layers)
    known = jax.eval_shape(fields, variables, jax.ShapeDtypeStruct((1, *image_shape), jnp.float32))

    def traced(name: str):
        return lambda variables, images: outputs(variables, images, (name,))[name]

    return Predictor(
        read=lambda images, names: jax.device_get(outputs(variables, images, names)),
        fields=tuple(known),
        differentiable=Differentiable(
            logits=traced("logits"),
            variables=variables,
            reconstruction=traced("reconstruction") if "reconstruction" in known else None,
        ),
        activations=(lambda images: jax.device_get(activations(variables, images)))
        if hasattr(module, "activations")
        else None,
    )
