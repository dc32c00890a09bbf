"""Scrambled faces: does a model see how parts are arranged, or only that they are there?

For models of `data.faces.tasks` and `data.faces.photographed` only; the three tasks have results of
their own, never averaged. Every condition shows the same fresh faces, so that differences are
paired.

"presence" and "relation": scores are those of "face" minus those of "other", of the model's own
probabilities, where it has them, or else of its logits; and an image is called a face from the
threshold on that misses 5 % of whole validation faces. Conditions: the intact face; "sham", its
parts cut out and pasted back, which changes nothing of a painted face and is what is trained on of
photographs; scrambles by the permutations that "relation" trains on, and by those that it holds out
("presence" trains on neither); "eye swap", which shows the same image, but of photographs, whose
eyes differ; a missing, doubled or single part, no part, clutter; poses half as wide again as in
training; "inverted", upside down, for which no answer is right; a small move of the whole face,
which a scramble's effect is compared with.

"configuration": accuracy, where chance is 1 in 6.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from data.dataset import Dataset, Split
from data.faces import arrangements
from data.faces.conditions import INVERT, renderer, small_moves, widened
from data.faces.parts import LEFT_EYE, MOUTH, NOSE
from data.faces.photographed import PhotographedFaces
from data.faces.tasks import FACE, OTHER, FacesConfig
from evaluation.applicability import NotApplicable
from evaluation.metrics import faces
from evaluation.model import (
    Predict,
    Predictor,
    as_predictor,
    distances,
    predict_all,
    predict_split,
    probability_field,
)
from evaluation.results.result import Result, rate
from evaluation.statistics.intervals import auroc, paired_interval

SUITE = "faces"
Faces = FacesConfig | PhotographedFaces
TRAINED, HELD_OUT = "trained permutations", "held-out permutations"
WIDE, WIDE_HELD_OUT = "wide poses", "wide poses, held-out permutations"
# Conditions that show whole faces; the images of all others are none.
FACES = ("intact", "sham", "eye swap", "small move", "inverted", WIDE)
STRENGTHS = np.linspace(0.0, 1.0, 9)
_METHOD = "paired bootstrap 95 %"
_SINGLE = [arrangements.only(part, arrangements.HOME) for part in (LEFT_EYE, NOSE, MOUTH)]


@dataclasses.dataclass(frozen=True)
class _Model:
    """A model and how to ask it."""

    predict: Predictor
    batch_size: int
    parameters: dict[str, Any]
    flags: tuple[str, ...] = ()

    def answers(self, split: Split) -> np.ndarray:
        """The model's own probabilities of the classes, or else its logits."""
        read = self.predict.field(probability_field(self.predict))
        return predict_all(read, split.images, batch_size=self.batch_size, name=SUITE)

    def scores(self, split: Split) -> np.ndarray:
        answers = self.answers(split)
        return answers[:, FACE] - answers[:, OTHER]

    def errors(self, split: Split, reconstruct) -> np.ndarray:
        """Distances of images from what the model paints of them."""
        return distances(reconstruct, split.images, batch_size=self.batch_size, name=SUITE)

    def rate(self, metric, hits, split, *, more_flags=(), more_parameters=None, **facts) -> Result:
        """A share of images, with what holds of all results of the model."""
        flags = (*self.flags, *more_flags)
        parameters = {**self.parameters, **(more_parameters or {})}
        return rate(SUITE, metric, hits, split, parameters=parameters, flags=flags, **facts)

    def paired(self, metric, statistic, scores, split, *, more_flags=(), **facts) -> Result:
        """A statistic of paired scores, with its bootstrap interval."""
        return Result(
            suite=SUITE,
            metric=metric,
            value=statistic(*scores),
            interval=paired_interval(statistic, *scores),
            interval_method=_METHOD,
            count=len(split),
            data_checksum=split.checksum,
            parameters=self.parameters,
            flags=(*self.flags, *more_flags),
            **facts,
        )


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """All results of the run's own task.

    Raises:
        NotApplicable: for images that are not those of `data.faces.tasks` or
            `data.faces.photographed`.
    """
    generator = dataset.generator
    if not isinstance(generator, Faces):
        raise NotApplicable(f"the images of {dataset.name} are not made of the parts of faces")
    model = _Model(as_predictor(predict), batch_size, generator.parameters)
    model = dataclasses.replace(model, flags=_flags(model, dataset))
    if generator.task == "configuration":
        return list(_configurations(model, generator, dataset))
    return list(_scrambles(model, generator, dataset))


