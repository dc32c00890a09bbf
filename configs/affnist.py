"""The affNIST test: digits moved within 40x40 pixels to learn from, affine maps of digits to read.

    python train.py --config affnist:capsnet --seeds 0,1,2
    python train.py --config affnist:cnn --seeds 0,1,2
    python evaluate.py runs/affnist_* --suites clean,affnist --out reports/affnist

The argument is a network of `mnist`, with its learning rate and its three epochs. Images are
MNIST's with a blank frame six pixels wide, and move by up to six pixels along each axis, which is
the training set of Sabour et al. (2017), section 5.1; with `--match_accuracy=99.23` networks are
compared as there, at equal accuracy on such images.

The suite `affnist` maps each test image 32 times in affNIST's ranges, as its test split has it,
and `affine` once. affNIST's own 320,000 images are scored where their files lie in the folder of
prepared data (`data/sources/affnist.py`):

    python evaluate.py runs/affnist_* --suites clean --test_data affnist --out reports/affnist

Expected: published for networks of 99.2 % on moved digits, CapsNet 79 %, a CNN 66 % of affNIST.
Cost: 165,000 images of twice MNIST's area; on two CPU cores half an hour for the three large
networks, two to four minutes for the others.
"""

import dataclasses

from configs import mnist
from data.sources.load import DatasetConfig
from training.experiment import Experiment

MOVED = DatasetConfig(pad=6, shift=6)
"""MNIST in frames of 40x40 pixels, moved by up to six along each axis to learn from."""


def get_config(argument: str = "") -> Experiment:
    """The network that the argument names, for three epochs of 429 steps.

    Raises:
        ValueError: if there is none of that name.
    """
    return dataclasses.replace(mnist.get_config(argument), dataset=MOVED)
