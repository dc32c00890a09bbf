"""The forward pass of a trained network: its weights by name, and one program of images alone."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import export
from jaxtyping import Array, Float

from cnn.output import fields_of, in_mode
from common.errors import UserError, first_line
from inference.restore import RestoredRun
from training.run.signature import Signature

PLATFORMS = ("cpu", "cuda", "tpu")
"""Backends that one program is lowered for, in JAX's words."""

# In this order; the others are large, or for attacks and measurements of this project alone.
_FIELDS = ("logits", "probabilities", "lengths", "poses", "features", "reconstruction")

Forward = Callable[[Float[Array, "batch *shape"]], dict[str, Array]]
"""Images in [0, 1] to the outputs of a network by name; see `forward`."""


def abstract_network(model: Any, signature: Signature) -> nnx.Module:
    """Builds the network of a model's configuration in shapes alone, without variables."""
    return nnx.eval_shape(
        lambda: model.build(signature.image_shape, signature.num_classes, nnx.Rngs(0))
    )


def trained_network(run: RestoredRun) -> nnx.Module:
    """Builds the network of a run with the variables of its checkpoint, on one device."""
    device, signature = jax.devices()[0], Signature.of(run.setup.dataset)
    abstract = abstract_network(run.setup.experiment.model, signature)
    graph, _, _ = nnx.split(abstract, nnx.Param, ...)
    state = jax.device_put((run.state.evaluated_params, run.state.other), device)
    return nnx.merge(graph, *state)


def named_weights(network: nnx.Module) -> dict[str, np.ndarray]:
    """Collects parameters and batch statistics, by the paths of their modules.

    Returns:
        Arrays by names such as "primary_capsules.convolution.kernel", in the order of the names.
    """
    state = nnx.state(network, nnx.Not(nnx.RngState))
    return {
        ".".join(map(str, path)): np.asarray(variable.get_value())
        for path, variable in sorted(nnx.to_flat_state(state))
    }


def forward(network: nnx.Module) -> Forward:
    """Makes the pure function of images that evaluates a network.

    Its outputs are those of these that the network has (see `cnn.Output`), in float32: "logits";
    "probabilities", the softmax of the logits where the network has none of its own; "lengths",
    "poses", "features" and "reconstruction"; "warped_images" and "grids" of spatial transformers.

    Args:
        network: With its variables, which become constants of the function.
    """
    graph, state = nnx.split(in_mode(network, training=False))

    def outputs(images):
        found = fields_of(nnx.merge(graph, state, copy=True)(images))
        found.setdefault("probabilities", jax.nn.softmax(found["logits"], axis=-1))
        chosen = {name: found[name] for name in _FIELDS if name in found}
        if "warp" in found:
            chosen |= {"warped_images": found["warp"].images, "grids": found["warp"].grids}
        return {name: values.astype(jnp.float32) for name, values in chosen.items()}

    return outputs


def lower(outputs: Forward, image_shape: tuple[int, ...]) -> export.Exported:
    """Lowers a function of images for any number of them, on every one of `PLATFORMS`.

    Args:
        outputs: As of `forward`.
        image_shape: Height, width, channels.

    Raises:
        UserError: if the function cannot be traced for an unknown number of images.
    """
    (batch,) = export.symbolic_shape("batch")
    images = jax.ShapeDtypeStruct((batch, *image_shape), jnp.float32)
    try:
        return export.export(jax.jit(outputs), platforms=PLATFORMS)(images)
    except Exception as error:  # a network may be a user's own
        raise UserError(
            f"the network cannot be lowered for any number of images ({first_line(error)}); its "
            "code may depend on no size of the batch"
        ) from error


def output_shapes(lowered: export.Exported) -> Mapping[str, tuple[str | int, ...]]:
    """Shapes of the outputs of a lowered function, by name; the first size is "batch"."""
    shapes = jax.tree.unflatten(lowered.out_tree, lowered.out_avals)
    return {
        name: tuple(size if isinstance(size, int) else str(size) for size in each.shape)
        for name, each in shapes.items()
    }
