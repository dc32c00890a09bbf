"""Does routing, or do capsules at all, change what a network predicts on distorted digits?

    python study.py routing

One trunk, CapsNet's two convolutions at a tenth of their cost, and heads that differ from their
control in one thing: three iterations of dynamic routing against one, after which all couplings are
equal, and against the mean of all votes; capsules against a hidden layer of as many parameters; a
decoder or none; one matrix a class for all capsules against matrices of their own (Gu and Tresp,
2020; Gu, Tresp and Hu, 2021). Digits are centred, those of `affine` moved and mapped within the
same frame; `routing_affnist` has the larger one.

The arm of one iteration was added when two seeds of the others had been seen: a class sums a tenth
of each of 360 votes in it, and takes their mean in `uniform`, which therefore starts 36 times
smaller and learns later, whatever couplings do.
"""

from evaluation.comparison.contrasts import Contrast
from evaluation.comparison.study import Study

ARMS = {
    "dense": "dense",
    "uniform": "uniform",
    "one_iteration": "dynamic1",
    "routed": "dynamic3",
    "reconstructing": "dynamic3,reconstruction",
    "shared": "shared",
}
PAIRS = (
    ("routed", "one_iteration"),
    ("routed", "uniform"),
    ("routed", "dense"),
    ("reconstructing", "routed"),
    ("shared", "uniform"),
)
# Those of other images: without the arms that take the mean of all votes.
FEWER_ARMS = {arm: head for arm, head in ARMS.items() if head not in ("uniform", "shared")}
FEWER_PAIRS = tuple(pair for pair in PAIRS if set(pair) <= set(FEWER_ARMS))
_ROWS = (
    ("clean", "", "accuracy"),
    ("affine", "", "accuracy"),
    ("small_shifts", "realistic shifts", "consistency"),
    ("spatial_adversary", "grid", "robust accuracy"),
)

STUDY = Study(
    question=(
        "Does routing, or do capsules at all, change what a network predicts on distorted digits?"
    ),
    arms={arm: f"trunk_and_head:{head},slim" for arm, head in ARMS.items()},
    contrasts=tuple(Contrast(*pair, *row) for pair in PAIRS for row in _ROWS),
    suites=("clean", "affine", "small_shifts", "spatial_adversary"),
    seeds=tuple(range(5)),
    minutes=dict.fromkeys(ARMS, 13.0),
    stated_later=(
        "the arm one_iteration and its contrasts, when two seeds of the other arms had been seen"
    ),
)
