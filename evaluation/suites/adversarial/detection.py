"""Detection by reconstruction: images that a model paints badly are refused; which are found?

The detector of Frosst, Sabour and Hinton (2018), "DARCCC": an image is refused if it lies farther
from what the model paints of the class that it sees than 95 % of clean validation images do. Asked
of clean images (false alarms), of images that belong to no class, and of adversarial ones: by PGD,
which knows the classifier alone, and by PGD that also lowers the distance, and so knows the
detector. Without the second the first says little.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from data.dataset import Dataset, Split
from evaluation.attacks.adaptive import evade_all
from evaluation.attacks.gradient import LOSSES, attack_all, pgd
from evaluation.model import Differentiable, Predictor, distances
from evaluation.perturbations.curve import SEED
from evaluation.results.result import Result, rate
from evaluation.statistics.intervals import auroc, paired_interval

EXPENSIVE = True
REQUIRES = ("images", "reconstruction")
FALSE_ALARMS = 0.05
EPSILONS = (0.0, 0.1, 0.2, 0.3)
# Of the squared distance against the margin of the scores, whose scales differ between models.
WEIGHTS = (0.01, 0.1, 1.0)
PLAIN, KNOWING = "PGD", "PGD that knows the detector"
_ROOM = 0.01


class _Shown(NamedTuple):
    """What an adversary showed: whether each image fools, its distance from its painting, flags."""

    fooled: np.ndarray
    distances: np.ndarray
    flags: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Detector:
    """A model that refuses images.

    Attributes:
        reconstruct: From images to reconstructions of their predicted classes.
        limit: The distance above which an image is refused.
        clean: `[count]`, distances of the test images.
        test: Those images.
        batch_size: Images per call.
    """

    reconstruct: Callable[[np.ndarray], np.ndarray]
    limit: float
    clean: np.ndarray
    test: Split
    batch_size: int

    def distances(self, images: np.ndarray) -> np.ndarray:
        return _distances(self.reconstruct, images, self.batch_size)

    def rate(self, metric: str, hits: np.ndarray, **facts: Any) -> Result:
        return rate("detection", metric, hits, self.test, **_with_threshold(facts))

    def judge(self, far: np.ndarray, details: dict[str, float], **facts: Any) -> Iterator[Result]:
        """How many images are refused, and how well distances tell them from the clean ones."""
        facts = _with_threshold(facts)
        yield self.rate("detected by reconstruction", far > self.limit, details=details, **facts)
        yield Result(
            suite="detection",
            metric="AUROC of reconstruction",
            value=auroc(far, self.clean),
            interval=paired_interval(auroc, far, self.clean),
            interval_method="paired bootstrap 95 %",
            count=len(self.test),
            data_checksum=self.test.checksum,
            **facts,
        )


def _with_threshold(facts: dict[str, Any]) -> dict[str, Any]:
    threshold = f"of {100 * (1 - FALSE_ALARMS):g} % of the clean validation images"
    return {**facts, "parameters": {"threshold": threshold, **facts.get("parameters", {})}}


def _distances(reconstruct, images, batch_size):
    return distances(reconstruct, images, batch_size=batch_size, name="detection")


def evaluate(predict: Predictor, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Shares of images that are refused, that fool, and that fool and are not refused.

    Returns:
        The results, those of attacks only for a model that can be differentiated.
    """
    reconstruct = predict.field("reconstruction")
    validation = _distances(reconstruct, dataset.validation.images, batch_size)
    limit = float(np.quantile(validation, 1.0 - FALSE_ALARMS))
    clean = _distances(reconstruct, dataset.test.images, batch_size)
    detector = _Detector(reconstruct, limit, clean, dataset.test, batch_size)
    results = [detector.rate("false alarm rate", clean > limit, condition="clean")]
    for name, images in strangers(dataset.test.images).items():
        results += detector.judge(detector.distances(images), {}, condition=name)
    model = predict.differentiable
    if model is not None and model.reconstruction is not None:
        results += _attacks(detector, model)
    return results


