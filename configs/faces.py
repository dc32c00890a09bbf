"""Faces and their scrambles: sensitivity of networks to how parts are arranged.

The argument is NETWORK,TASK or NETWORK,relation,fold=K; a task that is left out is configuration.
See `data.faces.tasks` for what the tasks are and `evaluation.suites.representation.faces` for what
is measured. Fold 0, 1 or 2 of relation holds out another of the three kinds of scrambles; a claim
on scrambles that were not trained on takes all three.

    python train.py --config faces:capsnet
    python train.py --config faces:stn_cnn,relation
    python train.py --config faces:stn_cnn,relation,fold=1
    python train.py --config faces:cnn_400k,presence --seeds 0,1,2

Networks: capsnet, stn_cnn, cnn, cnn_matched, cnn_9x9 and cnn_400k are those of the configuration
`mnist`, all with the same 858 steps of 128 images; bag_of_parts averages over windows of 9x9
pixels, wherever they lie, so it has to be at chance, 1/6, on configuration. How few images suffice
is measured with `--config.dataset.train_images=1000`.

Learning rates are those, of two or three between 3e-4 and 3e-3, with which the validation accuracy
of seed 0 was highest after 286 steps on configuration. CapsNet with two classes has 2e-4: at 5e-4,
1e-3 and 2e-3 its capsules all grow to length 1 before they separate the classes. cnn_9x9 does not
learn configuration at 3e-5, 1e-4, 3e-4, 1e-3 or 3e-3 in 286 steps: averages over so large windows
leave grey images nearly alike, and at all rates but the first only biases have a gradient by then.

Expected: see docs/results/faces.md.
Cost: 110,000 images; on two CPU cores five to nine minutes for the three large networks, one or two
for the others.
"""

from cnn.networks.bag_of_parts import BagOfPartsConfig
from configs import mnist
from data.faces.arrangements import KINDS
from data.faces.tasks import TASKS, FacesConfig
from training.experiment import Experiment

NETWORKS = {
    "capsnet": mnist.MODELS["capsnet"],
    "stn_cnn": mnist.MODELS["st_cnn"],
    "cnn": mnist.MODELS["cnn"],
    "cnn_matched": mnist.MODELS["cnn_matched"],
    "cnn_9x9": mnist.MODELS["cnn_9x9"],
    "cnn_400k": mnist.MODELS["cnn_400k"],
    "bag_of_parts": BagOfPartsConfig,
}
LEARNING_RATES = {"capsnet": 5e-4, "stn_cnn": 3e-3, "cnn": 3e-3, "cnn_400k": 3e-3}
FOLDS = [f"fold={number}" for number in range(len(KINDS))]
_OF_TWO_CLASSES = {"capsnet": 2e-4}


def get_config(argument: str = "") -> Experiment:
    """The network, task and fold that the argument names, for two epochs of 429 steps.

    Raises:
        ValueError: if there is none of that name.
    """
    network, task, fold = (*argument.split(",", 2), "", "")[:3]
    network, task, fold = network or "capsnet", task or "configuration", fold or FOLDS[0]
    for name, choices in ((network, NETWORKS), (task, TASKS), (fold, FOLDS)):
        if name not in choices:
            raise ValueError(f"{name!r} is not one of {', '.join(choices)}")
    rates = LEARNING_RATES if task == "configuration" else LEARNING_RATES | _OF_TWO_CLASSES
    return mnist.on_equal_terms(
        NETWORKS[network](),
        rates.get(network, 1e-3),
        epochs=2,
        dataset=FacesConfig(task, fold=FOLDS.index(fold)),
        suites=("clean", "faces"),
    )
