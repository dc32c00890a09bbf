"""Photographed faces and their scrambles: the tasks of `faces`, on photographs.

The argument is NETWORK,TASK or NETWORK,relation,fold=K, as in `faces`; the photographs are LFW's,
or CelebA's:

    python train.py --config photographed_faces:cnn,relation
    python train.py --config photographed_faces:capsnet,relation --config.dataset.name=celeb_a

Either is read through TFDS, prepared in the data folder or downloaded where there is a network (see
docs/data.md). Networks and steps are those of `faces`, and so are learning rates, but none is above
1e-3: on the 100 faces of `skimage.data.lfw_subset`, `cnn` did not learn relation at 3e-3, and did
at 1e-3. `bag_of_parts` need not be at chance here: the eyes of a photograph differ, and its skin is
not bare.

Expected: not measured.
Cost: that of `faces`, and a minute for reading LFW, some for CelebA.
"""

import dataclasses

from configs import faces
from data.faces.photographed import PhotographedFacesConfig
from training.experiment import Experiment

_HIGHEST_RATE = 1e-3


def get_config(argument: str = "") -> Experiment:
    """The network and the task that the argument names, for two epochs of 429 steps.

    Raises:
        ValueError: if there is none of that name.
    """
    rendered = faces.get_config(argument)
    rate = min(rendered.optimizer.learning_rate, _HIGHEST_RATE)
    return dataclasses.replace(
        rendered,
        dataset=PhotographedFacesConfig(rendered.dataset.task, fold=rendered.dataset.fold),
        optimizer=dataclasses.replace(rendered.optimizer, learning_rate=rate),
    )