def strangers(images: np.ndarray) -> dict[str, np.ndarray]:
    """Images that belong to no class, or no longer look as they should, made of others.

    Args:
        images: `[count, height, width, channels]`, uint8.

    Returns:
        As many of each kind: uniform noise, negatives, upside down (half a turn, which some things
        survive), and pixels in an order that is random for each image.
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
    """All that is measured of adversarial images."""
    found = {epsilon: _attack(detector, model, epsilon) for epsilon in EPSILONS}
    for condition in (PLAIN, KNOWING):
        curve = [found[epsilon][condition] for epsilon in EPSILONS]
        missed = [each.fooled & (each.distances <= detector.limit) for each in curve]
        suspicions = _suspicions(missed) if condition == KNOWING else ()
        for epsilon, each, unseen in zip(EPSILONS, curve, missed, strict=True):
            facts: dict[str, Any] = {
                "condition": condition,
                "axis": "largest change of a pixel, of the full range",
                "strength": epsilon,
                "flags": (*suspicions, *each.flags),
                "parameters": _parameters(condition),
            }
            yield detector.rate("fooled rate", each.fooled, **facts)
            yield detector.rate("fooled and undetected", unseen, **facts)
            refused = each.distances[each.fooled] > detector.limit
            details = {"of those that fool": float(np.mean(refused))} if len(refused) else {}
            yield from detector.judge(each.distances, details, **facts)


def _parameters(condition: str) -> dict[str, Any]:
    kept = {PLAIN: "the first that fools", KNOWING: "the nearest to its painting that fools"}
    parameters = {
        "norm": "inf",
        "steps": pgd("inf", "margin").steps,
        "relative step": pgd("inf", "margin").relative_step,
        "losses": list(LOSSES),
        "kept": kept[condition],
        "strengths": list(EPSILONS),
        "identity": 0.0,
    }
    if condition == KNOWING:
        parameters["weights of the squared distance"] = list(WEIGHTS)
    return parameters


def _attack(detector: _Detector, model: Differentiable, epsilon: float) -> dict[str, _Shown]:
    """What two adversaries show the model; the one who knows more has the other's images too."""
    common = {"batch_size": detector.batch_size, "name": f"detection {epsilon:g}"}
    blind = [
        attack_all(model, detector.test, pgd("inf", loss), epsilon, **common) for loss in LOSSES
    ]
    knowing = [evade_all(model, detector.test, epsilon, weight, **common) for weight in WEIGHTS]
    attempts = [*blind, *knowing]
    fooled = np.stack([each.fooled for each in attempts])
    far = np.stack([detector.distances(each.images) for each in attempts])
    flags = tuple(dict.fromkeys(flag for each in blind for flag in each.flags()))
    first = len(blind)
    return {
        PLAIN: _choose(fooled[:first], far[:first], np.zeros_like(far[:first]), flags),
        KNOWING: _choose(fooled, far, far, flags),
    }


def _choose(fooled: np.ndarray, far: np.ndarray, costs: np.ndarray, flags=()) -> _Shown:
    """Of the attempts at each image the cheapest of those that fool, the first of equals."""
    # More than all costs, for those that do not fool.
    bound = 1.0 + np.max(costs)
    chosen = np.argmin(costs + bound * ~fooled, axis=0)[None]
    taken, away = (np.take_along_axis(each, chosen, axis=0)[0] for each in (fooled, far))
    return _Shown(taken, away, flags)


def _suspicions(missed: list[np.ndarray]) -> tuple[str, ...]:
    """Why the attack that knows the detector may be weaker than it could be."""
    rates = [float(np.mean(each)) for each in missed]
    if any(after < before - _ROOM for before, after in itertools.pairwise(rates)):
        return ("a larger radius evades the detector less often: the attack is too weak",)
    return ()


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """The images that belong to no class."""
    levels = np.round(255.0 * np.asarray(images)).astype(np.uint8)
    return {name: each / np.float32(255.0) for name, each in strangers(levels).items()}
