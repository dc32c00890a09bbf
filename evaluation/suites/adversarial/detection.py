"""Detection by reconstruction: images that a model reconstructs badly are rejected.

Detector of Frosst, Sabour and Hinton (2018), "DARCCC": an image is rejected if the reconstruction
of its predicted class has a larger error than those of 95 % of clean validation images. It is
tested on clean images (false alarms), on images that belong to no class, and on adversarial ones:
by PGD against the classifier alone, and by adaptive PGD, which also lowers the reconstruction
error. Without the second the first proves little.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from data.dataset import Dataset, Split
from evaluation.attacks.adaptive import RELATIVE_STEP, evade_all
from evaluation.attacks.gradient import LOSSES, attack_all, pgd
from evaluation.metrics.classification import (
    DETECTION_RATE,
    FALSE_ALARM_RATE,
    RECONSTRUCTION_AUROC,
)
from evaluation.model import Differentiable, Predictor, reconstruction_errors
from evaluation.perturbations.curve import SEED
from evaluation.results.quantities import Axis, Detail, Metric, shares
from evaluation.results.result import Result, rate
from evaluation.statistics.intervals import auroc, auroc_outcomes, paired_interval

REQUIRES = ("images", "reconstruction")
PASSES = 1_200
ATTACK_SUCCESS_RATE = Metric("attack success rate", higher_is_better=False)
UNDETECTED_ATTACK_SUCCESS_RATE = Metric("undetected attack success rate", higher_is_better=False)
MAX_FALSE_ALARMS = 0.05
"""Share of clean validation images that are rejected."""
EPSILONS = (0.0, 0.1, 0.2, 0.3)
EPSILON = Axis("largest change of a pixel", "of the full range", identity=0.0)
# Of the squared error against the margin of the scores, whose scales differ between models.
WEIGHTS = (0.01, 0.1, 1.0)
PLAIN, ADAPTIVE = "PGD", "adaptive PGD"
_MAX_FALL = 0.01


class _Attempt(NamedTuple):
    """Chosen images of an attack: `[count]` successes, `[count]` reconstruction errors, flags."""

    misled: np.ndarray
    errors: np.ndarray
    flags: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Detector:
    """A model that rejects images.

    Attributes:
        reconstruct: From images to reconstructions of their predicted classes.
        limit: The reconstruction error above which an image is rejected.
        clean: `[count]`, errors of the test images.
        test: Those images.
        batch_size: Images per call.
    """

    reconstruct: Callable[[np.ndarray], np.ndarray]
    limit: float
    clean: np.ndarray
    test: Split
    batch_size: int

    def errors(self, images: np.ndarray) -> np.ndarray:
        return _errors(self.reconstruct, images, self.batch_size)

    def rate(self, metric: Metric, hits: np.ndarray, **facts: Any) -> Result:
        return rate("detection", metric, hits, self.test, **_with_threshold(facts))

    def judge(
        self, errors: np.ndarray, details: Mapping[str, Detail], **facts: Any
    ) -> Iterator[Result]:
        """Measures the share of images that are rejected, and their AUROC against clean ones."""
        facts = _with_threshold(facts)
        yield self.rate(DETECTION_RATE, errors > self.limit, details=details, **facts)
        yield Result(
            suite="detection",
            metric=RECONSTRUCTION_AUROC,
            value=auroc(errors, self.clean),
            outcomes=auroc_outcomes(errors, self.clean),
            interval=paired_interval(auroc, errors, self.clean),
            interval_method="paired bootstrap 95 %",
            count=len(self.test),
            data_checksum=self.test.checksum,
            **facts,
        )


def _with_threshold(facts: dict[str, Any]) -> dict[str, Any]:
    threshold = f"of {100 * (1 - MAX_FALSE_ALARMS):g} % of the clean validation images"
    return {**facts, "definition": {"threshold": threshold, **facts.get("definition", {})}}


def _errors(reconstruct, images, batch_size):
    return reconstruction_errors(reconstruct, images, batch_size=batch_size, name="detection")


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures detection of images of every kind, and the success of attacks on it.

    Returns:
        The results, those of attacks only for a model that can be differentiated.
    """
    reconstruct = predict.field("reconstruction")
    validation = _errors(reconstruct, dataset.validation.images, batch_size)
    limit = float(np.quantile(validation, 1.0 - MAX_FALSE_ALARMS))
    clean = _errors(reconstruct, dataset.test.images, batch_size)
    detector = _Detector(reconstruct, limit, clean, dataset.test, batch_size)
    results = [detector.rate(FALSE_ALARM_RATE, clean > limit, condition="clean")]
    for name, images in out_of_distribution(dataset.test.images).items():
        results += detector.judge(detector.errors(images), {}, condition=name)
    model = predict.differentiable
    if model is not None and model.reconstruction is not None:
        results += _attacks(detector, model)
    return results


