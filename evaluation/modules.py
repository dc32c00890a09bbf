"""NNX modules as evaluations see them."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from cnn.output import in_mode, read
from evaluation.model import Differentiable, Predictor


def of_module(module: nnx.Module, image_shape: tuple[int, ...]) -> Predictor:
    """A trained module as a `Predictor`, with dropout and running averages as in tests.

    Args:
        module: From images in [0, 1] to a `cnn.Output`, or another `NamedTuple` or dataclass with
            `logits`, perhaps with `views`. Later changes of its weights do not count.
        image_shape: Height, width and channels; volumes have a depth before.
    """
    graph, variables = nnx.split(in_mode(module, training=False))

    def named(variables, images, names=None):
        return read(nnx.merge(graph, variables), images, names)

    def layers(variables, images):
        network: Any = nnx.merge(graph, variables)
        return OrderedDict(network.activations(images))  # a dictionary would lose the order

    outputs, activations = jax.jit(named, static_argnums=2), jax.jit(layers)
    known = jax.eval_shape(named, variables, jax.ShapeDtypeStruct((1, *image_shape), jnp.float32))
    return of_functions(
        variables,
        outputs,
        tuple(known),
        activations if hasattr(module, "activations") else None,
    )


def of_functions(
    variables: Any,
    outputs: Callable[[Any, Any, tuple[str, ...]], Mapping[str, Any]],
    fields: tuple[str, ...],
    activations: Callable[[Any, Any], Mapping[str, Any]] | None,
) -> Predictor:
    """A trained model of pure functions as a `Predictor`.

    Args:
        variables: Its weights, a pytree of arrays.
        outputs: (variables, images, names of fields) to those fields; compiled and differentiable.
        fields: The names that `outputs` knows.
        activations: (variables, images) to what each layer returns, in order; None for no layers.
    """

    def traced(name: str):
        return lambda variables, images: outputs(variables, images, (name,))[name]

    return Predictor(
        read=lambda images, names: jax.device_get(outputs(variables, images, names)),
        fields=fields,
        differentiable=Differentiable(
            logits=traced("logits"),
            variables=variables,
            **{name: traced(name) for name in ("reconstruction", "vote_logits") if name in fields},
        ),
        activations=None
        if activations is None
        else lambda images: jax.device_get(activations(variables, images)),
    )
