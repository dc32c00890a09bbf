"""The arms of a study beside each other: what they share, and in what else they differ."""

import inspect
import math
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from cnn.output import in_mode
from data.dataset import Dataset
from evaluation.comparison.study import Study
from evaluation.metrics.equivariance import cumulative_strides
from training.experiment import Experiment
from training.run.directory import Configurations

_DECODER = "decoder"
# Kernels are brought to the frequency domain once a batch, however many images it has.
_BATCH = 128
# Side of the images on which the receptive field of the last feature map is looked for.
_SIDE = 96
# Inputs over which the field is put together: a maximum, or a ReLU, passes on few pixels of each.
_PROBES = 4
# Of a gradient by way of Fourier transforms, which reaches everywhere a little.
_ROUNDING = 1e-5


def describe_arms(
    study: Study, configurations: Configurations, data_dir: str | None = None
) -> Iterator[dict[str, str]]:
    """Describes each arm: parameters without a decoder's, which classifies nothing, and compute.

    Columns are texts: "arm", "parameters", "decoder", "MFLOPs/image" of a prediction as XLA counts
    them, "receptive field" and "stride" of the last feature map in pixels, "layers" with weights
    but for those of the decoder, "dropout", "loss", "learning rate" and "images" trained on.

    Args:
        study: Its arms are described.
        configurations: From a name to its experiment.
        data_dir: See `data.sources.load.load`.
    """
    datasets: dict[Any, Dataset] = {}
    for arm, name in study.arms.items():
        experiment = configurations(name)
        key = repr(experiment.dataset)
        if key not in datasets:
            datasets[key] = experiment.dataset.load(data_dir)
        yield {"arm": arm, **_describe(experiment, datasets[key])}


def _describe(experiment: Experiment, dataset: Dataset) -> dict[str, str]:
    shape = dataset.image_shape

    def build():
        return experiment.model.build(shape, dataset.num_classes, nnx.Rngs(0))

    model = nnx.eval_shape(build)
    sizes, layers = _weights(model)
    field, stride = _last_map(build, model, shape)
    return {
        "parameters": f"{sizes['']:,}",
        "decoder": f"{sizes[_DECODER]:,}" if sizes[_DECODER] else "-",
        "MFLOPs/image": f"{_flops(model, shape) / 1e6:.3g}",
        "receptive field": field,
        "stride": stride,
        "layers": str(layers),
        "dropout": ", ".join(f"{rate:g}" for rate in _dropout(model)) or "-",
        "loss": _loss(experiment, model),
        "learning rate": f"{getattr(experiment.optimizer, 'learning_rate', math.nan):g}",
        "images": f"{experiment.steps * experiment.batch_size:,}",
    }


def _loss(experiment: Experiment, model: Any) -> str:
    """The loss that a configuration chose by its name, or else what the network's has to say."""
    chosen = getattr(experiment.model, "loss", None)
    if isinstance(chosen, str):
        return chosen.capitalize()
    return re.split("[,.(;]", inspect.getdoc(model.loss) or "-")[0].strip()


def _weights(model: nnx.Module) -> tuple[dict[str, int], int]:
    """Parameters of the decoder and of all else, and layers with weights outside the decoder."""
    sizes, layers = {"": 0, _DECODER: 0}, 0
    for path, leaf in jax.tree.leaves_with_path(nnx.state(model, nnx.Param)):
        of_decoder = _DECODER in jax.tree_util.keystr(path).lower()
        sizes[_DECODER if of_decoder else ""] += leaf.size
        layers += not of_decoder and leaf.ndim > 1
    return sizes, layers


def _dropout(model: nnx.Module) -> list[float]:
    modules = (module for _, module in nnx.iter_modules(model))
    return [float(module.rate) for module in modules if isinstance(module, nnx.Dropout)]


def _flops(model: nnx.Module, shape: tuple[int, ...]) -> float:
    """Arithmetic of one prediction, as XLA counts it in the program that it compiles."""
    graph, state = nnx.split(model)

    def logits(state, images):
        return in_mode(nnx.merge(graph, state), training=False)(images).logits

    images = jax.ShapeDtypeStruct((_BATCH, *shape), np.float32)
    costs: Any = jax.jit(logits).lower(state, images).compile().cost_analysis()
    return float(costs["flops"]) / _BATCH


def _last_map(
    build: Callable[[], nnx.Module], model: nnx.Module, shape: tuple[int, ...]
) -> tuple[str, str]:
    """Receptive field and cumulative stride of the last feature map, in pixels of the image.

    The field is the box of all pixels that the gradient of a place's channels reaches, over several
    random images; dashes of a model that names no layers, or takes images of one size alone.
    """
    graph, abstract = nnx.split(model)

    def activations(state, images):
        # Through a transform a dictionary would lose the order of the layers.
        network: Any = in_mode(nnx.merge(graph, state), training=False)
        return OrderedDict(network.activations(images))

    if not hasattr(model, "activations"):
        return "-", "-"
    strides = cumulative_strides(
        lambda images: jax.eval_shape(activations, abstract, images), shape
    )
    maps = [name for name, stride in strides.items() if stride]
    if not maps:
        return "-", "-"

    @jax.jit
    def gradient():
        state = nnx.state(build())

        def middle(images):
            features = activations(state, images)[maps[-1]]
            height, width = features.shape[1:3]
            # Squared, for the gradients of channels may cancel out.
            return jnp.sum(features[:, height // 2, width // 2] ** 2)

        images = jax.random.uniform(jax.random.key(0), (_PROBES, _SIDE, _SIDE, shape[-1]))
        return jnp.max(jnp.abs(jax.grad(middle)(images)), axis=(0, 3))

    reached = np.asarray(gradient())
    rows, columns = np.nonzero(reached > _ROUNDING * reached.max())
    size = f"{np.ptp(rows) + 1}x{np.ptp(columns) + 1}" if len(rows) else "-"
    return size, str(strides[maps[-1]])
