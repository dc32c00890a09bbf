"""Robust accuracy under white-box attacks: the worst of Auto-PGD, vote attack and Square attack.

Image by image, the worst of several attacks counts (see `evaluation.attacks.ensemble`), made on the
model's unnormalised log-probabilities (logarithms of lengths for capsules): Auto-PGD with several
losses and starts, the vote attack on capsules, and the Square attack, which needs no gradient. An
attack is made on the images that those before it leave correct, so that details are the shares
which each was the first to mislead. FGSM is there as a cheap reference.

Signs that a number cannot be trusted are its flags (Carlini et al., 2019): gradients that vanish or
are undefined, an attack that does not get stronger with its radius, one that fails where any change
is allowed, a search without gradients that finds what gradients did not, and more steps or another
start that find more.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from data.dataset import Dataset, Split
from evaluation.attacks import ensemble
from evaluation.attacks.ensemble import Ensemble
from evaluation.attacks.search import SHOWN, InTurn, attack_in_turn
from evaluation.metrics.classification import ROBUST_ACCURACY
from evaluation.model import Differentiable, Predictor, predict_split
from evaluation.results.artifacts import Images
from evaluation.results.quantities import Axis, Part, shares
from evaluation.results.result import Result, rate

REQUIRES = ("images", "differentiable")
PASSES = 10_000
EPSILONS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
LENGTHS = (0.0, 0.5, 1.0, 2.0, 3.0)


def _rows(radii: tuple[float, ...]) -> tuple[Part, ...]:
    """Gives each radius but zero a row: a mean over radii depends on which were chosen."""
    return tuple(Part(f"{radius:g}", (radius,)) for radius in radii if radius > 0.0)


PIXELS = Axis("largest change of a pixel", "of the full range", identity=0.0, parts=_rows(EPSILONS))
LENGTH = Axis("length of the change", identity=0.0, parts=_rows(LENGTHS))
MAX_CHECKED = 50
"""Images that the stronger attacks are made on, which show whether an attack has converged."""
# At the full range of grey levels an attack can reach any image, so no model should withstand it.
_FULL_RANGE = 1.0
# Of accuracy from one radius to a larger one.
_MAX_RISE = 0.01
# Share of images without a gradient.
_MAX_STILL = 0.01
# Share of images that an attack finds after all that should have.
_MAX_GAIN = 0.01


class _Condition(NamedTuple):
    """Attacks at several radii, on one model.

    Attributes:
        name: Of the condition.
        axis: Of the radii.
        radii: The first is zero.
        norm: Of the perturbation.
        attacks: Of which the worst counts.
    """

    name: str
    axis: Axis
    radii: tuple[float, ...]
    norm: str
    attacks: Ensemble


class _Target(NamedTuple):
    """A model under attack: `correct` are the images that it classifies as they are labelled."""

    model: Differentiable
    split: Split
    correct: np.ndarray
    num_classes: int
    batch_size: int

    def attack(self, attacks: Ensemble, radius: float, standing: np.ndarray) -> InTurn:
        """Attacks images of the split; a ball without radius has one point."""
        return attack_in_turn(
            self.model,
            self.split,
            ensemble.flatten(attacks) if radius > 0.0 else [],
            radius,
            standing=standing,
            batch_size=self.batch_size,
            name=f"adversarial {radius:g}",
        )


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy under FGSM and the worst attack over the change of a pixel, and its length.

    Images that are misclassified without an attack are not attacked.
    """
    model, test = predict.differentiable, dataset.test
    assert model is not None  # as required
    logits = predict_split(predict, test, "logits", batch_size=batch_size, name="adversarial")
    correct = np.argmax(logits["logits"], axis=-1) == test.labels
    target = _Target(model, test, correct, dataset.num_classes, batch_size)
    return [result for condition in _plan(target) for result in _measure(target, condition)]


