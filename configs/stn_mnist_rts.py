"""MNIST turned, scaled and moved (RTS): one task of `stn_mnist`, by its own name.

Paper: Jaderberg, Simonyan, Zisserman and Kavukcuoglu, "Spatial transformer networks" (2015),
section 4.1. The argument is a network of `stn_mnist`.

    python train.py --config stn_mnist_rts
    python train.py --config stn_mnist_rts:st_cnn_tps

Expected: see docs/results/transformers.md.
Cost: 256,000 images; a minute on two CPU cores with the default network.
"""

from configs import stn_mnist
from training.experiment import Experiment


def get_config(network: str = "st_cnn_affine") -> Experiment:
    """The network of that name on RTS."""
    return stn_mnist.experiment("rts", network)