def _flags(model: _Model, dataset: Dataset) -> tuple[str, ...]:
    """What the accuracy on the run's own test images says of everything else."""
    field = probability_field(model.predict)
    how = {"batch_size": model.batch_size, "name": SUITE}
    found = predict_split(model.predict, dataset.test, field, **how)[field]
    hits = np.argmax(found, axis=-1) == dataset.test.labels
    chance = 1.0 / dataset.num_classes
    own = rate(SUITE, "accuracy", hits, dataset.test)
    if own.interval[0] <= chance + 0.05:
        return ("near chance on its own task: has learnt nothing",)
    if own.value >= 0.995:
        return ("at the ceiling of its own task",)
    return ()


def _configurations(model: _Model, generator: Faces, dataset: Dataset) -> Iterator[Result]:
    """Accuracies on the six arrangements."""
    count = len(dataset.test)
    labels = (np.arange(count) % len(arrangements.CONFIGURATIONS)).astype(np.int32)
    for condition, images in _arranged(*_painters(generator, count)):
        split = Split(images, labels)
        hits = np.argmax(model.answers(split), axis=-1) == labels
        each = {f"class {k}": float(np.mean(hits[labels == k])) for k in np.unique(labels)}
        yield model.rate("accuracy", hits, split, details=each, condition=condition)


def _painters(generator: Faces, count: int):
    """What shows the test faces, and what shows them in wide poses."""
    return tuple(renderer(each, "test pairs", count) for each in (generator, widened(generator)))


def _arranged(show, wide) -> Iterator[tuple[str, np.ndarray]]:
    """The name and the images of each condition of "configuration"."""
    classes = arrangements.CONFIGURATIONS
    yield "intact", show(classes)
    yield "eye swap", show(arrangements.swap_eyes(classes))
    yield WIDE, wide(classes)
    yield "only the nose", show(arrangements.only(NOSE, classes))
    yield "only the mouth", show(arrangements.only(MOUTH, classes))
    yield "no part", show(arrangements.EMPTY)


def _scrambles(model: _Model, generator: Faces, dataset: Dataset) -> Iterator[Result]:
    """All that is measured of a model that tells faces from other things."""
    count = len(dataset.test)
    show, wide = _painters(generator, count)
    splits = {
        name: _split(images, name in FACES) for name, images in _conditions(show, wide, count)
    }
    validation = renderer(generator, "validation pairs", len(dataset.validation))
    validation = _split(validation.sham(), True)
    scores = {name: model.scores(split) for name, split in splits.items()}
    threshold = faces.face_threshold(model.scores(validation))
    called = {name: score >= threshold for name, score in scores.items()}
    for name, split in splits.items():
        metric = "called a face" if name in FACES else "fooled rate"
        flags = ("no answer is right",) if name == "inverted" else ()
        yield model.rate(metric, called[name], split, condition=name, more_flags=flags)
    yield from _pairs(model, splits, scores)
    yield from _slide(model, show, threshold)
    if model.predict.has("reconstruction"):
        reconstruct = model.predict.field("reconstruction")
        errors = model.errors(validation, reconstruct)
        yield from _detection(model, reconstruct, errors, splits, called)