def _plan(target: _Target) -> tuple[_Condition, ...]:
    """Lists the conditions."""
    classes, votes = target.num_classes, target.model.vote_logits is not None
    worst = ensemble.by_pixels(classes, votes=votes)
    euclidean = ensemble.by_gradients("2", classes)
    return (
        _Condition("FGSM", PIXELS, EPSILONS, "inf", ensemble.single_step()),
        _Condition("worst attack", PIXELS, EPSILONS, "inf", worst),
        _Condition("worst attack, Euclidean", LENGTH, LENGTHS, "2", euclidean),
    )


def _measure(target: _Target, condition: _Condition) -> Iterator[Result]:
    """Measures accuracy at every radius of a condition."""
    found = {
        radius: target.attack(condition.attacks, radius, target.correct)
        for radius in condition.radii
    }
    flags = tuple(_suspicions(target, condition, found))
    for radius, (attacked, found_by) in found.items():
        by_kind = ensemble.shares_found(condition.attacks, found_by)
        yield rate(
            "adversarial",
            ROBUST_ACCURACY,
            ~attacked.misled,
            target.split,
            details=shares(
                images_without_a_gradient=float(np.mean(attacked.without_gradient)),
                **{f"misled by {kind}": share for kind, share in by_kind.items()},
            ),
            artifacts=(Images(attacked.images[:SHOWN], label=f"{condition.name}, {radius:g}"),),
            condition=condition.name,
            axis=condition.axis,
            strength=radius,
            flags=(*flags, *attacked.flags()),
            definition={"norm": condition.norm, **ensemble.describe(condition.attacks)},
        )


def _suspicions(
    target: _Target, condition: _Condition, found: dict[float, InTurn]
) -> Iterator[str]:
    """Lists signs that the accuracies are too high."""
    rates = [float(np.mean(~each.attacked.misled)) for each in found.values()]
    if any(after > before + _MAX_RISE for before, after in itertools.pairwise(rates)):
        yield "a larger radius fools fewer images: gradients may mislead"
    smallest = found[condition.radii[1]].attacked
    still = np.sum(smallest.without_gradient) / max(np.sum(target.correct), 1)
    if still > _MAX_STILL:
        yield f"{100 * still:.0f} % of the images have no gradient to follow"
    if condition.name == "FGSM":
        return
    if condition.norm == "inf":
        yield from _masked(target, condition, found)
    yield from _not_converged(target, condition, found)


def _masked(target: _Target, condition: _Condition, found: dict[float, InTurn]) -> Iterator[str]:
    """Looks for images that gradients do not mislead although they can be misled."""
    found_all = target.attack(ensemble.from_images(), _FULL_RANGE, target.correct)
    stand = np.mean(~found_all.attacked.misled)
    if stand > 1.0 / target.num_classes:
        yield (
            f"{100 * stand:.0f} % of the images withstand gradients where any change is allowed: "
            "gradients may be masked"
        )
    by_square = {
        radius: ensemble.shares_found(condition.attacks, each.found_by)[ensemble.SQUARE]
        for radius, each in found.items()
    }
    radius = max(by_square, key=by_square.__getitem__)
    if by_square[radius] > _MAX_GAIN:
        yield (
            f"the Square attack misleads {100 * by_square[radius]:.0f} % of the images at "
            f"{radius:g} that gradients do not: gradients are masked"
        )


def _not_converged(
    target: _Target, condition: _Condition, found: dict[float, InTurn]
) -> Iterator[str]:
    """Attacks some of the images that withstand the middle radius with more steps and starts."""
    radius = condition.radii[len(condition.radii) // 2]
    survived = ~found[radius].attacked.misled
    checked = survived & (np.cumsum(survived) <= MAX_CHECKED)
    if not np.any(checked):
        return
    for effort, searches in ensemble.stronger(condition.norm).items():
        again = target.attack({effort: searches}, radius, checked)
        more = np.mean(survived) * np.mean(again.attacked.misled[checked])
        if more > _MAX_GAIN:
            yield (
                f"{effort} would mislead about {100 * more:.0f} % more of the images at "
                f"{radius:g}: the attack has not converged"
            )
