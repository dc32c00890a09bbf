"""One trunk, many heads: which part of a capsule network does what is said of it.

Papers: Sabour, Frosst and Hinton, "Dynamic routing between capsules" (2017), whose two convolutions
are the trunk; Gu, Tresp and Hu, "Capsule network is not more robust than convolutional network"
(2021), whose question it is.

    python train.py --config trunk_and_head
    python train.py --config trunk_and_head:uniform
    python train.py --config trunk_and_head:dense,slim
    python train.py --config trunk_and_head:dynamic3,reconstruction
    python train.py --config trunk_and_head:shared,slim,affnist

The argument is a head, then words for the rest of the network. Heads: `dense` (a hidden layer, of
about as many parameters as the capsules), `average` (the mean over places), `vectors` (squashed
vectors of the classes without votes), and capsules with the routings `uniform`, `dynamic1`,
`dynamic3`, `self_routing`, `self_attention` and `em`; `shared` is `uniform` with one matrix a class
for all capsules. Words: `slim` (a trunk of a tenth of the cost, 10 types of capsules on 80
channels), `cross_entropy` (in place of the margin loss), `reconstruction`, and `affnist` (digits
that move within 40x40 pixels, as in the configuration of this name).

Expected: see docs/results/what_routing_does.md for `slim` ones.
Cost: 165,000 images; on two CPU cores seven minutes, `slim` about one, `affnist` three times that;
`slim` two to three minutes on one.
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
from configs.mnist import MOVED, on_equal_terms
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
WORDS = ("slim", "cross_entropy", "reconstruction", "affnist")
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
    model = TrunkAndHeadConfig(
        trunk=SLIM if "slim" in words else SabourTrunk(),
        head=HEADS[head],
        loss="cross-entropy" if "cross_entropy" in words else "margin",
        reconstruction_weight=0.0005 if "reconstruction" in words else 0.0,
    )
    experiment = on_equal_terms(model, 2e-3)
    return dataclasses.replace(experiment, dataset=MOVED) if "affnist" in words else experiment
