"""Records that decide a study: those that were stated, of one experiment an arm, all of them.

A folder may hold more than its study states: seeds that were tried before, the moment of training
at which another question is asked, or records that were copied in from elsewhere. Nothing of that
is counted, and what contradicts itself is refused.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from common.errors import UserError
from evaluation.comparison.study import Study
from evaluation.comparison.tables import Stated
from evaluation.results.provenance import Provenance
from evaluation.results.result import Record


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What there is to judge a study by.

    Attributes:
        records: Of the stated arms, seeds and suites, at the stated moment of training.
        stated: The contrasts; pending as long as trainings are missing.
        missing: The seeds of each arm that are not recorded whole, and are not known to have
            diverged either; arms that miss none are left out.
    """

    records: list[Record]
    stated: Stated
    missing: Mapping[str, Sequence[int]]


def find_evidence(
    study: Study, records: Sequence[Record], diverged: Collection[str] = ()
) -> Evidence:
    """Finds what decides a study.

    Args:
        study: What is asked.
        records: Of its folder, others among them.
        diverged: Names of trainings, ARM_seedN, that could not be finished or compared.

    Raises:
        UserError: if trainings of an arm differ in more than their seed, if suites of one training
            are of several sets of weights, or if the arms of a contrast have other test images.
    """
    suites = {*study.suites}
    kept = [
        record
        for record in records
        if (of := record.provenance).model in study.arms
        and of.seed in study.seeds
        and of.checkpoint == study.checkpoint
        and of.test_data is None
        and record.suite in suites
    ]
    _check(study, kept)
    found = {(each.provenance.model, each.provenance.seed, each.suite) for each in kept}
    missing = {
        arm: [
            seed
            for seed in study.seeds
            if f"{arm}_seed{seed}" not in diverged and not {(arm, seed, s) for s in suites} <= found
        ]
        for arm in study.arms
    }
    missing = {arm: seeds for arm, seeds in missing.items() if seeds}
    stated, pending = len(study.arms) * len(study.seeds), sum(map(len, missing.values()))
    there = f"{stated - pending} of {stated} trainings" if pending else ""
    return Evidence(kept, dataclasses.replace(study.stated, pending=there), missing)


def _check(study: Study, records: Sequence[Record]) -> None:
    runs: dict[tuple, Provenance] = {}
    arms: dict[str, Provenance] = {}
    for record in records:
        of = record.provenance
        run = runs.setdefault((of.model, of.seed), of)
        if of.weights != run.weights:
            raise UserError(
                f"records of {of.model}, seed {of.seed}, are of several trainings: their weights "
                f"are {run.weights} and {of.weights}; delete those of one"
            )
        arm = arms.setdefault(of.model, of)
        if path := _contradiction(arm.experiment, of.experiment):
            raise UserError(
                f"records of {of.model}, seeds {arm.seed} and {of.seed}, are of trainings that "
                f"differ in {path}; delete those that are not the study's"
            )
        if (of.data, of.limit) != (arm.data, arm.limit):
            raise UserError(_other_images(arm, of))
    for contrast in study.contrasts:
        pair = [arms[name] for name in (contrast.first, contrast.second) if name in arms]
        if len({(of.data, of.limit) for of in pair}) > 1:
            raise UserError(_other_images(*pair))


def _other_images(one: Provenance, other: Provenance) -> str:
    return (
        f"records of {one.model}, seed {one.seed}, and of {other.model}, seed {other.seed}, are of "
        "other test images; delete those that are not the study's"
    )


def _contradiction(one: Any, other: Any, path: str = "experiment") -> str:
    """Where two stored configurations differ but for their seed; empty if nowhere.

    A field that one of them lacks came later than it, and says what was so before.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        names = [name for name in one if name in other and (path, name) != ("experiment", "seed")]
        found = (_contradiction(one[name], other[name], f"{path}.{name}") for name in names)
        return next(filter(None, found), "")
    return "" if one == other else path
