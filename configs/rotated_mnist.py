"""Rotated MNIST 12k: digits turned by any angle, learnt from 10,000 images by group networks.

Papers: Larochelle et al., "An empirical evaluation of deep architectures on problems with many
factors of variation" (2007), for the images; Cohen and Welling, "Group equivariant convolutional
networks" (2016), section 8.1, for the networks. The argument is a network, and
perhaps `published`, for the images of the first paper's authors.

    python train.py --config rotated_mnist:p4cnn
    python train.py --config rotated_mnist:z2cnn --seeds 0,1,2
    python train.py --config rotated_mnist:z2cnn_wide
    python train.py --config rotated_mnist:capsnet_slim
    python evaluate.py runs/rotated_mnist_* --suites clean --out reports/rotated_mnist

`p4cnn` is the paper's network over quarter turns (24,680 parameters) and `z2cnn` its control of
ordinary convolutions (21,750), with the dropout that only the control has. Without dropout, so that
a network differs from `p4cnn` in nothing but its symmetry, `z2cnn_plain` has the control's 20
channels and `z2cnn_wide` 40 (79,490), the convolutions of `p4cnn` as they are carried out, and so
its compute. `capsnet_slim` is the network of Sabour et al. (2017) with a quarter of its channels
and primary types, and its decoder (2,117,072).

There are 10,000 images to learn from, 2,000 to validate and 50,000 to test on, rendered once from
62,000 of the bundled MNIST's 70,000 digits, training and test images shuffled together, each digit
in one split: which of MNIST's digits the published images are of is not confirmed here. With
`published` those themselves are read, where their files lie in the folder of prepared data
(`data/sources/rotated_mnist.py`), and networks of the rendered ones are tested on them:

    python train.py --config rotated_mnist:p4cnn,published
    python evaluate.py runs/rotated_mnist_* --test_data mnist_rotation_new

Optimizer, rate and batches of 128 are the paper's, over eight epochs of 78 steps with a cosine
schedule, without augmentation; their authors' code has 300 epochs for Z2CNN and 100 for P4CNN
(`--config.steps=7800`) and turns training images at random.

Expected: docs/results/rotated_digits.md has five seeds of `p4cnn`, `z2cnn_plain` and `z2cnn_wide`;
published are 5.03 % errors of Z2CNN and 2.28 % of P4CNN, for those longer trainings.
Cost: 79,872 images, and 62,000 to render; on one CPU core two to six minutes.
"""

import capsnet
from data.sources import rotated_mnist
from data.sources.load import DatasetConfig
from data.tasks import fixed
from equivariant.networks.cohen_welling import GroupNetworkConfig, p4cnn, z2cnn
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule

# Of 10,000 images in batches of 128.
EPOCH = 78
PUBLISHED = "published"

MODELS = {
    "p4cnn": p4cnn,
    "z2cnn": z2cnn,
    "z2cnn_plain": lambda: GroupNetworkConfig("z2", channels=20),
    "z2cnn_wide": lambda: GroupNetworkConfig("z2", channels=40),
    "capsnet_slim": lambda: capsnet.CapsNetConfig(convolution_channels=64, primary_types=8),
}


def get_config(argument: str = "") -> Experiment:
    """The network, and perhaps the images, that the argument names, for eight epochs of 78 steps.

    Raises:
        ValueError: if there is none of that name.
    """
    network, _, images = (argument or "p4cnn").partition(",")
    for name, choices in ((network, MODELS), (images, ("", PUBLISHED))):
        if name not in choices:
            raise ValueError(f"{name!r} is not one of {', '.join(filter(None, choices))}")
    stored = DatasetConfig(rotated_mnist.NAME, shift=0)
    return Experiment(
        model=MODELS[network](),
        steps=8 * EPOCH,
        dataset=stored if images == PUBLISHED else fixed.rotated(),
        optimizer=AdamConfig(learning_rate=1e-3, schedule=CosineSchedule(warmup_steps=EPOCH)),
        validate_every=2 * EPOCH,
        checkpoint_every=2 * EPOCH,
    )
