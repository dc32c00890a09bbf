"""The CNN baseline of the CapsNet paper on MNIST.

Paper: Sabour, Frosst and Hinton (2017), section 5: three 5x5 convolutions of 256, 256 and 128
channels, dense layers of 328 and 192, dropout, softmax cross-entropy, Adam, the same 2-pixel
shifts: 35,445,522 parameters.

    python train.py --config cnn_mnist_paper

Expected: the paper reports a test error of 0.39 %.
Cost: 2.7 million images; meant for a GPU.
"""

from cnn.networks import plain
from training.experiment import Experiment


def get_config() -> Experiment:
    """Fifty epochs of 429 steps."""
    return Experiment(model=plain.paper(), steps=50 * 429, checkpoint_every=429)
