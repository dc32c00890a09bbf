"""MNIST under random distortions: spatial transformers beside the classifiers that they help.

Paper: Jaderberg, Simonyan, Zisserman and Kavukcuoglu, "Spatial transformer networks" (2015),
section 4.1: its tasks and its networks of 400,000 parameters, on a schedule for two CPU cores. The
argument is TASK,NETWORK; a part that is left out is the default's.

    python train.py --config stn_mnist
    python train.py --config stn_mnist:tc,st_fcn_tps

Tasks: r (turned), rts (turned, scaled, moved), p (tilted), e (bent), t (moved), tc (moved, with
clutter), tu (the same on a larger canvas with more clutter). Networks: fcn, cnn, and st_fcn or
st_cnn followed by _affine, _projective or _tps; st_cnn_iterated predicts its affine warp in four
steps.

Expected: see docs/results/transformers.md.
Cost: 256,000 images; from ten seconds (fcn) over one to two minutes (st_cnn) to eight (cnn on tc)
on two CPU cores.
"""

import dataclasses

from data.tasks import distorted
from stn.networks.mnist import TransformerNetworkConfig
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule

TASKS = {
    "r": distorted.rotated,
    "rts": distorted.rotated_translated_scaled,
    "p": distorted.projected,
    "e": distorted.elastic,
    "t": distorted.translated,
    "tc": distorted.translated_cluttered,
    "tu": distorted.translated_cluttered_large,
}
NETWORKS = {
    "fcn": TransformerNetworkConfig("fcn", transformers=0),
    "cnn": TransformerNetworkConfig("cnn", transformers=0),
    "st_fcn_affine": TransformerNetworkConfig("fcn", "affine"),
    "st_fcn_projective": TransformerNetworkConfig("fcn", "projective"),
    "st_fcn_tps": TransformerNetworkConfig("fcn", "tps"),
    "st_cnn_affine": TransformerNetworkConfig("cnn", "affine"),
    "st_cnn_projective": TransformerNetworkConfig("cnn", "projective"),
    "st_cnn_tps": TransformerNetworkConfig("cnn", "tps"),
    "st_cnn_iterated": TransformerNetworkConfig("cnn", "affine", steps=4),
}
# Where the paper halves the transformer's output by average pooling.
POOLED = ("rts", "tc", "tu")


def get_config(argument: str = "") -> Experiment:
    """The task and the network that the argument names, for 2,000 steps."""
    task, _, network = argument.partition(",")
    return experiment(task or "rts", network or "st_cnn_affine")


def experiment(task: str, network: str) -> Experiment:
    """A network on a task.

    Raises:
        ValueError: if there is none of that name.
    """
    for name, choices in ((task, TASKS), (network, NETWORKS)):
        if name not in choices:
            raise ValueError(f"{name!r} is not one of {', '.join(choices)}")
    return Experiment(
        model=dataclasses.replace(NETWORKS[network], pooling=task in POOLED),
        steps=2000,
        batch_size=128,
        dataset=TASKS[task](),
        optimizer=AdamConfig(schedule=CosineSchedule(warmup_steps=50)),
        suites=("clean", "pose"),
    )
