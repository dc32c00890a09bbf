"""Self-routing CapsNet on MNIST: capsules that decide by themselves where their votes go.

Paper: Hahn, Pyeon and Kim, "Self-routing capsule networks" (2019); its smallNORB network with ten
classes, on a short schedule in place of 200 epochs.

    python train.py --config self_routing_capsnet

The paper trains with momentum 0.9, a learning rate of 0.1 and a weight decay of 0.0001. Routing
weights start at zero and each counts for one capsule in 512, so this hardly moves them in 500 steps
(63 to 70 % of the validation images after 100, 200 and 300 of them); hence Adam here. With
`--config.model.hidden_layers=1` there is a layer of convolutional capsules between primary and
class capsules.

Expected: 99.29 % (99.11 to 99.44) on the 10,000 test images at the last step, seed 0.
Cost: 64,000 images; about a minute on a CPU core.
"""

import capsnet
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule


def get_config() -> Experiment:
    """Five hundred steps, little more than an epoch."""
    return Experiment(
        model=capsnet.SelfRoutingCapsNetConfig(),
        steps=500,
        optimizer=AdamConfig(learning_rate=2e-3, schedule=CosineSchedule(warmup_steps=50)),
        validate_every=100,
        checkpoint_every=100,
    )
