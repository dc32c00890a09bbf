"""Stated contrasts and their verdicts.

A contrast is a model against its control under conditions that are named before anything is
measured. Its verdict is one of three: better (or worse), equivalent, undecided. All tests of a
table's contrasts for a difference are one family, corrected by Holm, and those for equivalence
another; rows in which no training differs from any other have no test. Where the difference is
significant but lies within the margin as a whole, the verdict is equivalent: the margin says which
differences do not matter.
"""

import dataclasses
import enum
import math
from collections.abc import Sequence

from evaluation.comparison.rows import Row
from evaluation.statistics.contrasts import Arm, Estimate, estimate
from evaluation.statistics.intervals import holm
from evaluation.statistics.scales import Scale, scale_for

SIGNIFICANCE = 0.05
RATIO = 1.25
"""Odds or counts that differ by less are equivalent, where a study states nothing else."""


@dataclasses.dataclass(frozen=True)
class Contrast:
    """A model against its control.

    Attributes:
        first: The model's name.
        second: The control's.
        suite: Whose rows are tested; None for those of all suites, as for the others.
        condition: Of a row, its part included, as in "along x, within 2 pixels".
        metric: Name of a row's.
    """

    first: str
    second: str
    suite: str | None = None
    condition: str | None = None
    metric: str | None = None

    def is_about(self, row: Row) -> bool:
        """True if the contrast names the row."""
        wanted = (self.suite, self.condition, self.metric)
        found = (row.suite, row.place, row.metric.name)
        return all(name in (None, own) for name, own in zip(wanted, found, strict=True))


class Outcome(enum.Enum):
    """Outcomes of a contrast, for its first model."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    NONE = "no verdict"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Verdict of a contrast in one row.

    Attributes:
        first: The model.
        second: Its control.
        row: Where they were compared.
        outcome: The verdict.
        estimate: Of the difference; None without a verdict.
        adjusted: The p-value of a difference, corrected for all verdicts of the table; 1 without a
            verdict.
        reason: Why there is no verdict; else empty.
        scale: Of the difference.
        margin: Of equivalence, on the scale; None for none.
    """

    first: str
    second: str
    row: Row
    outcome: Outcome
    estimate: Estimate | None
    adjusted: float
    reason: str
    scale: Scale
    margin: float | None


def against(models: Sequence[str], control: str | None) -> list[Contrast]:
    """States each model against a control in all rows.

    Args:
        models: Names.
        control: One of them; None for the second of two, and for no contrast of more.
    """
    if control is None:
        return [Contrast(*models)] if len(models) == 2 else []
    return [Contrast(model, control) for model in models if model != control]


def judge(
    rows: Sequence[Row], stated: Sequence[Contrast], ratio: float = RATIO, pending: str = ""
) -> tuple[Verdict, ...]:
    """Finds the verdict of every stated contrast in every row that it names.

    Args:
        rows: Of one table. Rows whose metric has no better side, and rows that lack one of the two
            models, have no verdict and are left out.
        stated: Contrasts.
        ratio: Of odds or of counts, above 1, below which models are equivalent; quantities that are
            compared by differences have no margin.
        pending: How many trainings there are of those that were stated; empty if all are there.
            Differences of others are estimated, and have no verdict.
    """
    pairs = list(
        dict.fromkeys(
            (contrast.first, contrast.second, number)
            for contrast in stated
            for number, row in enumerate(rows)
            if row.metric.higher_is_better is not None
            and {contrast.first, contrast.second} <= set(row.headlines)
            and contrast.is_about(row)
        )
    )
    verdicts = [_untested(first, second, rows[k], ratio) for first, second, k in pairs]
    if pending:
        reason = f"trainings that are missing: there are {pending}"
        return tuple(
            dataclasses.replace(each, outcome=Outcome.NONE, reason=each.reason or reason)
            for each in verdicts
        )
    return _corrected(verdicts)


def _untested(first: str, second: str, row: Row, ratio: float) -> Verdict:
    """A verdict that is not decided yet, or why there is none."""
    scale = scale_for(row.metric.limits, row.metric.is_count)
    margin = math.log(ratio) if scale.is_ratio else None
    verdict = Verdict(first, second, row, Outcome.UNDECIDED, None, 1.0, "", scale, margin)
    single = [name for name in (first, second) if len(row.headlines[name].by_seed) < 2]
    if single:
        reason = f"{' and '.join(single)}: one training"
        return dataclasses.replace(verdict, outcome=Outcome.NONE, reason=reason)
    arms = [
        Arm(
            values=headline.values,
            images=headline.count,
            outcomes=headline.outcomes,
            error=headline.error,
        )
        for headline in (row.headlines[first], row.headlines[second])
    ]
    found = estimate(arms[0], arms[1], scale, margin)
    if found.is_same:
        reason = "no training differs from any other"
        return dataclasses.replace(verdict, outcome=Outcome.NONE, reason=reason)
    return dataclasses.replace(verdict, estimate=found)


def _corrected(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Decides verdicts, each kind of test corrected for all of its kind."""
    estimates = [verdict.estimate for verdict in verdicts if verdict.estimate is not None]
    different = iter(holm([each.p_value for each in estimates]))
    apart = iter(holm([each.p_apart for each in estimates]))
    return tuple(
        verdict
        if verdict.estimate is None
        else _decided(verdict, verdict.estimate, float(next(different)), float(next(apart)))
        for verdict in verdicts
    )


def _decided(verdict: Verdict, found: Estimate, p_value: float, p_apart: float) -> Verdict:
    outcome = Outcome.UNDECIDED
    if p_apart <= SIGNIFICANCE:
        outcome = Outcome.EQUIVALENT
    elif p_value <= SIGNIFICANCE:
        leads = (found.difference > 0.0) == bool(verdict.row.metric.higher_is_better)
        outcome = Outcome.BETTER if leads else Outcome.WORSE
    return dataclasses.replace(verdict, outcome=outcome, adjusted=p_value)
