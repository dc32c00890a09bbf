"""Inverted dot-product attention on MNIST: capsules whose parents compete for each vote.

Paper: Tsai, Srivastava, Goh and Salakhutdinov, "Capsules with inverted dot-product attention
routing" (2020); its kinds of layers and concurrent routing, but with three residual blocks in place
of seven, half of the channels, a quarter of the capsules and convolutional capsules without stride:
115,393 parameters. A short schedule takes the place of 350 epochs.

    python train.py --config attention_capsnet
    python train.py --config attention_capsnet --config.model.concurrent=False

Its optimizer is the paper's, momentum 0.9 with weight decay, at a learning rate of 0.1, but for a
cosine in place of steps. The paper's own network, 1,828,817 parameters on CIFAR10, is
`capsnet.AttentionCapsNetConfig()`.

Expected: 99.06 % (98.85 to 99.23) on the 10,000 test images at the last step, seed 0.
Cost: 64,000 images; about three minutes on a CPU core.
"""

import capsnet
from training.experiment import Experiment
from training.optimizers import CosineSchedule, MomentumConfig


def get_config() -> Experiment:
    """Five hundred steps, little more than an epoch."""
    return Experiment(
        model=capsnet.AttentionCapsNetConfig(
            channels=(16, 32, 64), blocks=(1, 1, 1), types=8, capsule_strides=(1, 1)
        ),
        steps=500,
        optimizer=MomentumConfig(
            learning_rate=0.1,
            schedule=CosineSchedule(warmup_steps=100),
            momentum=0.9,
            weight_decay=5e-4,
        ),
        validate_every=100,
        checkpoint_every=100,
    )
