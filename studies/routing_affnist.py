"""Does routing, or do capsules at all, help with affine maps that training did not show?

    python study.py routing_affnist

Heads of `routing` by the protocol of affNIST: they learn digits that move within 40x40 pixels and
read digits under affine maps there, once for each test image. Published for a CapsNet 79 % and for
a CNN 66 % at equal clean accuracy (Sabour, Frosst and Hinton, 2017). The study `affnist` compares
capsules with one matrix for all, and a CNN, at equal accuracy and on 32 maps of each image; here
networks differ in the head alone and are compared after equal steps.
"""

from evaluation.comparison.contrasts import Contrast
from evaluation.comparison.study import Study
from studies.routing import FEWER_ARMS, FEWER_PAIRS

STUDY = Study(
    question="Does routing, or do capsules at all, help with affine maps that were not trained on?",
    arms={arm: f"trunk_and_head:{head},slim,affnist" for arm, head in FEWER_ARMS.items()},
    contrasts=tuple(
        Contrast(*pair, suite, "", "accuracy")
        for pair in FEWER_PAIRS
        for suite in ("clean", "affine")
    ),
    suites=("clean", "affine"),
    seeds=tuple(range(3)),
    minutes=dict.fromkeys(FEWER_ARMS, 6.0),
)
