"""Simulated rows of trainings whose truth is known: errors, coverage and power of a contrast.

    python -m evaluation.comparison.simulation

The logit of a hit is that of the arm, plus the image's difficulty, plus the training's luck, plus
what the image is to the arm alone (a mixed logit model). Differences are judged by
`evaluation.statistics.contrasts`, where it matters corrected for the arms of the row by Holm.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from common import commands
from common.tables import markdown_table
from evaluation.comparison.contrasts import RATIO
from evaluation.comparison.failures import least_accuracy
from evaluation.statistics.contrasts import Arm, Estimate, estimate
from evaluation.statistics.intervals import holm
from evaluation.statistics.scales import LOG_ODDS

_DIFFICULTY = 2.0
# Of the integral over images of any difficulty.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(64)
_LEVEL = 0.05
_CHANCE = 0.1
_MARGIN = math.log(RATIO)


@dataclasses.dataclass(frozen=True)
class World:
    """Truth behind a simulated row.

    Attributes:
        accuracies: Of the arms over all images and trainings of median luck, in (0, 1); the second
            is the control of the first.
        trainings: Of each arm.
        deviation: Of a training's accuracy, in points at its arm's accuracy.
        unevenness: By which factor trainings of the first arm deviate more than those of others.
        heavy: Draws the luck of trainings from Student's t with three degrees of freedom.
        interaction: Standard deviation of what an image is to one arm alone, in logits.
        dead: Trainings of the second arm that answer at random among ten classes.
        images: Of the test set.
    """

    accuracies: tuple[float, ...]
    trainings: int = 5
    deviation: float = 1.0
    unevenness: float = 1.0
    heavy: bool = False
    interaction: float = 0.0
    dead: int = 0
    images: int = 1000


@dataclasses.dataclass(frozen=True)
class Report:
    """Shares of simulated rows, of the first arm against the second.

    Attributes:
        found: Share of rows in which they were found to differ, p at most 5 %, uncorrected.
        found_by_holm: Likewise, corrected for all arms against the second.
        equivalent: Share of rows in which they were found equivalent, p at most 5 %, uncorrected.
        coverage: Share of 95 % intervals that hold the true difference of log odds.
    """

    found: float
    found_by_holm: float
    equivalent: float
    coverage: float


def simulate(world: World, rows: int, seed: int = 0) -> Report:
    """Judges the first arm against the second in many rows.

    Args:
        world: What is true.
        rows: To draw.
        seed: Of all draws.
    """
    random = np.random.default_rng(seed)
    truth = _true_difference(world)
    found = holm_found = equivalent = covered = 0
    for _ in range(rows):
        estimates = _judge(world, draw(world, random))
        first = estimates[0]
        adjusted = holm([each.p_value for each in estimates])
        found += first.p_value <= _LEVEL
        holm_found += bool(adjusted[0] <= _LEVEL)
        equivalent += first.p_apart <= _LEVEL
        covered += first.interval[0] <= truth <= first.interval[1]
    return Report(found / rows, holm_found / rows, equivalent / rows, covered / rows)


def draw(world: World, random: np.random.Generator) -> list[np.ndarray]:
    """Draws a row: booleans `[trainings, images]` for each arm."""
    difficulty = random.normal(0.0, _DIFFICULTY, world.images)
    spread = np.hypot(_DIFFICULTY, world.interaction)
    arms = []
    for number, accuracy in enumerate(world.accuracies):
        level, slope = _level(accuracy, spread)
        deviation = world.deviation * (world.unevenness if number == 0 else 1.0)
        luck = _luck(world, random) * deviation / (100.0 * slope)
        logits = level + difficulty + random.normal(0.0, world.interaction, world.images)
        chances = _sigmoid(logits + luck[:, None])
        if number == 1:
            chances[: world.dead] = _CHANCE
        arms.append(random.random(chances.shape) < chances)
    return arms


def _luck(world: World, random: np.random.Generator) -> np.ndarray:
    """Luck of trainings, of variance 1."""
    if world.heavy:
        return random.standard_t(3, world.trainings) / np.sqrt(3.0)
    return random.normal(size=world.trainings)


def _judge(world: World, arms: Sequence[np.ndarray]) -> list[Estimate]:
    """The first arm against the second, then each other arm against it; dead trainings left out."""
    named = {}
    for number, outcomes in enumerate(arms):
        values = outcomes.mean(axis=1)
        learnt = values >= least_accuracy(values, _CHANCE)
        named[str(number)] = Arm(values[learnt], world.images, outcomes[learnt])
    others = [name for name in named if name != "1"]
    return [estimate(named[name], named["1"], LOG_ODDS, _MARGIN) for name in others]


def _true_difference(world: World) -> float:
    """Of the mean log odds of trainings of the first two arms.

    A training's luck bends its accuracy, so that the mean over trainings is not at median luck.
    """
    if world.accuracies[0] == world.accuracies[1] and world.unevenness == 1.0:
        return 0.0
    spread = float(np.hypot(_DIFFICULTY, world.interaction))
    lucks = np.random.default_rng(1).standard_t(3, 4000) / np.sqrt(3.0) if world.heavy else None
    means = []
    for accuracy, factor in zip(world.accuracies[:2], (world.unevenness, 1.0), strict=True):
        level, slope = _level(accuracy, spread)
        deviation = factor * world.deviation / (100.0 * slope)
        points, weights = (_NODES, _WEIGHTS) if lucks is None else (lucks, np.ones(len(lucks)))
        shares = _mean_share(level + deviation * points[:, None], spread)
        means.append(np.average(np.log(shares / (1.0 - shares)), weights=weights))
    return float(means[0] - means[1])


@functools.cache
def _level(accuracy: float, spread: float) -> tuple[float, float]:
    """The logit at which images of such a spread are right so often, and the share's slope."""
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _mean_share(middle, spread) < accuracy else (low, middle)
    step = 1e-4
    slope = (_mean_share(low + step, spread) - _mean_share(low - step, spread)) / (2.0 * step)
    return low, float(slope)


