"""Does routing, or do capsules at all, help against scrambles that training did not show?

    python study.py routing_faces

Heads of `routing` learn to tell faces from scrambles of two kinds and see the third, each kind held
out in a fold of its own (see `data.faces.tasks`): a claim on scrambles takes all three folds. Every
fold has test images of its own, hence a table and a family of contrasts of its own. `uniform` and
`shared`, which take the mean of all votes, are left out, for the former was at chance when rates
were looked for. That was done on the validation images of fold 0, which show no held-out scramble,
with seed 0; seeds begin at 1.
"""

from evaluation.comparison.contrasts import Contrast
from evaluation.comparison.study import Study
from studies.routing import FEWER_ARMS, FEWER_PAIRS

_FOLDS = (0, 1, 2)
_ROWS = (("clean", "", "accuracy"), ("faces", "held-out permutations", "AUROC"))

STUDY = Study(
    question="Does routing, or do capsules at all, help against scrambles that were not shown?",
    arms={
        f"{arm}_{fold}": f"trunk_and_head:{head},slim,fold={fold}"
        for fold in _FOLDS
        for arm, head in FEWER_ARMS.items()
    },
    contrasts=tuple(
        Contrast(f"{first}_{fold}", f"{second}_{fold}", *row)
        for fold in _FOLDS
        for first, second in FEWER_PAIRS
        for row in _ROWS
    ),
    suites=("clean", "faces"),
    seeds=(1, 2, 3),
    minutes={f"{arm}_{fold}": 6.0 for fold in _FOLDS for arm in FEWER_ARMS},
)
