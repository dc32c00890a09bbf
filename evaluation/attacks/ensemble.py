"""Ensembles of attacks, of which the worst counts, image by image.

As AutoAttack (Croce and Hein, 2020), an ensemble has Auto-PGD with several losses, whose failures
differ, and the Square attack, which finds what gradients hide. Capsules are attacked by their votes
too, for routing may hide gradients (Gu, Wu and Tresp, 2021).
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.attacks.apgd import AutoPGD
from evaluation.attacks.gradient import LOSSES, attack_all, fgsm, pgd
from evaluation.attacks.losses import MIN_CLASSES, MIN_TARGETED_CLASSES
from evaluation.attacks.search import Search
from evaluation.attacks.square import Square

STEPS = 100
"""Of each Auto-PGD."""
STARTS = 2
"""Random starts of Auto-PGD on the cross-entropy."""
TARGETS = 9
"""Highest-scoring wrong classes, at most, for which the targeted loss is raised, as in AutoAttack;
each from another start."""
QUERIES = 1000
"""Of the Square attack."""
SQUARE = "Square"

Ensemble = Mapping[str, Sequence[Search]]
"""Attacks by the names of their kinds, in the order in which they are made."""


def single_step() -> Ensemble:
    """Makes FGSM with each of its losses."""
    return {"FGSM": [functools.partial(attack_all, attack=fgsm(loss)) for loss in LOSSES]}


def by_pixels(num_classes: int, *, votes: bool) -> Ensemble:
    """Makes all attacks in the norm "inf", the cheapest first and the one without gradients last.

    Args:
        num_classes: Of the model; the losses of few classes are fewer.
        votes: The model has votes.
    """
    on_votes = {"vote attack": [AutoPGD("inf", "cross-entropy", STEPS, on_votes=True)]}
    return {
        **by_gradients("inf", num_classes),
        **(on_votes if votes else {}),
        SQUARE: [Square(QUERIES)],
    }


def by_gradients(norm: str, num_classes: int) -> Ensemble:
    """Makes Auto-PGD on the cross-entropy, the difference-of-logits ratio and the targeted one."""
    starts = [AutoPGD(norm, "cross-entropy", STEPS, restart=start) for start in range(STARTS)]
    ratio = "DLR" if num_classes >= MIN_CLASSES else "margin"
    found: dict[str, Sequence[Search]] = {
        "APGD-CE": starts,
        f"APGD-{ratio}": [AutoPGD(norm, ratio, STEPS)],
    }
    if num_classes >= MIN_TARGETED_CLASSES:
        ranks = range(1, min(TARGETS, num_classes - 1) + 1)
        found["APGD-T"] = [targeted(norm, rank) for rank in ranks]
    return found


def targeted(norm: str, rank: int) -> AutoPGD:
    """Makes Auto-PGD towards a wrong class of a rank, from a start of its own."""
    return AutoPGD(norm, "targeted DLR", STEPS, rank=rank, restart=rank)


def stronger(norm: str) -> Ensemble:
    """Makes attacks that find little more if those of `by_gradients` have converged."""
    return {
        "twice the steps": [AutoPGD(norm, "cross-entropy", 2 * STEPS)],
        "another start": [AutoPGD(norm, "cross-entropy", STEPS, restart=STARTS)],
    }


def from_images() -> Ensemble:
    """Makes PGD that begins at the images, so that nothing but gradients can mislead a model."""
    return {
        "PGD": [
            functools.partial(attack_all, attack=dataclasses.replace(each, random_start=False))
            for each in (pgd("inf", loss) for loss in LOSSES)
        ]
    }


def flatten(ensemble: Ensemble) -> list[Search]:
    """Lists the attacks in their order."""
    return [search for searches in ensemble.values() for search in searches]


def shares_found(ensemble: Ensemble, found_by: np.ndarray) -> dict[str, float]:
    """Computes for each kind of attack the share of images that it was the first to mislead.

    Args:
        ensemble: The attacks.
        found_by: See `InTurn`; positions are those of `flatten`.
    """
    kinds = np.repeat(np.arange(len(ensemble)), [len(each) for each in ensemble.values()])
    found = kinds[found_by[found_by >= 0]]
    return {
        kind: float(np.sum(found == position)) / len(found_by)
        for position, kind in enumerate(ensemble)
    }


def describe(kinds: Iterable[str]) -> dict[str, Any]:
    """Describes kinds of attacks with their budgets, ready for JSON."""
    return {
        "attacks": list(kinds),
        "steps": STEPS,
        "starts": STARTS,
        "targets": TARGETS,
        "queries": QUERIES,
    }
