"""The affNIST test: digits moved within 40x40 pixels to learn from, affine maps of digits to read.

    python train.py --config affnist:capsnet --seeds 0,1,2
    python train.py --config affnist:cnn --seeds 0,1,2
    python train.py --config affnist:capsnet_slim --seeds 0,1,2
    python train.py --config affnist:affine_capsnet_slim
    python evaluate.py runs/affnist_* --suites clean,affnist --out reports/affnist

The argument is a network of `mnist`, with its learning rate and its three epochs. Images are
MNIST's with a blank frame six pixels wide, and move by up to six pixels along each axis, which is
the training set of Sabour et al. (2017), section 5.1; with `--match_accuracy=99.23` networks are
compared as there, at equal accuracy on such images.

Slim networks, those of the study `affnist`, are networks of `trunk_and_head` with a tenth of
CapsNet's trunk: `cnn_slim`, a CNN with a hidden layer, and `capsnet_slim`, with routing and
reconstruction, learn for one epoch; `affine_capsnet_slim`, with shared transformations and no
routing, for three at a higher rate, for all that its classes read are the eight components of a
mean. They validate twice as often, for they pass an accuracy in fewer steps.

The suite `affnist` maps each test image 32 times in affNIST's ranges, as its test split has it,
and `affine` once. affNIST's own 320,000 images are scored where their files lie in the folder of
prepared data (`data/sources/affnist.py`):

    python evaluate.py runs/affnist_* --suites clean --test_data affnist --out reports/affnist

Expected: published for networks of 99.2 % on moved digits, CapsNet 79 %, a CNN 66 % of affNIST.
Cost: 165,000 images of twice MNIST's area; on two CPU cores half an hour for the three large
networks, two to four minutes for the others; for slim ones three to four minutes an epoch on one.
"""

import dataclasses
from typing import NamedTuple

from configs import mnist, trunk_and_head
from training.experiment import Experiment


class Slim(NamedTuple):
    """A slim network.

    Attributes:
        parts: Of `trunk_and_head`.
        epochs: Of 429 steps.
        learning_rate: At its highest.
    """

    parts: str
    epochs: int = 1
    learning_rate: float = 2e-3


SLIM = {
    "cnn_slim": Slim("dense,slim,cross_entropy"),
    "capsnet_slim": Slim("dynamic3,slim,reconstruction"),
    "affine_capsnet_slim": Slim("shared,slim", epochs=3, learning_rate=1e-2),
}


def get_config(argument: str = "") -> Experiment:
    """The network that the argument names, for three epochs of 429 steps unless it is slim.

    Raises:
        ValueError: if there is none of that name.
    """
    if argument and argument not in (*mnist.MODELS, *SLIM):
        raise ValueError(f"{argument!r} is not one of {', '.join((*mnist.MODELS, *SLIM))}")
    if argument not in SLIM:
        return dataclasses.replace(mnist.get_config(argument), dataset=mnist.MOVED)
    slim = SLIM[argument]
    model = trunk_and_head.get_config(slim.parts).model
    return dataclasses.replace(
        mnist.on_equal_terms(model, slim.learning_rate, epochs=slim.epochs, dataset=mnist.MOVED),
        validate_every=71,
        checkpoint_every=71,
    )
