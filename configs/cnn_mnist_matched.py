"""A CNN on MNIST of about 8.2 million parameters, on the schedule of `capsnet_mnist`.

The convolutions of the CapsNet paper's baseline (256, 256 and 128 channels, 5x5) with max pooling,
and a dense layer that brings the whole to 8,214,147 parameters, all of which classify. CapsNet has
8,215,568, but 1,411,344 of them are a decoder that classifies nothing.

    python train.py --config cnn_mnist_matched

Expected: not measured yet.
Cost: 550,000 images, the budget of `capsnet_mnist`.
"""

from cnn.networks import plain
from training.experiment import Experiment


def get_config() -> Experiment:
    """Ten epochs of 429 steps, as `capsnet_mnist`."""
    return Experiment(model=plain.matched(), steps=10 * 429)
