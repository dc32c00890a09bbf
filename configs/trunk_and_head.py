"""One trunk, many heads: which part of a capsule network does what is said of it.

Papers: Sabour, Frosst and Hinton, "Dynamic routing between capsules" (2017), whose two convolutions
are the trunk; Gu, Tresp and Hu, "Capsule network is not more robust than convolutional network"
(2021), whose question it is.

    python train.py --config trunk_and_head
    python train.py --config trunk_and_head:uniform
    python train.py --config trunk_and_head:dense,slim
    python train.py --config trunk_and_head:dynamic3,reconstruction
    python train.py --config trunk_and_head:shared,slim,affnist
    python train.py --config trunk_and_head:dynamic1,slim,fold=1

The argument is a head, then words for the rest of the network. Heads: `dense` (a hidden layer, of
about as many parameters as the capsules), `average` (the mean over places), `vectors` (squashed
vectors of the classes without votes), and capsules with the routings `uniform` (the mean of all
votes), `dynamic1` (their sum, in equal shares for the classes), `dynamic3`, `self_routing`,
`self_attention` and `em`; `shared` is `uniform` with one matrix a class for all capsules. Words:
`slim` (a trunk of a tenth of the cost, 10 types of capsules on 80 channels), `cross_entropy` (in
place of the margin loss) and `reconstruction`; and one for other images than MNIST's, `affnist`
(digits that move within 40x40 pixels, as in the configuration of this name) or `fold=0`, `fold=1`,
`fold=2` (faces against scrambles of two kinds out of three, as in `faces:NETWORK,relation,fold=K`;
there the hidden layer of `dense` is narrower, for about as many parameters as capsules of two
classes have).

Expected: see docs/results/what_routing_does.md for `slim` ones.
Cost: 165,000 images, 110,000 of faces; on two CPU cores seven minutes, `slim` about one, `affnist`
three times that; `slim` two to seven minutes on one.
"""

import dataclasses

from capsnet import TrunkAndHeadConfig, affine_capsnet
from capsnet.networks.heads import AverageHead, CapsuleHead, DenseHead, VectorHead
from capsnet.networks.trunks import SabourTrunk
from capsnet.routing import (
    DynamicRouting,
    ExpectationMaximisationRouting,
    SelfAttentionRouting,
    SelfRouting,
    UniformRouting,
)
from capsnet.routing.expectation_maximisation import narrowest_cost
from configs.faces import FOLDS
from configs.mnist import MOVED, on_equal_terms
from data.faces.tasks import FacesConfig
from training.experiment import Experiment

HEADS = {
    # 2,880 or 9,216 numbers times 159 or 160 units: the matrices of the capsules.
    "dense": DenseHead(160),
    "average": AverageHead(),
    "vectors": VectorHead(),
    "uniform": CapsuleHead(UniformRouting()),
    "dynamic1": CapsuleHead(DynamicRouting(iterations=1)),
    "dynamic3": CapsuleHead(DynamicRouting(iterations=3)),
    "self_routing": CapsuleHead(SelfRouting()),
    "self_attention": CapsuleHead(SelfAttentionRouting()),
    # Votes of squashed capsules are far narrower than the Gaussian of unit variance whose cost is
    # the default: every class would be certain, and have no gradient.
    "em": CapsuleHead(
        ExpectationMaximisationRouting(
            initial_cost=narrowest_cost(ExpectationMaximisationRouting.min_variance)
        )
    ),
    "shared": affine_capsnet().head,
}
# 5,120 or 16,384 numbers times 32 units, on 32x32 pixels.
_DENSE_OF_TWO_CLASSES = DenseHead(32)
# Learning rates on faces: of two each, those with which more validation images of fold 0 were right
# after 286 steps with seed 0 (dense: 6e-4 and 2e-3; dynamic1: 2e-4 and 6e-4; dynamic3: 6e-4 and
# 2e-3). At the higher one dynamic3 is at chance then, as uniform is at 2e-4 and 6e-4: capsules of
# both classes grow alike at first.
_RATE_OF_FACES, _RATES_OF_FACES = 6e-4, {"dense": 2e-3}
IMAGES = ("affnist", *FOLDS)
WORDS = ("slim", "cross_entropy", "reconstruction", *IMAGES)
SLIM = SabourTrunk(types=10, dim=8, channels=80)


def get_config(argument: str = "") -> Experiment:
    """The network that the argument describes, for three epochs of 429 steps.

    Raises:
        ValueError: if a part of the argument is unknown.
    """
    head, *words = (argument or "dynamic3").split(",")
    if head not in HEADS:
        raise ValueError(f"{head!r} is no head; there are {', '.join(HEADS)}")
    for word in words:
        if word not in WORDS:
            raise ValueError(f"{word!r} is no word for a network; there are {', '.join(WORDS)}")
    images = [word for word in words if word in IMAGES]
    if len(images) > 1:
        raise ValueError(f"{' and '.join(images)} are of different images; choose one")
    is_of_faces = bool(images) and images[0] in FOLDS
    model = TrunkAndHeadConfig(
        trunk=SLIM if "slim" in words else SabourTrunk(),
        head=_DENSE_OF_TWO_CLASSES if is_of_faces and head == "dense" else HEADS[head],
        loss="cross-entropy" if "cross_entropy" in words else "margin",
        reconstruction_weight=0.0005 if "reconstruction" in words else 0.0,
    )
    if is_of_faces:
        return on_equal_terms(
            model,
            _RATES_OF_FACES.get(head, _RATE_OF_FACES),
            epochs=2,
            dataset=FacesConfig("relation", fold=FOLDS.index(images[0])),
            suites=("clean", "faces"),
        )
    experiment = on_equal_terms(model, 2e-3)
    return dataclasses.replace(experiment, dataset=MOVED) if images else experiment
