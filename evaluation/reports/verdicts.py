"""Verdicts in words: the only sentences of a report that compare models."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from evaluation.comparison.contrasts import RATIO, Outcome, Verdict
from evaluation.comparison.failures import CRITERION, Failure
from evaluation.comparison.tables import Table
from evaluation.reports.formatting import name_briefly, name_row, name_seed, show_p_value
from evaluation.results.quantities import RATE

NOTHING_STATED = (
    "No contrast of these models was stated, so there is no verdict: name one of them, against "
    "which every other is compared, with --control."
)
_ADVICE = " Verdicts take several trainings of each model, as train.py makes with --seeds 0,1,2."
# What one sentence lists at most; tables have all of it.
_MAX_CONDITIONS = 3
_MAX_PAIRS = 2
_DECIDED = (Outcome.BETTER, Outcome.WORSE, Outcome.EQUIVALENT, Outcome.UNDECIDED)


def summarise(table: Table) -> str:
    """Summarises the verdicts of a table in a paragraph of plain text."""
    sentences = [NOTHING_STATED] if len(table.models) > 1 else []
    if table.verdicts:
        sentences = _of_verdicts(table.verdicts)
    return " ".join(filter(None, [*sentences, describe_failures(table.failures)]))


def _of_verdicts(verdicts: Sequence[Verdict]) -> list[str]:
    pairs = pairs_of(verdicts)
    sentences = [_opening(verdicts, pairs)]
    for outcome in _DECIDED:
        found = [verdict for verdict in verdicts if verdict.outcome is outcome]
        if found:
            sentences.append(_of_one_outcome(found, outcome, pairs))
    return [*sentences, _without_verdict(verdicts)]


def pairs_of(verdicts: Sequence[Verdict]) -> list[tuple[str, str]]:
    """The models and controls that verdicts are of, each pair once."""
    return list(dict.fromkeys((verdict.first, verdict.second) for verdict in verdicts))


def by_clarity(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The same verdicts: decided ones first, and of these the least p-values and largest gaps."""

    def order(verdict: Verdict) -> tuple:
        found = verdict.estimate
        undecided = verdict.outcome in (Outcome.UNDECIDED, Outcome.NONE)
        gap = 0.0 if found is None else abs(found.difference)
        return undecided, verdict.adjusted, -gap

    return sorted(verdicts, key=order)


def describe_failures(failures: Sequence[Failure]) -> str:
    """Names the trainings that failed, and the criterion; empty for none."""
    if not failures:
        return ""
    named = "; ".join(
        f"{each.model}, seed {name_seed(each.seed)} ({100 * each.accuracy:.2f} %, below "
        f"{100 * each.threshold:.1f} %)"
        for each in failures
    )
    return f"Failed and reported apart: {named}; a training has failed if {CRITERION}."


def lines(table: Table) -> Iterator[dict[str, str]]:
    """A line for each verdict of a table, by column."""
    for verdict in table.verdicts:
        found = verdict.estimate
        yield {
            "contrast": f"{verdict.first} against {verdict.second}",
            "where": name_row(verdict.row),
            "verdict": verdict.outcome.value,
            "difference (95 %)": verdict.reason if found is None else show_gap(verdict),
            "ratio (95 %)": "" if found is None else show_effect(verdict),
            "p (Holm)": "" if verdict.outcome is Outcome.NONE else show_p_value(verdict.adjusted),
        }


def show_gap(verdict: Verdict) -> str:
    """The difference in the quantity's unit, with its interval."""
    return f"{_gap(verdict)} ({_ends(verdict)})"


def _gap(verdict: Verdict) -> str:
    assert verdict.estimate is not None
    factor, unit = gap_unit(verdict)
    return f"{factor * verdict.estimate.natural:+.{_digits(verdict)}f} {unit}".strip()


def _ends(verdict: Verdict) -> str:
    assert verdict.estimate is not None
    factor, _ = gap_unit(verdict)
    ends = (f"{factor * end:+.{_digits(verdict)}f}" for end in _natural_interval(verdict))
    return " to ".join(ends)


def gap_unit(verdict: Verdict) -> tuple[float, str]:
    """Factor that brings differences to a unit for people, and that unit."""
    metric = verdict.row.metric
    return (100.0, "points") if metric.unit == RATE else (1.0, metric.unit)


def _natural_interval(verdict: Verdict) -> list[float]:
    assert verdict.estimate is not None
    return sorted(verdict.estimate.natural_interval)