def out_of_distribution(images: np.ndarray) -> dict[str, np.ndarray]:
    """Makes images that belong to no class, or no longer look like theirs, of others.

    Args:
        images: `[count, height, width, channels]`, uint8.

    Returns:
        As many of each kind: uniform noise, negatives, upside down (half a turn, under which some
        digits are still digits), and pixels in an order that is random for each image.
    """
    random = np.random.default_rng(SEED)
    flat = images.reshape(len(images), -1, images.shape[-1])
    order = random.permuted(np.tile(np.arange(flat.shape[1]), (len(images), 1)), axis=1)
    return {
        "noise": random.integers(0, 256, images.shape, np.uint8),
        "negative": 255 - images,
        "upside down": images[:, ::-1, ::-1],
        "shuffled pixels": np.take_along_axis(flat, order[..., None], axis=1).reshape(images.shape),
    }


def _attacks(detector: _Detector, model: Differentiable) -> Iterator[Result]:
    """Measures adversarial images."""
    found = {epsilon: _attack(detector, model, epsilon) for epsilon in EPSILONS}
    for condition in (PLAIN, ADAPTIVE):
        curve = [found[epsilon][condition] for epsilon in EPSILONS]
        missed = [each.misled & (each.errors <= detector.limit) for each in curve]
        suspicions = _suspicions(missed) if condition == ADAPTIVE else ()
        for epsilon, each, undetected in zip(EPSILONS, curve, missed, strict=True):
            facts: dict[str, Any] = {
                "condition": condition,
                "axis": EPSILON,
                "strength": epsilon,
                "flags": (*suspicions, *each.flags),
                "definition": _definition(condition),
            }
            yield detector.rate(ATTACK_SUCCESS_RATE, each.misled, **facts)
            yield detector.rate(UNDETECTED_ATTACK_SUCCESS_RATE, undetected, **facts)
            rejected = each.errors[each.misled] > detector.limit
            details = (
                shares(of_the_successful_ones=float(np.mean(rejected))) if len(rejected) else {}
            )
            yield from detector.judge(each.errors, details, **facts)


def _definition(condition: str) -> dict[str, Any]:
    kept = {
        PLAIN: "the first that fools",
        ADAPTIVE: "the one of least reconstruction error that fools",
    }
    definition = {
        "norm": "inf",
        "steps": pgd("inf", "margin").steps,
        "relative step": RELATIVE_STEP
        if condition == ADAPTIVE
        else pgd("inf", "margin").relative_step,
        "losses": list(LOSSES),
        "kept": kept[condition],
    }
    if condition == ADAPTIVE:
        definition["weights of the squared distance"] = list(WEIGHTS)
    return definition


def _attack(detector: _Detector, model: Differentiable, epsilon: float) -> dict[str, _Attempt]:
    """Attacks in both ways; the adaptive attack chooses among the images of the other one too."""
    common = {"batch_size": detector.batch_size, "name": f"detection {epsilon:g}"}
    plain = [
        attack_all(model, detector.test, pgd("inf", loss), epsilon, **common) for loss in LOSSES
    ]
    adaptive = [evade_all(model, detector.test, epsilon, weight, **common) for weight in WEIGHTS]
    attempts = [*plain, *adaptive]
    misled = np.stack([each.misled for each in attempts])
    errors = np.stack([detector.errors(each.images) for each in attempts])
    flags = tuple(dict.fromkeys(flag for each in plain for flag in each.flags()))
    first = len(plain)
    return {
        PLAIN: _choose(misled[:first], errors[:first], np.zeros_like(errors[:first]), flags),
        ADAPTIVE: _choose(misled, errors, errors, flags),
    }


def _choose(misled: np.ndarray, errors: np.ndarray, costs: np.ndarray, flags=()) -> _Attempt:
    """Chooses for each image the cheapest attempt that fools, the first of equals."""
    # More than all costs, for those that do not fool.
    bound = 1.0 + np.max(costs)
    chosen = np.argmin(costs + bound * ~misled, axis=0)[None]
    success, error = (np.take_along_axis(each, chosen, axis=0)[0] for each in (misled, errors))
    return _Attempt(success, error, flags)


def _suspicions(missed: list[np.ndarray]) -> tuple[str, ...]:
    """Lists signs that the adaptive attack is weaker than it could be."""
    rates = [float(np.mean(each)) for each in missed]
    if any(after < before - _MAX_FALL for before, after in itertools.pairwise(rates)):
        return ("a larger radius evades the detector less often: the attack is too weak",)
    return ()


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows the images that belong to no class."""
    levels = np.round(255.0 * np.asarray(images)).astype(np.uint8)
    return {name: each / np.float32(255.0) for name, each in out_of_distribution(levels).items()}
