"""Efficient-CapsNet on MNIST, on a short schedule for two CPU cores.

Paper: Mazzia, Salvetti and Chiaberge, "Efficient-CapsNet: capsule network with self-attention
routing" (2021); its network and loss, eight epochs of batch 64 with a cosine schedule and modest
distortions instead of 150 epochs of batch 16 with strong ones.

    python train.py --config efficient_capsnet_mnist

Expected: 99.58 % (99.43 to 99.69) on the 10,000 test images at the last step, seed 0.
Cost: 440,000 images; 20 minutes on two CPU cores.
"""

import capsnet
from data.distortions import AffineDistortion
from data.sources.load import DatasetConfig
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule


def get_config() -> Experiment:
    """Eight epochs of 859 steps."""
    return Experiment(
        model=capsnet.EfficientCapsNetConfig(),
        steps=8 * 859,
        batch_size=64,
        dataset=DatasetConfig(
            distortion=AffineDistortion(rotation=15.0, smallest_scale=0.9, largest_scale=1.1)
        ),
        optimizer=AdamConfig(learning_rate=2e-3, schedule=CosineSchedule(warmup_steps=100)),
        validate_every=859,
        checkpoint_every=859,
    )