def show_effect(verdict: Verdict) -> str:
    """The ratio on the scale of the test, with its interval; empty for differences."""
    assert verdict.estimate is not None
    if not verdict.scale.is_ratio:
        return ""
    ends = np.exp([verdict.estimate.difference, *verdict.estimate.interval])
    value, low, high = (f"{end:.3g}" for end in ends)
    return f"{verdict.scale.name} {value} ({low} to {high})"


def describe_margin(ratio: float = RATIO) -> str:
    """The margin of equivalence in words."""
    return (
        f"Models are equivalent if their odds, or for counts their values, differ by less than a "
        f"factor of {ratio:g}, by two one-sided tests"
    )


def _digits(verdict: Verdict) -> int:
    """Digits after the point that an interval of this width bears."""
    low, high = _natural_interval(verdict)
    width = gap_unit(verdict)[0] * (high - low)
    if not width > 0.0 or not np.isfinite(width):
        return 2
    return int(np.clip(1 - np.floor(np.log10(width)), 0, 4))


def _opening(verdicts: Sequence[Verdict], pairs: Sequence[tuple[str, str]]) -> str:
    counts = Counter(verdict.outcome for verdict in verdicts)
    if counts[Outcome.NONE] == len(verdicts):
        return f"{_who(pairs)}: none of {len(verdicts)} comparisons has a verdict."
    shown = [f"{counts[each]} {each.value}" for each in _DECIDED if counts[each]]
    shown += [f"{counts[Outcome.NONE]} without a verdict"] if counts[Outcome.NONE] else []
    number = f"{len(verdicts)} comparison{'s' if len(verdicts) > 1 else ''}"
    return f"{_who(pairs)} in {number}: {', '.join(shown)}."


def _who(pairs: Sequence[tuple[str, str]]) -> str:
    if len(pairs) == 1:
        return " against ".join(pairs[0])
    if _one_control(pairs):
        return f"{len(pairs)} models against {pairs[0][1]}"
    return f"{len(pairs)} pairs of models"


def _one_control(pairs: Sequence[tuple[str, str]]) -> bool:
    return len({second for _, second in pairs}) == 1


def _of_one_outcome(
    verdicts: Sequence[Verdict], outcome: Outcome, pairs: Sequence[tuple[str, str]]
) -> str:
    """A sentence: conditions of a single pair, else how many conditions of each pair."""
    title = outcome.value.capitalize()
    with_gap = outcome in (Outcome.BETTER, Outcome.WORSE)
    if len(pairs) == 1:
        chosen = by_clarity(verdicts)[:_MAX_CONDITIONS]
        named = [_condition(verdict, with_gap) for verdict in chosen]
        return f"{title} in {_listed(named, len(verdicts) - len(named))}."
    of_pairs = sorted(
        ([each for each in verdicts if (each.first, each.second) == pair] for pair in pairs),
        key=lambda found: -len(found),
    )
    of_pairs = [found for found in of_pairs if found]
    named = [_of_pair(found, with_gap, _one_control(pairs)) for found in of_pairs[:_MAX_PAIRS]]
    return f"{title}: {_listed(named, len(of_pairs) - len(named))}."


def _of_pair(verdicts: Sequence[Verdict], with_gap: bool, one_control: bool) -> str:
    first = verdicts[0]
    name = first.first if one_control else f"{first.first} against {first.second}"
    if not with_gap:
        return f"{name} in {len(verdicts)}"
    clearest = by_clarity(verdicts)[0]
    return f"{name} in {len(verdicts)} (clearest: {name_briefly(clearest.row)}, {_gap(clearest)})"


def _condition(verdict: Verdict, with_gap: bool) -> str:
    name = name_briefly(verdict.row)
    return f"{name} ({_gap(verdict)}, {_ends(verdict)})" if with_gap else name


def _listed(named: Sequence[str], left: int) -> str:
    """Names with semicolons between them, and how many more there are."""
    more = [f"and {left} more"] if left else []
    return "; ".join([*named, *more])


def _without_verdict(verdicts: Sequence[Verdict]) -> str:
    """Why some contrasts have no verdict: models of one training together, then other reasons."""
    without = [each for each in verdicts if each.outcome is Outcome.NONE]
    once = {
        name: None
        for each in without
        for name in (each.first, each.second)
        if len(each.row.headlines[name].by_seed) == 1
    }
    others = Counter(each.reason for each in without if not once.keys() & {each.first, each.second})
    sentences = []
    if once:
        named = _listed(list(once)[:_MAX_CONDITIONS], max(len(once) - _MAX_CONDITIONS, 0))
        sentences.append(f"Trained once, and so without a verdict: {named}.{_ADVICE}")
    for reason, number in others.items():
        sentences.append(f"{number} without a verdict, for {reason}.")
    return " ".join(sentences)