def _conditions(show, wide, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """The name and the images of each condition of "presence" and "relation"."""
    home = arrangements.HOME
    yield "intact", show.whole()
    yield "sham", show.sham()
    yield TRAINED, show(arrangements.TRAINED)
    yield HELD_OUT, show(arrangements.HELD_OUT)
    yield "eye swap", show(arrangements.EYE_SWAP)
    yield "missing part", show(arrangements.MISSING)
    yield "doubled part", show(arrangements.DOUBLED)
    yield "single part", show(np.stack(_SINGLE))
    yield "no part", show(arrangements.EMPTY)
    yield "clutter", show(arrangements.CLUTTERED)
    yield "inverted", show(home, change=INVERT)
    yield "small move", show(home, change=small_moves(count))
    yield WIDE, wide(home)
    yield WIDE_HELD_OUT, wide(arrangements.HELD_OUT)


def _split(images: np.ndarray, are_faces: bool) -> Split:
    return Split(images, np.full(len(images), FACE if are_faces else OTHER, np.int32))


def _pairs(model: _Model, splits, scores) -> Iterator[Result]:
    """Faces against their own scrambles."""
    for name, faces_name in ((TRAINED, "sham"), (HELD_OUT, "sham"), (WIDE_HELD_OUT, WIDE)):
        pair, split = (scores[faces_name], scores[name]), splits[name]
        yield model.paired("AUROC", auroc, pair, split, condition=name)
        yield model.paired(
            "configural effect",
            lambda whole, scrambled: float(np.mean(whole - scrambled)),
            pair,
            split,
            condition=name,
            unit="of score",
            outcomes=pair[0] - pair[1],
        )
    for name in (TRAINED, HELD_OUT):
        three = (scores["intact"], scores[name], scores["small move"])
        yield model.paired(
            "selectivity", faces.selectivity, three, splits[name], condition=name, unit="times"
        )


def _slide(model: _Model, show, threshold: float) -> Iterator[Result]:
    """How far parts slide towards their slots in a scramble until it is no face any more."""
    slides = [
        _split(images, strength == 0.0)
        for strength, images in zip(STRENGTHS, _slides(show), strict=True)
    ]
    curve = [model.scores(split) >= threshold for split in slides]
    for strength, split, hits in zip(STRENGTHS, slides, curve, strict=True):
        yield model.rate(
            "called a face",
            hits,
            split,
            condition="displacement",
            strength=float(strength),
            axis="displacement, share of the way",
            more_parameters={"identity": 0.0},
        )
    never = np.mean(curve[-1]) > np.mean(curve[0]) / 2.0
    yield model.paired(
        "t50",
        lambda called: faces.half_way(called, STRENGTHS),
        (np.stack(curve, axis=1),),
        slides[-1],
        condition="displacement",
        unit="of the way",
        more_flags=("never falls to half: the value is the end of the way",) if never else (),
    )


def _slides(show) -> Iterator[np.ndarray]:
    """Images of every strength."""
    return (show(arrangements.HELD_OUT, progress=float(strength)) for strength in STRENGTHS)


def _detection(model: _Model, reconstruct, intact, splits, called) -> Iterator[Result]:
    """Whether scrambles are painted worse than faces are, so that they can be refused."""
    limit = float(np.quantile(intact, 1.0 - faces.MISSES))
    whole = model.errors(splits["intact"], reconstruct)
    for name in (TRAINED, HELD_OUT):
        split, errors = splits[name], model.errors(splits[name], reconstruct)
        missed = called[name] & (errors <= limit)
        yield model.rate("detected by reconstruction", errors > limit, split, condition=name)
        yield model.rate("fooled and undetected", missed, split, condition=name)
        yield model.paired("AUROC of reconstruction", auroc, (errors, whole), split, condition=name)
    yield model.rate(
        "detected by reconstruction", whole > limit, splits["intact"], condition="intact"
    )


def scenes(dataset: Dataset, count: int) -> dict[str, np.ndarray]:
    """A few test faces in every condition of the dataset's task; nothing for other images."""
    generator = dataset.generator
    if not isinstance(generator, Faces):
        return {}
    show, wide = _painters(generator, count)
    if generator.task == "configuration":
        shown = dict(_arranged(show, wide))
    else:
        shown = dict(_conditions(show, wide, count)) | {
            f"displacement, {strength:g} of the way": images
            for strength, images in zip(STRENGTHS, _slides(show), strict=True)
        }
    return {name: images / np.float32(255.0) for name, images in shown.items()}
