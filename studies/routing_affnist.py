"""Does routing, or do capsules at all, help with affine maps that training did not show?

    python study.py routing_affnist

The heads of `routing` by the protocol of affNIST: they learn digits that move within 40x40 pixels
and read digits under affine maps there, once for each test image. Published for a CapsNet 79 % and
for a CNN 66 % at equal clean accuracy (Sabour, Frosst and Hinton, 2017), and 93 % for capsules with
shared matrices and no routing (Gu and Tresp, 2020).
"""

from evaluation.comparison.contrasts import Contrast
from evaluation.comparison.study import Study
from studies.routing import ARMS, PAIRS

STUDY = Study(
    question="Does routing, or do capsules at all, help with affine maps that were not trained on?",
    arms={arm: f"trunk_and_head:{head},slim,affnist" for arm, head in ARMS.items()},
    contrasts=tuple(
        Contrast(*pair, suite, "", "accuracy") for pair in PAIRS for suite in ("clean", "affine")
    ),
    suites=("clean", "affine"),
    seeds=tuple(range(5)),
    minutes=dict.fromkeys(ARMS, 6.0),
)
