"""Networks behind a canonicaliser, which turns every image into one orientation.

Papers: Kaba et al., "Equivariance with learned canonicalization functions" (2023); Mondal et al.,
"Equivariant adaptation of large pretrained models" (2023).

    python train.py --config canonicalised:pca,cnn
    python train.py --config canonicalised:p4,cnn --seeds 0,1,2
    python train.py --config canonicalised:p64,cnn
    python train.py --config canonicalised:p4,capsnet
    python evaluate.py runs/canonicalised_* --suites clean,rotation

The argument is a canonicaliser and a network of `mnist`: `pca` (the axis along which the image's
intensity spreads most, turned downwards), `p4` or `p64` (the orientation, of 4 or 64, that group
convolutions score highest). Digits to learn from are upright, and the loss asks the learnt
canonicalisers to leave these as they are, with a weight of 100; where they are not,
`--config.model.canonicaliser.prior_weight=0`.

Expected: open; published are 3.35 % (PCA), 2.41 % (p4) and 1.99 % (p64) of errors on rotated MNIST,
against 4.90 % of the CNN alone, for trainings on 12,000 rotated images.
Cost: 165,000 images; not measured, but `p4` and `p64` take several times as long as `cnn` alone.
"""

import dataclasses

from configs import mnist
from equivariant.canonicaliser import PrincipalAxis
from equivariant.learnt_canonicaliser import LearntOrientation, sixty_four_angles
from equivariant.networks.canonicalised import CanonicalisedConfig
from training.experiment import Experiment

CANONICALISERS = {"pca": PrincipalAxis, "p4": LearntOrientation, "p64": sixty_four_angles}


def get_config(argument: str = "") -> Experiment:
    """The canonicaliser and the network that the argument names, for three epochs of 429 steps.

    Raises:
        ValueError: if there is none of that name.
    """
    name, _, network = (argument or "p4,cnn").partition(",")
    if name not in CANONICALISERS:
        raise ValueError(f"{name!r} is not one of {', '.join(CANONICALISERS)}")
    experiment = mnist.get_config(network or "cnn")
    model = CanonicalisedConfig(experiment.model, CANONICALISERS[name]())
    return dataclasses.replace(experiment, model=model)
