"""Which networks that are equally accurate on moved digits read digits under affine maps?

    python study.py affnist

The protocol of affNIST with which Sabour, Frosst and Hinton (2017) compared capsules and CNNs:
networks learn digits that move within 40x40 pixels, are compared at the step at which they are
equally accurate on such images, and read digits under 32 affine maps each. A CapsNet with routing
and reconstruction, capsules with one matrix for all and no routing (Gu and Tresp, 2020), and a
network over quarter turns (Cohen and Welling, 2016), each against a CNN of CapsNet's receptive
field, compute and parameters without the decoder. Capsules and CNN have a tenth of CapsNet's trunk
and learn for one epoch, the network over quarter turns and that without routing for three. The
paper's networks are compared at 99.2 %; these are at 97 %, little below what the network over
quarter turns has at its end. Seeds begin at 1, for the networks were tried out with seed 0.
"""

from evaluation.comparison.contrasts import Contrast
from evaluation.comparison.study import Study

ARMS = {
    "cnn": "affnist:cnn_slim",
    "capsnet": "affnist:capsnet_slim",
    "p4cnn": "affnist:p4cnn",
    "affine_capsnet": "affnist:affine_capsnet_slim",
}

STUDY = Study(
    question="Which networks, equally accurate on moved digits, read digits under affine maps?",
    arms=ARMS,
    contrasts=tuple(
        Contrast(arm, "cnn", suite, "", "accuracy")
        for arm in ("capsnet", "p4cnn", "affine_capsnet")
        for suite in ("clean", "affnist")
    ),
    suites=("clean", "affnist"),
    seeds=(1, 2, 3),
    minutes={"cnn": 7.0, "capsnet": 8.0, "p4cnn": 14.0, "affine_capsnet": 11.0},
    match_accuracy=0.97,
)
