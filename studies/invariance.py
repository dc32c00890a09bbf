"""Which of four ways makes predictions that a rotation changes least?

    python study.py invariance

One task, MNIST upright, and one kind of move, rotations by up to 45 degrees. Examples, three
penalties and a spatial transformer against the CNN without any of them; the penalties and the
transformer against examples, the way that everybody takes. The features of `designed` learn
nothing of rotations: they are there as what a linear classifier makes of them.
"""

from evaluation.comparison.contrasts import Contrast
from evaluation.comparison.study import Study

WAYS = ("augmentation", "tangent", "difference", "consistency", "designed", "architecture")
_ROWS = (
    ("clean", "", "accuracy"),
    ("rotation", "within 45 degrees", "accuracy"),
    ("lie_derivative", "a degree", "local change of probabilities"),
)
_AGAINST_EXAMPLES = ("tangent", "difference", "consistency", "architecture")

STUDY = Study(
    question="Which of four ways makes predictions that a rotation changes least?",
    arms={way: f"invariance:{way}" for way in ("none", *WAYS)},
    contrasts=(
        *(Contrast(way, "none", *row) for way in WAYS for row in _ROWS),
        *(Contrast(way, "augmentation", *row) for way in _AGAINST_EXAMPLES for row in _ROWS),
    ),
    suites=("clean", "rotation", "lie_derivative"),
    seeds=(1, 2, 3),
    minutes=dict.fromkeys(("none", *WAYS), 3.0) | {"tangent": 6.0, "designed": 1.0},
)
