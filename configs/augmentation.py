"""Networks trained with one kind of distortion, and their robustness to the others.

    python train.py --config augmentation:cnn,none --seeds 0,1,2
    python train.py --config augmentation:cnn,rotation --seeds 0,1,2
    python evaluate.py runs/augmentation_* --suites clean,translation,rotation,scale,shear,affine

The argument is a network of `mnist` and what its training images go through: `none`, `shift` (up to
4 pixels along each axis), `rotation` (up to 45 degrees either way), `scale` (0.6 to 1.4 times the
size), `shear` (up to 0.4 pixels per row either way) or `all`, all of these in one. The ranges lie
within those that the suites of these names test, so that each curve shows strengths that were
trained on and others. In the report's table a row is what was tested, a column what was trained
with.

Expected: open.
Cost: 165,000 images; on two CPU cores ten minutes for the three large networks, two for the others.
"""

import dataclasses

from configs import mnist
from data.distortions import AffineDistortion
from data.sources.load import DatasetConfig
from training.experiment import Experiment

_SHIFT, _ROTATION, _SCALES, _SHEAR = 4, 45.0, (0.6, 1.4), 0.4
AUGMENTATIONS = {
    "none": DatasetConfig(shift=0),
    "shift": DatasetConfig(shift=_SHIFT),
    "rotation": DatasetConfig(shift=0, distortion=AffineDistortion(_ROTATION)),
    "scale": DatasetConfig(shift=0, distortion=AffineDistortion(0.0, *_SCALES)),
    "shear": DatasetConfig(shift=0, distortion=AffineDistortion(shear=_SHEAR)),
    "all": DatasetConfig(
        shift=_SHIFT, distortion=AffineDistortion(_ROTATION, *_SCALES, shear=_SHEAR)
    ),
}


def get_config(argument: str = "cnn,none") -> Experiment:
    """The network and the augmentation that the argument names, for three epochs of 429 steps.

    Raises:
        ValueError: if there is none of that name.
    """
    network, _, augmentation = argument.partition(",")
    if augmentation not in AUGMENTATIONS:
        raise ValueError(
            f"{argument!r}: name a network and one of {', '.join(AUGMENTATIONS)}, as in cnn,shift"
        )
    dataset = dataclasses.replace(AUGMENTATIONS[augmentation])
    return dataclasses.replace(mnist.get_config(network), dataset=dataset)
