"""A CNN on MNIST with CapsNet's 9x9 kernels and average pooling, on `capsnet_mnist`'s schedule.

The size of the kernels changes what any network predicts under affine distortions, so comparisons
with CapsNet need a baseline that shares it: three layers, 5,240,762 parameters. CapsNet has
6,804,224 without its decoder.

    python train.py --config cnn_mnist_9x9

Expected: not measured yet.
Cost: 550,000 images, the budget of `capsnet_mnist`.
"""

from cnn.networks import plain
from training.experiment import Experiment


def get_config() -> Experiment:
    """Ten epochs of 429 steps, as `capsnet_mnist`."""
    return Experiment(model=plain.wide_kernels(), steps=10 * 429)
