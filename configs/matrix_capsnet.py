"""Matrix capsules with EM routing on MNIST, in a network that two CPU cores train.

Paper: Hinton, Sabour and Frosst, "Matrix capsules with EM routing" (2018); its layers, routing and
spread loss, with fewer types of capsules than its smaller network (`small` in
`capsnet/networks/matrix.py`), and a margin that grows over this run instead of 700,000 steps.

    python train.py --config matrix_capsnet

Expected: no run of it is recorded here.
Cost: 82,000 images; about a second of processor time for each of 1,287 steps.
"""

import capsnet
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule


def get_config() -> Experiment:
    """Three times 429 steps of half the usual batch."""
    steps = 3 * 429
    return Experiment(
        model=capsnet.MatrixCapsNetConfig(32, 4, (8, 8), margin_period=steps // 8),
        steps=steps,
        batch_size=64,
        optimizer=AdamConfig(learning_rate=1e-2, schedule=CosineSchedule(warmup_steps=50)),
    )
