"""CapsNet on MNIST exactly as the authors' released code trains it.

Paper: Sabour, Frosst and Hinton, "Dynamic routing between capsules" (2017), with the settings of
their TensorFlow code: its loss scale, initialisers and biases, and 300,000 steps of batch 128 with
a learning rate of 0.001 * 0.96^(step / 2000).

    python train.py --config capsnet_mnist_paper

Expected: the paper reports a test error of 0.25 % (+-0.005 over three trials); careful
reimplementations report 0.34 to 0.37 % at the last of 50 epochs.
Cost: 38.4 million images, three days at the 148 images/s of two CPU cores; meant for a GPU.
"""

import capsnet
from training.experiment import Experiment
from training.optimizers import AdamConfig, ExponentialSchedule


def get_config() -> Experiment:
    """The released code's schedule on all but 5,000 training images."""
    return Experiment(
        model=capsnet.sabour_code(),
        steps=300_000,
        optimizer=AdamConfig(schedule=ExponentialSchedule()),
        validate_every=4290,
        checkpoint_every=1500,
        log_every=100,
    )
