"""Matrix capsules with variational Bayes routing on MNIST, in a network that two CPU cores train.

Paper: Ribeiro, Leontidis and Kollias, "Capsule routing via variational Bayes" (2020); its layers
and routing, with fewer types of capsules than its network of 68,714 parameters
(`capsnet.VariationalCapsNetConfig()`).

    python train.py --config variational_capsnet

Expected: 92.49 % (91.96 to 92.99) on the 10,000 test images at the last step, seed 0.
Cost: 82,000 images; about 25 minutes on a CPU core.
"""

import capsnet
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule


def get_config() -> Experiment:
    """Three times 429 steps of half the usual batch."""
    return Experiment(
        model=capsnet.VariationalCapsNetConfig(32, 8, (8, 8)),
        steps=3 * 429,
        batch_size=64,
        optimizer=AdamConfig(learning_rate=1.5e-2, schedule=CosineSchedule(warmup_steps=50)),
        validate_every=143,
        checkpoint_every=143,
    )
