"""Do capsules recognise toys from novel azimuths better than a CNN does?

    python study.py viewpoints

By the protocol of Hinton, Sabour and Frosst (2018), section 5.1, on rendered toys: networks learn
from a third of the azimuths and classify other toys from those, and from all others. Networks are
small, so that two CPU cores train them in minutes: a CNN, a CapsNet with dynamic routing, and
self-routing capsules. Matrix capsules with EM routing, the paper's own, take more than ten times
as long and are left to a GPU. The paper compares at equal accuracy from familiar viewpoints; here
both accuracies are stated contrasts at the last step, and a lead from novel viewpoints is read
beside that from familiar ones. Seeds begin at 3, for the networks were tried out with those before.
"""

from evaluation.comparison.contrasts import Contrast
from evaluation.comparison.study import Study

_CONDITIONS = ("familiar viewpoints", "novel viewpoints")
_CAPSULES = ("capsnet", "self_routing")

STUDY = Study(
    question="Do capsules recognise toys from novel azimuths better than a CNN does?",
    arms={
        "cnn": "viewpoints:cnn_slim",
        "capsnet": "viewpoints:capsnet_slim",
        "self_routing": "viewpoints:self_routing",
    },
    contrasts=tuple(
        Contrast(arm, "cnn", "viewpoints", condition, "accuracy")
        for arm in _CAPSULES
        for condition in _CONDITIONS
    ),
    suites=("clean", "viewpoints"),
    seeds=(3, 4, 5),
    minutes={"cnn": 3.0, "capsnet": 8.0, "self_routing": 9.0},
)
