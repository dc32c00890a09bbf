"""CapsNet on MNIST, on a short schedule for two CPU cores.

Paper: Sabour, Frosst and Hinton, "Dynamic routing between capsules" (2017); its network and loss,
three epochs with a cosine schedule instead of the released code's 640.

    python train.py --config capsnet_mnist

Expected: 99.1 % or more on the 10,000 test images at the last step.
Cost: 165,000 images; 20 to 30 minutes on two CPU cores, under a minute on a GPU.
"""

import capsnet
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule


def get_config() -> Experiment:
    """Three epochs of 429 steps."""
    return Experiment(
        model=capsnet.paper(),
        steps=3 * 429,
        optimizer=AdamConfig(learning_rate=2e-3, schedule=CosineSchedule(warmup_steps=100)),
    )
