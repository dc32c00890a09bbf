"""CapsNet on MNIST, on a short schedule for two CPU cores.

Paper: Sabour, Frosst and Hinton, "Dynamic routing between capsules" (2017); its network and loss,
ten epochs with a cosine schedule instead of the released code's 640.

    python train.py --config capsnet_mnist

Expected: 99.52 % (99.36 to 99.64) on the 10,000 test images at the last step, seed 0.
Cost: 550,000 images; 22 minutes on two CPU cores.
"""

import capsnet
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule


def get_config() -> Experiment:
    """Ten epochs of 429 steps."""
    return Experiment(
        model=capsnet.paper(),
        steps=10 * 429,
        optimizer=AdamConfig(learning_rate=2e-3, schedule=CosineSchedule(warmup_steps=100)),
    )
