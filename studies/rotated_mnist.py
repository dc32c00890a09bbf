"""Does a network that is equivariant to quarter turns read digits at any angle better than a CNN?

    python study.py rotated_mnist

P4CNN of Cohen and Welling (2016) on rotated MNIST 12k against ordinary convolutions of two widths,
which differ from it in nothing but the symmetry: of about as many parameters (`z2cnn_plain`, with
24,680 against 21,750), and of the same compute (`z2cnn_wide`, with more than three times as many).
Equal parameters favour the group network, whose maps are twice as wide; equal compute favours
the CNN. The paper's control has a dropout of .3, which P4CNN has not and which would decide so
short a training, and is no arm. A training has eight epochs, so that a CPU core finishes five seeds
of three networks in 80 minutes; the paper's had 100 and 300, and its errors are lower. Seeds begin
at 1, for the networks were tried out with seed 0.
"""

from evaluation.comparison.contrasts import Contrast
from evaluation.comparison.study import Study

_CONTROLS = ("z2cnn_plain", "z2cnn_wide")

STUDY = Study(
    question="Does equivariance to quarter turns help to read digits at any angle?",
    arms={arm: f"rotated_mnist:{arm}" for arm in (*_CONTROLS, "p4cnn")},
    contrasts=tuple(Contrast("p4cnn", control, "clean", "", "accuracy") for control in _CONTROLS),
    suites=("clean",),
    seeds=(1, 2, 3, 4, 5),
    minutes={"z2cnn_plain": 4.0, "z2cnn_wide": 6.0, "p4cnn": 6.0},
)
