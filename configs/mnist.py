"""Networks on MNIST on equal terms: the same images, the same shifts, the same three epochs.

    python train.py --config mnist:capsnet --seeds 0,1,2
    python train.py --config mnist:st_cnn --seeds 0,1,2
    python train.py --config mnist:cnn --seeds 0,1,2
    python train.py --config mnist:cnn_matched --seeds 0,1,2
    python train.py --config mnist:cnn_9x9 --seeds 0,1,2
    python train.py --config mnist:cnn_decoder --seeds 0,1,2
    python train.py --config mnist:cnn_400k --seeds 0,1,2
    python train.py --config mnist:residual --seeds 0,1,2
    python train.py --config mnist:compact_transformer --seeds 0,1,2
    python train.py --config mnist:polar --seeds 0,1,2
    python train.py --config mnist:p4cnn --seeds 0,1,2

`capsnet` is the network of Sabour et al. (2017), `st_cnn` and `cnn_400k` the CNN of Jaderberg et
al. (2015) with and without a transformer at 400,000 parameters each, `cnn` a small network,
`cnn_matched` one that has about as many parameters as CapsNet and its decoder together, `cnn_9x9`
one with its kernels and `cnn_decoder` one with its decoder and, in all, about as many parameters.
`residual` is a residual network of He et al. (2016) and `compact_transformer` the compact
convolutional transformer of Hassani et al. (2021), at 400,000 parameters too. `polar` is the polar
transformer network of Esteves et al. (2018), at its 131,959, and `p4cnn` the network over quarter
turns of Cohen and Welling (2016), at its 24,680.
Learning rates were chosen on validation images (`p4cnn`'s on those of `affnist`), but for
`residual`, `compact_transformer` and `polar`, which have the others' default.
Validation is frequent, so that `evaluate.py --match_accuracy` finds checkpoints on either side of
the accuracy that it asks for.

Expected: see docs/results/robustness.md.
Cost: 165,000 images; on two CPU cores seven minutes for the four large networks, one or two for
the others; not measured for the last four.
"""

from typing import Any

import capsnet
from cnn.networks import plain, reconstructing
from cnn.networks.compact_transformer import CompactTransformerConfig
from cnn.networks.residual import ResidualNetworkConfig
from data.sources.load import DatasetConfig
from equivariant.networks import polar
from equivariant.networks.cohen_welling import p4cnn
from stn.networks.mnist import TransformerNetworkConfig
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule

MODELS = {
    "capsnet": capsnet.paper,
    "st_cnn": TransformerNetworkConfig,
    "cnn": plain.small,
    "cnn_matched": plain.matched,
    "cnn_9x9": plain.wide_kernels,
    "cnn_decoder": reconstructing.matched,
    "cnn_400k": lambda: TransformerNetworkConfig(transformers=0),
    "residual": ResidualNetworkConfig,
    "compact_transformer": CompactTransformerConfig,
    "polar": polar.large,
    "p4cnn": p4cnn,
}
MOVED = DatasetConfig(pad=6, shift=6)
"""MNIST in frames of 40x40 pixels, moved by up to six along each axis to learn from."""
LEARNING_RATES = {"capsnet": 2e-3, "p4cnn": 1e-2}


def get_config(argument: str = "") -> Experiment:
    """The network that the argument names, for three epochs of 429 steps.

    Raises:
        ValueError: if there is none of that name.
    """
    name = argument or "capsnet"
    if name not in MODELS:
        raise ValueError(f"{name!r} is not one of {', '.join(MODELS)}")
    return on_equal_terms(MODELS[name](), LEARNING_RATES.get(name, 1e-3))


def on_equal_terms(
    model: Any, learning_rate: float = 1e-3, *, epochs: int = 3, **fields: Any
) -> Experiment:
    """A schedule for any model.

    Args:
        model: See `training.experiment.ModelConfig`.
        learning_rate: At its highest.
        epochs: Of 429 steps.
        fields: Others of the experiment.
    """
    return Experiment(
        model=model,
        steps=429 * epochs,
        optimizer=AdamConfig(
            learning_rate=learning_rate, schedule=CosineSchedule(warmup_steps=100)
        ),
        validate_every=143,
        checkpoint_every=143,
        **fields,
    )
