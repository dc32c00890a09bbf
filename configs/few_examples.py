"""Networks on few images of MNIST: learning curves on nested, stratified subsets.

    python train.py --config few_examples:capsnet,1000 --seeds 0,1,2
    python train.py --config few_examples:cnn,1000 --seeds 0,1,2
    python evaluate.py runs/few_examples_* --suites clean --out reports/few
    python -m evaluation.reports.learning_curves reports/few

The argument is a network of `mnist` and a number of training images, such as 100, 300, 1000, 3000,
10000 or 55000, which is all of them: that run is `mnist`'s own, bit for bit.

Every network takes the same 1,287 steps on every number of images, with the learning rate and the
shifts that it has on all of them. With an equal number of epochs a network on 100 images would take
three steps, and a curve would show how little it was trained; with equal steps only the images
differ between the points of a curve. Batches have 128 images, or all where there are fewer. No step
is chosen by validation images, of which there are more than many of these trainings have.

Expected: accuracies rise with the number of images; how fast is the question.
Cost: that of `mnist` for every point; on two CPU cores seven minutes for the three large networks,
one or two for the others.
"""

import dataclasses

from configs import mnist
from data.sources.load import DatasetConfig
from training.experiment import Experiment


def get_config(argument: str = "capsnet,1000") -> Experiment:
    """The network and the number of training images that the argument names.

    Raises:
        ValueError: if there is no such network, or the number is none.
    """
    network, _, count = argument.partition(",")
    if not (count.isascii() and count.isdecimal()) or int(count) < 1:
        raise ValueError(f"{argument!r}: name a network and a number of images, as in capsnet,1000")
    standard = mnist.get_config(network)
    return dataclasses.replace(
        standard,
        dataset=DatasetConfig(train_images=int(count)),
        batch_size=min(standard.batch_size, int(count)),
    )
