"""The same study on the images of another dataset."""

import dataclasses
import re
import zlib
from typing import Any

from common.errors import UserError
from data.sources.load import DatasetConfig
from data.sources.opening import public_name
from evaluation.comparison.study import Study
from training.experiment import Experiment
from training.run.directory import Configurations


def default_folder(study: str, dataset: str | None) -> str:
    """Names the folder of a study that is carried out on a dataset, or on its own for None."""
    if dataset is None:
        return f"runs/studies/{study}"
    public = public_name(dataset)
    # Of folders of one name each gets a study of its own.
    own = "" if public == dataset else f"_{zlib.crc32(dataset.encode()):08x}"
    return f"runs/studies/{study}_{re.sub(r'[^a-zA-Z0-9_]', '_', public)}{own}"


def on_dataset(
    study: Study, configurations: Configurations, name: str | None
) -> tuple[Study, Configurations]:
    """Puts a dataset in place of the one that a study's arms learn from and are tested on.

    Args:
        study: All its arms learn from stored images, as they are or with digits rendered from them.
        configurations: From a name to its experiment.
        name: See `data.sources.load.DatasetConfig`; None changes nothing.

    Returns:
        The study, whose question names the dataset, and its configurations.

    Raises:
        UserError: if an arm draws its images without any stored ones.
    """
    if name is None:
        return study, configurations
    for arm, configuration in study.arms.items():
        if _renamed(configurations(configuration).dataset, name) is None:
            raise UserError(
                f"--dataset={name}: the arm {arm!r} draws its images itself; leave --dataset out"
            )

    def elsewhere(configuration: str) -> Experiment:
        experiment = configurations(configuration)
        return dataclasses.replace(experiment, dataset=_renamed(experiment.dataset, name))

    question = f"{study.question.removesuffix('?')}, on {public_name(name)}?"
    return dataclasses.replace(study, question=question), elsewhere


def _renamed(dataset: Any, name: str) -> Any:
    """The configuration of a dataset with other stored images; None if it has no stored ones."""
    if isinstance(dataset, DatasetConfig):
        return dataclasses.replace(dataset, name=name)
    if not hasattr(dataset, "source"):
        return None
    return dataclasses.replace(dataset, source=_renamed(dataset.source, name))
