"""A small CapsNet on MNIST that learns in a minute on a CPU.

The architecture of Sabour, Frosst and Hinton (2017) with a quarter of the channels and of the
primary capsules' types, and without the decoder, so that it reconstructs nothing.

    python train.py --config capsnet_mnist_tiny

Expected: 98.19 % (97.91 to 98.43) on the 10,000 test images at the last step, seed 0.
Cost: 38,400 images; one minute on two CPU cores.
"""

import capsnet
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule


def get_config() -> Experiment:
    """Three hundred steps."""
    return Experiment(
        model=capsnet.CapsNetConfig(
            convolution_channels=64, primary_types=8, reconstruction_weight=0.0
        ),
        steps=300,
        optimizer=AdamConfig(learning_rate=3e-3, schedule=CosineSchedule(warmup_steps=20)),
        validate_every=150,
        checkpoint_every=150,
    )
