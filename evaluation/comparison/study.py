"""Studies: what is asked, of which models, compared how, stated before anything is trained.

A study's folder keeps its statement beside the records, so that whoever reads these sees what was
stated, and verdicts are of nothing else.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from common.errors import UserError
from common.files import write_json
from common.stored import (
    Nothing,
    Number,
    check_fields,
    check_numbers,
    check_object,
    damaged,
    read_object,
)
from evaluation.comparison.contrasts import RATIO, Contrast
from evaluation.comparison.tables import Stated
from evaluation.results.provenance import Checkpoint

STUDY, ARMS, DIVERGED = "study.json", "arms.json", "diverged.json"
FILES = (STUDY, ARMS, DIVERGED)
"""What a study's folder has beside its records."""
_FIELDS = {
    "question": str,
    **dict.fromkeys(("arms", "minutes"), dict),
    **dict.fromkeys(("contrasts", "suites", "seeds"), list),
    "ratio": Number,
    "match_accuracy": (*Number, Nothing),
    "stated_later": str,
}
# Not in statements that were written before there were such fields.
_LATER = ("match_accuracy", "stated_later")
_CONTRAST = {
    **dict.fromkeys(("first", "second"), str),
    **dict.fromkeys(("suite", "condition", "metric"), (str, Nothing)),
}


@dataclasses.dataclass(frozen=True)
class Study:
    """A comparison that is stated beforehand.

    Attributes:
        question: In one sentence, with its question mark.
        arms: Names of configurations, by the name of the arm.
        contrasts: Of arms; all that verdicts are given on.
        suites: That every training is evaluated with, clean images among them.
        seeds: Of the trainings of each arm.
        minutes: That training and evaluating one arm take on two cores: the budget.
        ratio: Below which odds, or counts, are equivalent.
        match_accuracy: On validation images, in [0, 1], at which all trainings are evaluated; None
            for the last step.
        stated_later: What of this was not stated before anything was trained, and what had been
            seen by then, as in "the arm x, when two seeds of the others had been seen"; empty for
            nothing.
    """

    question: str
    arms: Mapping[str, str]
    contrasts: tuple[Contrast, ...]
    suites: tuple[str, ...]
    seeds: tuple[int, ...]
    minutes: Mapping[str, float]
    ratio: float = RATIO
    match_accuracy: float | None = None
    stated_later: str = ""

    @property
    def stated(self) -> Stated:
        """The contrasts and the margin."""
        return Stated(self.contrasts, ratio=self.ratio)

    @property
    def checkpoint(self) -> Checkpoint:
        """The moment of training at which arms are compared."""
        accuracy = self.match_accuracy
        return Checkpoint() if accuracy is None else Checkpoint.matched(accuracy)

    def check(self) -> None:
        """Raises a `ValueError` for a study that nothing could come of."""
        for contrast in self.contrasts:
            for name in (contrast.first, contrast.second):
                if name not in self.arms:
                    raise ValueError(f"the contrast's {name!r} is no arm")
            if contrast.suite not in (None, *self.suites):
                raise ValueError(f"the contrast's {contrast.suite!r} is none of the suites")
        if "clean" not in self.suites:
            raise ValueError("without the suite 'clean' nobody can tell which trainings failed")
        if len(set(self.seeds)) < max(2, len(self.seeds)):
            raise ValueError(f"the seeds {self.seeds} are fewer than two, or not all different")
        if not self.ratio > 1.0:
            raise ValueError(f"the ratio {self.ratio} is not above 1")
        if self.match_accuracy is not None and not 0.0 < self.match_accuracy < 1.0:
            raise ValueError(f"the accuracy {self.match_accuracy} is not between 0 and 1")
        if set(self.minutes) != set(self.arms):
            raise ValueError("the minutes are not of all arms, and of these alone")


def is_stated(study: Study, folder: pathlib.Path) -> bool:
    """True if a folder holds what a study states, and False if it holds no statement.

    How long trainings are thought to take is no part of what is compared.

    Raises:
        UserError: if the folder holds another statement, whose records this one would judge.
    """
    before = read_study(folder)
    if before is None:
        return False
    if dataclasses.replace(before, minutes=study.minutes) != study:
        raise UserError(
            f"{folder / STUDY} states something else than the study does now; choose another "
            "--workdir, or delete the file to state it anew"
        )
    return True


def state(study: Study, folder: pathlib.Path) -> None:
    """Writes what a study states into its folder, in place of what was derived from another.

    Args:
        study: What is asked.
        folder: Holds no statement.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (ARMS, DIVERGED):
        (folder / name).unlink(missing_ok=True)
    write_json(folder / STUDY, dataclasses.asdict(study))


def read_study(folder: pathlib.Path) -> Study | None:
    """Reads what was stated in a folder; None where nothing was.

    Raises:
        UserError: if the file is damaged.
    """
    path = folder / STUDY
    if not path.exists():
        return None
    stored = read_object(path)
    with damaged(path):
        check_object(stored, _FIELDS, "a study", optional=_LATER)
        _check_texts(stored["arms"].values())
        _check_texts(stored["suites"])
        check_numbers([stored["ratio"], *stored["minutes"].values()], "ratio and minutes")
        if not all(type(seed) is int for seed in stored["seeds"]):
            raise TypeError("a seed is no whole number")
        sequences = {name: tuple(stored[name]) for name in ("suites", "seeds")}
        contrasts = tuple(map(_contrast, stored["contrasts"]))
        study = Study(**{**stored, **sequences, "contrasts": contrasts})
        study.check()
        return study


def write_arms(lines: Sequence[Mapping[str, str]], folder: pathlib.Path) -> None:
    """Writes size, cost and settings of the arms, a line each, by the column's name."""
    write_json(folder / ARMS, {"arms": list(lines)})


def read_arms(folder: pathlib.Path) -> list[dict[str, str]]:
    """Reads what `write_arms` wrote; nothing of a folder without it.

    Raises:
        UserError: if the file is damaged.
    """
    path = folder / ARMS
    if not path.exists():
        return []
    stored = read_object(path)
    with damaged(path):
        check_fields(stored, {"arms": list})
        for line in stored["arms"]:
            _check_texts(line.values())
        return stored["arms"]


def write_diverged(reasons: Mapping[str, str], folder: pathlib.Path) -> None:
    """Writes why trainings could not be finished or compared, by their names; no file for none."""
    if reasons:
        write_json(folder / DIVERGED, dict(reasons))
    else:
        (folder / DIVERGED).unlink(missing_ok=True)


def read_diverged(folder: pathlib.Path) -> dict[str, str]:
    """Reads what `write_diverged` wrote; nothing of a folder without it.

    Raises:
        UserError: if the file is damaged.
    """
    path = folder / DIVERGED
    if not path.exists():
        return {}
    stored = read_object(path)
    with damaged(path):
        _check_texts(stored.values())
        return stored


def _contrast(stored: Any) -> Contrast:
    check_object(stored, _CONTRAST, "a contrast")
    return Contrast(**{name: stored[name] for name in _CONTRAST})


def _check_texts(values: Any) -> None:
    if not all(isinstance(text, str) for text in values):
        raise TypeError("something that should be a text is none")
