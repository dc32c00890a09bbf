"""A small CNN on MNIST: two convolutions with max pooling and a dense layer.

    python train.py --config cnn_mnist

Expected: 99.37 % (99.19 to 99.51) on the 10,000 test images at the last step, seed 0.
Cost: 275,000 images; three minutes on two CPU cores.
"""

from cnn.networks import plain
from training.experiment import Experiment


def get_config() -> Experiment:
    """Five epochs of 429 steps."""
    return Experiment(model=plain.small(), steps=5 * 429, checkpoint_every=429)
