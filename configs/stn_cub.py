"""Birds of 200 kinds: windows of half the image's size find the parts that distinguish them.

Paper: Jaderberg, Simonyan, Zisserman and Kavukcuoglu, "Spatial transformer networks" (2015),
section 4.3 and appendix A.6. The argument is the number of windows: 1, 2 or 4. Images are cut to
the square in their middle and resized to 224 pixels; the windows' places learn at 1e-4 of the rate,
as in the paper. Its networks were trained on ImageNet beforehand; these are small and were not.

    python train.py --config stn_cub
    python train.py --config stn_cub:2

Expected: not measured; far below the paper's 83.1 % (two windows) and 84.1 % (four, of images of
448 pixels), for want of ImageNet.
Cost: 160,000 images; meant for a GPU. The 11,788 images take 1.8 GB of memory.
"""

from data.sources.load import DatasetConfig
from stn.networks.birds import TILES, PartsConfig
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule


def get_config(argument: str = "4") -> Experiment:
    """Thirty epochs; a tenth of the training images are for validation."""
    if argument not in map(str, TILES):
        raise ValueError(f"{argument!r} is not one of {', '.join(map(str, TILES))}")
    return Experiment(
        model=PartsConfig(transformers=int(argument)),
        steps=5000,
        batch_size=32,
        dataset=DatasetConfig(
            "caltech_birds2011",
            train="train[:90%]",
            validation="train[90%:]",
            shift=16,
            size=224,
        ),
        optimizer=AdamConfig(
            schedule=CosineSchedule(warmup_steps=200),
            weight_decay=1e-5,
            slow_part="localisation",
            slow_factor=1e-4,
        ),
        evaluation_batch_size=50,
    )