def _mean_share(level, spread: float):
    """Mean over images of the chance of a hit; levels `[..., 1]` or a number."""
    return np.average(_sigmoid(level + spread * _NODES), axis=-1, weights=_WEIGHTS)


def _sigmoid(value):
    return 1.0 / (1.0 + np.exp(-value))


NULLS = tuple(
    World((accuracy,) * 3, trainings, deviation, heavy=heavy)
    for accuracy, deviations in ((0.9, (0.0, 0.3, 1.0, 3.0)), (0.995, (0.0, 0.1, 0.3)))
    for deviation in deviations
    for trainings in (3, 5, 10)
    for heavy in (False, True)
)
"""Rows without a difference."""
UNEVEN = tuple(
    World((0.9,) * 3, trainings, 0.5, unevenness=unevenness, interaction=interaction)
    for trainings in (3, 5, 10)
    for unevenness, interaction in ((3.0, 0.0), (1.0, 1.0), (3.0, 1.0))
)
"""Without one, where the first arm trains less evenly, or images are not alike to all arms."""
APART = tuple(
    World((RATIO * 9.0 / (RATIO * 9.0 + 1.0), 0.9), trainings, 0.5, unevenness=unevenness)
    for trainings in (3, 5, 10)
    for unevenness in (1.0, 3.0)
)
"""Arms that are just the margin apart."""
LEADS = (
    *(World((0.92, 0.9, 0.9, 0.9, 0.9, 0.9), trainings) for trainings in (3, 5, 10)),
    World((0.95, 0.9, 0.9), 5, dead=1),
    World((0.95, 0.9, 0.9), 5, heavy=True),
)
"""Rows with one."""


def table(worlds: Sequence[World], rows: int) -> str:
    """Simulates worlds; a line for each, as Markdown."""
    lines = []
    for world in tqdm(worlds, unit="world", desc="simulate", disable=None):
        found = simulate(world, rows)
        lines.append(
            {
                "accuracies": ", ".join(f"{100 * each:g}" for each in world.accuracies),
                "trainings": str(world.trainings),
                "sd, points": f"{world.deviation:g}",
                "of the first": f"{world.deviation * world.unevenness:g}",
                "interaction": f"{world.interaction:g}",
                "luck": "t, 3 df" if world.heavy else "normal",
                "dead": str(world.dead),
                "found": f"{100 * found.found:.1f} %",
                "by Holm": f"{100 * found.found_by_holm:.1f} %",
                "equivalent": f"{100 * found.equivalent:.1f} %",
                "coverage": f"{100 * found.coverage:.1f} %",
            }
        )
    return markdown_table(lines)


def main(arguments: Sequence[str]) -> None:
    """Prints the tables of rows without and with a difference."""
    print(f"Without a difference:\n\n{table(NULLS, 4000)}\n")
    print(f"Without one, of arms that differ otherwise:\n\n{table(UNEVEN, 4000)}\n")
    print(f"Just not equivalent:\n\n{table(APART, 4000)}\n")
    print(f"With one:\n\n{table(LEADS, 2000)}")


if __name__ == "__main__":
    commands.run(main)
