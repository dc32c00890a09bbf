"""Matrix capsules with EM routing on MNIST, in a network that two CPU cores train.

Paper: Hinton, Sabour and Frosst, "Matrix capsules with EM routing" (2018); its layers, routing and
spread loss, with fewer types of capsules than its smaller network (`small` in
`capsnet/networks/matrix.py`), and a margin that grows over this run instead of 700,000 steps. Of
the routing two iterations in place of three, a wider narrowest Gaussian and a higher inverse
temperature: with the paper's, capsules of MNIST's blank ground, whose votes agree and say nothing,
are the most active at first, and 21 % of validation images were right after 400 steps.

    python train.py --config matrix_capsnet

Expected: 94.40 % (93.93 to 94.83) on the 10,000 test images at the last step, seed 0, and rising.
Cost: 82,000 images; half an hour on two CPU cores that other work shared.
"""

import capsnet
from capsnet.routing import ExpectationMaximisationRouting
from capsnet.routing.expectation_maximisation import narrowest_cost
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule

_MIN_VARIANCE = 0.25
ROUTING = ExpectationMaximisationRouting(
    iterations=2,
    final_beta=3.0,
    min_variance=_MIN_VARIANCE,
    initial_cost=narrowest_cost(_MIN_VARIANCE),
)


def get_config() -> Experiment:
    """Three times 429 steps of half the usual batch."""
    steps = 3 * 429
    return Experiment(
        model=capsnet.MatrixCapsNetConfig(32, 8, (8, 8), margin_period=steps // 8, routing=ROUTING),
        steps=steps,
        batch_size=64,
        optimizer=AdamConfig(learning_rate=1e-2, schedule=CosineSchedule(warmup_steps=50)),
        validate_every=143,
        checkpoint_every=143,
    )
