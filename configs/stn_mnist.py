"""MNIST under random distortions: spatial transformers beside the classifiers that they help.

Paper: Jaderberg, Simonyan, Zisserman and Kavukcuoglu, "Spatial transformer networks" (2015),
section 4.1. The argument is TASK,NETWORK.
"""

import dataclasses

from data import generated
from stn.networks import TransformerNetworkConfig
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule

TASKS = {
    "r": generated.rotated,
    "rts": generated.rotated_translated_scaled,
    "p": generated.projected,
    "e": generated.elastic,
    "t": generated.translated,
    "tc": generated.translated_cluttered,
    "tu": generated.translated_cluttered_large,
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
}
# Where the paper halves the transformer's output by average pooling.
POOLED = ("rts", "tc", "tu")


def get_config(argument: str = "rts,st_cnn_affine") -> Experiment:
    """The task and the network that the argument names."""
    task, _, network = argument.partition(",")
    for name, choices in ((task, TASKS), (network, NETWORKS)):
        if name not in choices:
            raise ValueError(f"{name!r} is not one of {', '.join(choices)}")
    return Experiment(
        model=dataclasses.replace(NETWORKS[network], pooling=task in POOLED),
        steps=1000,
        batch_size=128,
        dataset=TASKS[task](),
        optimizer=AdamConfig(learning_rate=1e-3, schedule=CosineSchedule()),
        suites=("clean", "pose"),
    )
