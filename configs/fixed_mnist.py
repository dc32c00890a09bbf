"""Digits in any pose, learnt from few fixed images: RS-MNIST, Scale-MNIST and SIM2MNIST.

The argument is a set and a network of `mnist`.

    python train.py --config fixed_mnist:scale_mnist,cnn
    python train.py --config fixed_mnist:rs_mnist,st_cnn --seeds 0,1,2
    python train.py --config fixed_mnist:sim2mnist,cnn
    python train.py --config fixed_mnist:sim2mnist,polar

Sets: `rs_mnist` (any rotation, scales 0.3 to 1, 56x56 pixels, 5,000 training images), `scale_mnist`
(scales 0.3 to 1, 28x28 pixels, 10,000) and `sim2mnist` (rotation, scale and place in clutter, 96x96
pixels, 10,000); each has 50,000 test images. See `data/tasks/fixed.py` for what of them is
published and what is not. Training images are the same in every epoch: no augmentation.

Expected: open; published are 93.19 % (RST-CNN) and 95.80 % (InvarPDEs-Net) on RS-MNIST, and
97.92 % (SESN) and 98.30 % (InvarPDEs-Net) on Scale-MNIST, for far longer trainings.
Cost: 165,000 images of the set's area, and 62,000 to render in the beginning.
"""

import dataclasses

from configs import mnist
from data.tasks.fixed import SETS
from training.experiment import Experiment


def get_config(argument: str = "") -> Experiment:
    """The set and the network that the argument names, for three epochs of 429 steps.

    Raises:
        ValueError: if there is none of that name.
    """
    name, _, network = (argument or "scale_mnist,cnn").partition(",")
    if name not in SETS:
        raise ValueError(f"{name!r} is not one of {', '.join(SETS)}")
    return dataclasses.replace(mnist.get_config(network or "cnn"), dataset=SETS[name]())
