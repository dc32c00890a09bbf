"""Number of shifts that a network with subsampling must train on to generalise to them all.

    python train.py --config phases:1 --seeds 0,1,2
    python train.py --config phases:4 --seeds 0,1,2
    python train.py --config phases:max_blur3,16 --seeds 0,1,2
    python evaluate.py runs/phases_* --suites clean,phases --out reports/phases

A network with a cumulative stride of s meets an image in s^2 ways, by where the image lies on its
grid. The networks are those of `cnn_pooling`, of stride 4; the argument says, after the network's
name if it is not `max2`, with how many of the 16 shifts of 0 to 3 pixels they are trained. The
first of them is no shift, so that `phases:1` is trained without augmentation. The suite `phases`
tests all 16, in the order in which training takes them.

Strides 2 and 8 are fields: `--config.dataset.phase_stride=2 --config.model.downsamplings=1`.

Expected: open; if coverage were all that counted, nothing would be gained from 16 on.
Cost: 165,000 images; one to three minutes on two CPU cores.
"""

import dataclasses

from configs import cnn_pooling
from data.sources.load import DatasetConfig
from training.experiment import Experiment


def get_config(argument: str = "1") -> Experiment:
    """The network and the number of shifts that the argument names, for three epochs of 429 steps.

    Raises:
        ValueError: if there is no such network, or the number is none.
    """
    network, _, phases = argument.rpartition(",")
    if not (phases.isascii() and phases.isdecimal()) or int(phases) < 1:
        raise ValueError(f"{argument!r}: name a number of phases, as in 4 or max_blur3,4")
    dataset = DatasetConfig(shift=0, phases=int(phases))
    return dataclasses.replace(cnn_pooling.get_config(network), dataset=dataset)
