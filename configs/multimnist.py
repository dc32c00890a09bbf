"""Two overlapping digits: capsule networks and CNNs that predict both, on equal terms.

Paper: Sabour, Frosst and Hinton, "Dynamic routing between capsules" (2017), section 6: 36x36 images
of two digits of different classes, each moved by up to 4 pixels along each axis. An image counts as
right if the two largest scores are those of its two digits. The argument is a network.

    python train.py --config multimnist
    python train.py --config multimnist:cnn
    python train.py --config multimnist:capsnet_slim --seeds 0,1,2
    python train.py --config multimnist:cnn_slim --seeds 0,1,2

`capsnet` is the paper's network, which reconstructs each digit by itself from the capsule of its
class (11,361,808 parameters), and `cnn` its baseline (24,563,978). `capsnet_slim` has a quarter of
the channels and of the primary capsules' types (3,297,232), and `cnn_slim` is the smaller network
that the paper widened to its baseline (2,711,946). Every batch is rendered anew; the paper has 60
million images, a hundred times as many as here.

Expected: docs/results/overlapping_digits.md has the two large ones after three of the ten epochs.
The paper reports errors of 5.2 % (CapsNet) and 8.1 % (CNN) for a far longer training.
Cost: 549,000 images; on two CPU cores about 80 minutes (capsnet), 100 (cnn), 20 (capsnet_slim) and
six (cnn_slim).
"""

import capsnet
from cnn.networks import multi_label
from configs import mnist
from data.tasks.multimnist import MultiMNISTConfig
from training.experiment import Experiment

MODELS = {
    "capsnet": capsnet.paper,
    "cnn": multi_label.paper,
    "capsnet_slim": lambda: capsnet.CapsNetConfig(convolution_channels=64, primary_types=8),
    "cnn_slim": multi_label.small,
}
LEARNING_RATES = {"capsnet": 2e-3, "capsnet_slim": 2e-3}


def get_config(argument: str = "") -> Experiment:
    """The network that the argument names, for ten epochs of 429 steps.

    Raises:
        ValueError: if there is none of that name.
    """
    name = argument or "capsnet"
    if name not in MODELS:
        raise ValueError(f"{name!r} is not one of {', '.join(MODELS)}")
    return mnist.on_equal_terms(
        MODELS[name](),
        LEARNING_RATES.get(name, 1e-3),
        epochs=10,
        dataset=MultiMNISTConfig(),
        monitors=("couplings", "overlaps"),
        suites=("clean", "overlaps"),
    )
