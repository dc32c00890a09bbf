"""Toys from novel viewpoints: CNNs and capsule networks on equal terms, in the manner of smallNORB.

Paper: Hinton, Sabour and Frosst, "Matrix capsules with EM routing" (2018), section 5.1: networks
learn from a third of the azimuths (or of the elevations) and classify other toys from all of them.
The argument is a network, and a protocol: full, novel_azimuth (by default) or novel_elevation.

    python train.py --config viewpoints:cnn_slim
    python train.py --config viewpoints:capsnet_slim,novel_elevation --seeds 0,1,2
    python train.py --config viewpoints:self_routing,full
    python evaluate.py runs/viewpoints_* --suites clean,viewpoints --out reports/viewpoints

Images are stereo pairs of 96x96 pixels, brought to 48x48, of which training cuts out 32x32 at
random and changes brightness and contrast; the middle is for test. They are rendered from solids
(`data/tasks/viewpoints.py`), once for all runs of a process: about a minute. With
`--config.dataset.name=smallnorb` they are smallNORB's own, as prepared by TFDS.

Networks on two channels and five classes: `cnn` is of the paper's baseline's size (4,253,349
parameters), `cnn_slim` has an eighth of its hidden units (577,957), `capsnet` is the network of
Sabour et al. with its decoder (9,327,104), `capsnet_slim` has a quarter of its channels and primary
types (3,335,936), `matrix_capsnet` is the paper's larger network (317,194), `matrix_capsnet_slim`
has fewer types of capsules (25,234), `self_routing` is the network of Hahn et al. (815,104). All
take the same 858 steps of 128 images, matrix capsules twice as many of 64; rates were not searched
for these images. The paper compares networks at the step at which they are equally good from
familiar viewpoints: `--match_accuracy`.

Expected: docs/results/novel_viewpoints.md has three seeds of the slim networks. For smallNORB the
paper has 20 % errors from novel azimuths for the CNN, and 13.5 % for capsules, both with 3.7 % from
familiar ones.
Cost: 110,000 images; on one busy CPU core four minutes for `cnn_slim`, one of them to render.
"""

import dataclasses

import capsnet
from cnn.networks import plain
from configs import mnist
from configs.matrix_capsnet import ROUTING
from data.tasks.viewpoints import PROTOCOLS, ViewpointsConfig
from training.experiment import Experiment

STEPS = 2 * 429


def _cnn(width: int) -> plain.ConvolutionalNetworkConfig:
    return plain.ConvolutionalNetworkConfig(
        channels=(32, 64), pooling=("max2", "max2"), dense=(width,)
    )


def _matrix(*types: int) -> capsnet.MatrixCapsNetConfig:
    """Matrix capsules with the routing, and the growth of the margin, of `matrix_capsnet`."""
    return capsnet.MatrixCapsNetConfig(
        32, types[0], types[1:], margin_period=2 * STEPS // 8, routing=ROUTING
    )


MODELS = {
    "cnn": lambda: _cnn(1024),
    "cnn_slim": lambda: _cnn(128),
    "capsnet": capsnet.paper,
    "capsnet_slim": lambda: capsnet.CapsNetConfig(convolution_channels=64, primary_types=8),
    "matrix_capsnet": lambda: _matrix(32, 32, 32),
    "matrix_capsnet_slim": lambda: _matrix(8, 8, 8),
    "self_routing": capsnet.SelfRoutingCapsNetConfig,
}
LEARNING_RATES = {
    "capsnet": 2e-3,
    "capsnet_slim": 2e-3,
    "matrix_capsnet": 1e-2,
    "matrix_capsnet_slim": 1e-2,
    "self_routing": 2e-3,
}


def get_config(argument: str = "") -> Experiment:
    """The network and the protocol that the argument names, for two epochs of 429 steps.

    Raises:
        ValueError: if there is none of that name.
    """
    network, _, protocol = (argument or "cnn_slim").partition(",")
    protocol = protocol or "novel_azimuth"
    for name, choices in ((network, MODELS), (protocol, PROTOCOLS)):
        if name not in choices:
            raise ValueError(f"{name!r} is not one of {', '.join(choices)}")
    experiment = mnist.on_equal_terms(
        MODELS[network](),
        LEARNING_RATES.get(network, 1e-3),
        epochs=2,
        dataset=ViewpointsConfig(protocol=protocol),
        suites=("clean", "viewpoints"),
    )
    if network.startswith("matrix"):
        return dataclasses.replace(experiment, steps=2 * STEPS, batch_size=64)
    return experiment
