"""MNIST moved, with clutter (TC): one task of `stn_mnist`, by its own name.

Paper: Jaderberg, Simonyan, Zisserman and Kavukcuoglu, "Spatial transformer networks" (2015),
section 4.1. The argument is a network of `stn_mnist`.

    python train.py --config stn_mnist_tc
    python train.py --config stn_mnist_tc:st_fcn_affine

Expected: see docs/results/transformers.md.
Cost: 256,000 images; two minutes on two CPU cores with the default network.
"""

from configs import stn_mnist
from training.experiment import Experiment


def get_config(network: str = "st_cnn_affine") -> Experiment:
    """The network of that name on TC."""
    return stn_mnist.experiment("tc", network)
