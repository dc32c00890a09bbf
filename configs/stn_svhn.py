"""House numbers: a deep CNN with spatial transformers before its first four convolutions.

Paper: Jaderberg, Simonyan, Zisserman and Kavukcuoglu, "Spatial transformer networks" (2015),
section 4.2 and appendix A.5. The argument is "multi", "single" (one transformer, at the input) or
"none". The paper reads whole numbers, of up to five digits on 64x64 pixels, by 400,000 steps of
SGD; here the images are TFDS's svhn_cropped, one digit on 32x32 pixels, and the steps fewer, by
Adam. The transformers learn at a tenth of the rate, as in the paper.

    python train.py --config stn_svhn
    python train.py --config stn_svhn:single

Expected: not measured. The paper's 3.6 % (multi), 3.7 % (single) and 4.0 % (none) are errors on
whole numbers and do not compare.
Cost: 2.6 million images through 17 million parameters; meant for a GPU.
"""

from data.sources import DatasetConfig
from stn.networks.house_numbers import PLACES, HouseNumberConfig
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule


def get_config(argument: str = "multi") -> Experiment:
    """Thirty-eight epochs; 5,000 of the training images are for validation."""
    if argument not in PLACES:
        raise ValueError(f"{argument!r} is not one of {', '.join(PLACES)}")
    slow_part = "" if argument == "none" else "transformers"
    return Experiment(
        model=HouseNumberConfig(transformers=argument),
        steps=20_000,
        dataset=DatasetConfig(
            "svhn_cropped", train="train[:68257]", validation="train[68257:]", shift=0
        ),
        optimizer=AdamConfig(
            learning_rate=3e-4,
            schedule=CosineSchedule(warmup_steps=500),
            weight_decay=5e-4,
            slow_part=slow_part,
            slow_factor=0.1,
        ),
    )
