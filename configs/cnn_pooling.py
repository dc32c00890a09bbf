"""CNNs that differ in how they subsample, and in nothing else.

    python train.py --config cnn_pooling:max2 --seeds 0,1,2
    python train.py --config cnn_pooling:max_blur3 --seeds 0,1,2

The argument is a way to halve a feature map (`cnn.downsampling`): `max2`, `max3s2`, `avg2`,
`stride2`, `max_blur3`, `max_blur5`, `blur3` or `aps`; or `lps`, which learns to choose what `aps`
chooses by its norm, with more parameters (`cnn.polyphase`); or `all_conv_global`, which never
subsamples and takes one maximum over all places at its end; or `dense`, which has `max2` and a
dense layer with weights of its own for every place. Depth and stride are fields:
`--config.model.layers=8` at the same cumulative stride, `--config.model.downsamplings=1` at the
same depth.

Expected: see docs/results/pooling.md.
Cost: 165,000 images; one to three minutes on two CPU cores; not measured for `lps`.
"""

import dataclasses

from cnn.downsampling import KINDS
from cnn.networks.pooling import PoolingNetworkConfig
from cnn.polyphase import NAME
from configs import mnist
from training.experiment import Experiment

MODELS = {
    **{kind: PoolingNetworkConfig(downsampling=kind) for kind in KINDS if kind != "none"},
    NAME: PoolingNetworkConfig(downsampling=NAME),
    "all_conv_global": PoolingNetworkConfig(downsamplings=0, head="max"),
    "dense": PoolingNetworkConfig(head="dense"),
}


def get_config(argument: str = "") -> Experiment:
    """The network that the argument names, for three epochs of 429 steps.

    Raises:
        ValueError: if there is none of that name.
    """
    name = argument or "max2"
    if name not in MODELS:
        raise ValueError(f"{name!r} is not one of {', '.join(MODELS)}")
    return mnist.on_equal_terms(dataclasses.replace(MODELS[name]))
