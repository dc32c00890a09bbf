"""Photographed faces and their scrambles: what `faces` asks, asked of photographs.

The argument is NETWORK,TASK, as in `faces`; the photographs are LFW's, or CelebA's:

    python train.py --config photographed_faces:cnn,relation
    python train.py --config photographed_faces:capsnet,relation --config.dataset.name=celeb_a

Either is read through TFDS, prepared in the data folder or downloaded where there is a network (see
"Data" in the README). Networks, learning rates and steps are those of `faces`; rates were not
chosen anew. `bag_of_parts` need not be at chance here: the eyes of a photograph differ, and its
skin is not bare.

Expected: not measured.
Cost: that of `faces`, and a minute for reading LFW, some for CelebA.
"""

import dataclasses

from configs import faces
from data.photographed_faces import PhotographedFacesConfig
from training.experiment import Experiment


def get_config(argument: str = "") -> Experiment:
    """The network and the task that the argument names, for two epochs of 429 steps.

    Raises:
        ValueError: if there is none of that name.
    """
    painted = faces.get_config(argument)
    return dataclasses.replace(painted, dataset=PhotographedFacesConfig(task=painted.dataset.task))
