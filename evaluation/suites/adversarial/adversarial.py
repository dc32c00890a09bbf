"""Robust accuracy under white-box attacks: FGSM and PGD.

Every attack is made with two losses, cross-entropy and margin, on the model's unnormalised
log-probabilities (logarithms of lengths for capsules), and succeeds on an image if either fools the
model. Signs that a number cannot be trusted are its flags: gradients that vanish or are undefined,
an attack that does not get stronger with its radius, or one that fails where any change is allowed
(Carlini et al., 2019).
"""

import itertools
from collections.abc import Sequence

import numpy as np

from data.dataset import Dataset
from evaluation.attacks.gradient import (
    LOSSES,
    SHOWN,
    Attack,
    Attacked,
    attack_with_all,
    fgsm,
    pgd,
)
from evaluation.metrics.classification import ROBUST_ACCURACY
from evaluation.model import Differentiable, Predictor
from evaluation.results.artifacts import Images
from evaluation.results.quantities import Axis, shares
from evaluation.results.result import Result, rate

EXPENSIVE = True
REQUIRES = ("images", "differentiable")
EPSILONS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
LENGTHS = (0.0, 0.5, 1.0, 2.0, 3.0)
PIXELS = Axis("largest change of a pixel", "of the full range", identity=0.0)
LENGTH = Axis("length of the change", identity=0.0)
# At the full range of grey levels an attack can reach any image, so no model should withstand it.
_FULL_RANGE = 1.0
# Of accuracy from one radius to a larger one.
_MAX_RISE = 0.01
# Share of images without a gradient.
_MAX_STILL = 0.01


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy under FGSM and PGD over the change of a pixel, and PGD over its length."""
    model = predict.differentiable
    assert model is not None  # as required
    results = []
    for condition, axis, radii, attacks in _plan():
        found = {radius: _attack(model, dataset, attacks, radius, batch_size) for radius in radii}
        flags = _suspicions(model, dataset, attacks, found, batch_size)
        for radius, each in found.items():
            results.append(
                rate(
                    "adversarial",
                    ROBUST_ACCURACY,
                    ~each.misled,
                    dataset.test,
                    details=shares(images_without_a_gradient=float(np.mean(each.without_gradient))),
                    artifacts=(Images(each.images[:SHOWN], label=f"{condition}, {radius:g}"),),
                    condition=condition,
                    axis=axis,
                    strength=radius,
                    flags=(*flags, *each.flags()),
                    definition={
                        "norm": attacks[0].norm,
                        "steps": attacks[0].steps,
                        "relative step": attacks[0].relative_step,
                        "random start": attacks[0].random_start,
                        "losses": list(LOSSES),
                    },
                )
            )
    return results


def _plan():
    """Lists name, axis, radii and attacks of each condition."""
    return (
        ("FGSM", PIXELS, EPSILONS, [fgsm(loss) for loss in LOSSES]),
        ("PGD", PIXELS, EPSILONS, [pgd("inf", loss) for loss in LOSSES]),
        ("PGD, Euclidean", LENGTH, LENGTHS, [pgd("2", loss) for loss in LOSSES]),
    )


def _attack(
    model: Differentiable,
    dataset: Dataset,
    attacks: Sequence[Attack],
    radius: float,
    batch_size: int,
) -> Attacked:
    name = f"adversarial {radius:g}"
    return attack_with_all(model, dataset.test, attacks, radius, batch_size=batch_size, name=name)


def _suspicions(model, dataset, attacks, found, batch_size) -> tuple[str, ...]:
    """Lists signs that the accuracies are too high."""
    flags = []
    rates = [float(np.mean(~each.misled)) for each in found.values()]
    if any(after > before + _MAX_RISE for before, after in itertools.pairwise(rates)):
        flags.append("a larger radius fools fewer images: gradients may mislead")
    still = float(np.mean(next(iter(found.values())).without_gradient))
    if still > _MAX_STILL:
        flags.append(f"{100 * still:.0f} % of the images have no gradient to follow")
    if attacks[0].norm == "inf" and attacks[0].steps > 1:
        stand = np.mean(~_attack(model, dataset, attacks, _FULL_RANGE, batch_size).misled)
        if stand > 1.0 / dataset.num_classes:
            flags.append(
                f"{100 * stand:.0f} % of the images withstand where any change is allowed: "
                "gradients may be masked"
            )
    return tuple(flags)
