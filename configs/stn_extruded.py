"""MNIST digits as solid bodies, turned and placed in a volume, read off a learned projection.

Paper: Jaderberg, Simonyan, Zisserman and Kavukcuoglu, "Spatial transformer networks" (2015),
appendix A.3: 60x60x60 voxels, an affine transformer of 12 parameters. Its network, scales, angles
and results are not printed; these are choices.

    python train.py --config stn_extruded

Expected: not measured; chance is 10 %.
Cost: 128,000 volumes; meant for a GPU. The 500 validation and 2,000 test volumes take 540 MB, all
10,000 test digits (--config.dataset.source.test=test) 2.2 GB; --config.dataset.canvas=32 an eighth.
"""

from data.extruded import ExtrudedConfig
from stn.networks.volumes import VolumeNetworkConfig
from training.experiment import Experiment
from training.optimizers import AdamConfig, CosineSchedule


def get_config() -> Experiment:
    """Four thousand steps of 32 volumes."""
    return Experiment(
        model=VolumeNetworkConfig(),
        steps=4000,
        batch_size=32,
        dataset=ExtrudedConfig(),
        optimizer=AdamConfig(learning_rate=1e-3, schedule=CosineSchedule()),
        evaluation_batch_size=50,
    )
