"""Sensitivity to the arrangement of parts: faces against their scrambles.

For models of `data.faces.tasks` and `data.faces.photographed` only; the three tasks have results of
their own, never averaged. Every condition shows the same new faces, so that differences are
paired.

"presence" and "relation": scores are those of "face" minus those of "other", of the model's own
probabilities, where it has them, or else of its logits; and an image is classified as a face from
the threshold on that misses 5 % of whole validation faces. Conditions: the intact face; "sham", its
parts cut out and pasted back, which changes nothing of a rendered face and is the training image of
a photographed one; scrambles by the permutations that "relation" trains on, and by those that it
holds out ("presence" trains on neither); "eye swap", which is the same image, but of photographs,
whose eyes differ; a missing, doubled or single part, no part, clutter; poses half as wide again as
in training; "inverted", upside down, for which no prediction is right; a small move of the whole
face, the reference for the effect of a scramble.

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
from evaluation.metrics.classification import (
    ACCURACY,
    DETECTION_RATE,
    FALSE_ALARM_RATE,
    RECONSTRUCTION_AUROC,
)
from evaluation.model import (
    Predict,
    Predictor,
    as_predictor,
    predict_all,
    predict_split,
    probability_field,
    reconstruction_errors,
)
from evaluation.results.quantities import Axis, Metric, shares
from evaluation.results.result import Result, rate
from evaluation.statistics.intervals import (
    NOT_NEGATIVE,
    SHARE,
    auroc,
    auroc_outcomes,
    paired_interval,
)

SUITE = "faces"
Faces = FacesConfig | PhotographedFaces
TRAINED, HELD_OUT = "trained permutations", "held-out permutations"
WIDE, WIDE_HELD_OUT = "wide poses", "wide poses, held-out permutations"
INVERTED = "inverted"
# Conditions of whole faces; the images of all others are none.
FACES = ("intact", "sham", "eye swap", "small move", INVERTED, WIDE)
TRUE_POSITIVE_RATE = Metric("classified as a face", higher_is_better=True)
# Of images of which neither class is right: faces upside down, or halfway to a scramble.
CLASSIFIED_AS_A_FACE = Metric("classified as a face")
FALSE_POSITIVE_RATE = Metric("false-positive rate", higher_is_better=False)
UNDETECTED_FALSE_POSITIVE_RATE = Metric("undetected false-positive rate", higher_is_better=False)
AUROC = Metric("AUROC", higher_is_better=True)
# In units of the model's own scores, which models do not share.
CONFIGURAL_EFFECT = Metric("configural effect", "of score")
# Of these two neither more nor less is better: a model may ignore arrangement, or depend on it.
SELECTIVITY = Metric("selectivity", "times", bounds=NOT_NEGATIVE)
T50 = Metric("t50", "of the way", bounds=SHARE)
STRENGTHS = np.linspace(0.0, 1.0, 9)
DISPLACEMENT = Axis("displacement", "share of the way", identity=0.0)
_METHOD = "paired bootstrap 95 %"
_SINGLE = [arrangements.only(part, arrangements.HOME) for part in (LEFT_EYE, NOSE, MOUTH)]


@dataclasses.dataclass(frozen=True)
class _Model:
    """A model, and the facts of all its results."""

    predict: Predictor
    batch_size: int
    definition: dict[str, Any]
    flags: tuple[str, ...] = ()

    def outputs(self, split: Split) -> np.ndarray:
        """Computes the model's own probabilities of the classes, or else its logits."""
        read = self.predict.field(probability_field(self.predict))
        return predict_all(read, split.images, batch_size=self.batch_size, name=SUITE)

    def scores(self, split: Split) -> np.ndarray:
        outputs = self.outputs(split)
        return outputs[:, FACE] - outputs[:, OTHER]

    def errors(self, split: Split, reconstruct) -> np.ndarray:
        """Computes reconstruction errors of images."""
        return reconstruction_errors(
            reconstruct, split.images, batch_size=self.batch_size, name=SUITE
        )

    def rate(self, metric: Metric, hits, split, *, more_flags=(), **facts) -> Result:
        """Makes a result of a share of images, with the facts of all results of the model."""
        flags = (*self.flags, *more_flags)
        return rate(SUITE, metric, hits, split, definition=self.definition, flags=flags, **facts)

    def paired(self, metric: Metric, statistic, scores, split, *, more_flags=(), **facts) -> Result:
        """Makes a result of a statistic of paired scores, with its bootstrap interval."""
        return Result(
            suite=SUITE,
            metric=metric,
            value=statistic(*scores),
            interval=paired_interval(statistic, *scores),
            interval_method=_METHOD,
            count=len(split),
            data_checksum=split.checksum,
            definition=self.definition,
            flags=(*self.flags, *more_flags),
            **facts,
        )


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures all that there is of the task of the run.

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
    """Warns of results of a model whose accuracy on its own task leaves no room for effects."""
    field = probability_field(model.predict)
    how = {"batch_size": model.batch_size, "name": SUITE}
    found = predict_split(model.predict, dataset.test, field, **how)[field]
    hits = np.argmax(found, axis=-1) == dataset.test.labels
    chance = 1.0 / dataset.num_classes
    own = rate(SUITE, ACCURACY, hits, dataset.test)
    if own.interval[0] <= chance + 0.05:
        return ("near chance on its own task: has learnt nothing",)
    if own.value >= 0.995:
        return ("at the ceiling of its own task",)
    return ()


def _configurations(model: _Model, generator: Faces, dataset: Dataset) -> Iterator[Result]:
    """Measures accuracy on the six arrangements."""
    count = len(dataset.test)
    labels = (np.arange(count) % len(arrangements.CONFIGURATIONS)).astype(np.int32)
    for condition, images in _arranged(*_renderers(generator, count)):
        split = Split(images, labels)
        hits = np.argmax(model.outputs(split), axis=-1) == labels
        each = shares(**{f"class {k}": np.mean(hits[labels == k]) for k in np.unique(labels)})
        yield model.rate(ACCURACY, hits, split, details=each, condition=condition)


def _renderers(generator: Faces, count: int):
    """Makes renderers of the test faces, and of the same in wide poses."""
    return tuple(renderer(each, "test pairs", count) for each in (generator, widened(generator)))


def _arranged(show, wide) -> Iterator[tuple[str, np.ndarray]]:
    """Renders each condition of "configuration": its name and its images."""
    classes = arrangements.CONFIGURATIONS
    yield "intact", show(classes)
    yield "eye swap", show(arrangements.swap_eyes(classes))
    yield WIDE, wide(classes)
    yield "only the nose", show(arrangements.only(NOSE, classes))
    yield "only the mouth", show(arrangements.only(MOUTH, classes))
    yield "no part", show(arrangements.EMPTY)


def _scrambles(model: _Model, generator: Faces, dataset: Dataset) -> Iterator[Result]:
    """Measures a model that distinguishes faces from other images."""
    count = len(dataset.test)
    show, wide = _renderers(generator, count)
    splits = {
        name: _split(images, name in FACES) for name, images in _conditions(show, wide, count)
    }
    validation = renderer(generator, "validation pairs", len(dataset.validation))
    validation = _split(validation.sham(), True)
    scores = {name: model.scores(split) for name, split in splits.items()}
    threshold = faces.face_threshold(model.scores(validation))
    detected = {name: score >= threshold for name, score in scores.items()}
    for name, split in splits.items():
        flags = ("no prediction is right",) if name == INVERTED else ()
        yield model.rate(_metric(name), detected[name], split, condition=name, more_flags=flags)
    yield from _pairs(model, splits, scores)
    yield from _slide(model, show, threshold)
    if model.predict.has("reconstruction"):
        reconstruct = model.predict.field("reconstruction")
        errors = model.errors(validation, reconstruct)
        yield from _detection(model, reconstruct, errors, splits, detected)


def _metric(condition: str) -> Metric:
    """Chooses the metric of images classified as faces under a condition."""
    if condition == INVERTED:
        return CLASSIFIED_AS_A_FACE
    return TRUE_POSITIVE_RATE if condition in FACES else FALSE_POSITIVE_RATE


def _conditions(show, wide, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Renders each condition of "presence" and "relation": its name and its images."""
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
    yield INVERTED, show(home, change=INVERT)
    yield "small move", show(home, change=small_moves(count))
    yield WIDE, wide(home)
    yield WIDE_HELD_OUT, wide(arrangements.HELD_OUT)


def _split(images: np.ndarray, are_faces: bool) -> Split:
    return Split(images, np.full(len(images), FACE if are_faces else OTHER, np.int32))


def _pairs(model: _Model, splits, scores) -> Iterator[Result]:
    """Compares faces with their own scrambles."""
    for name, faces_name in ((TRAINED, "sham"), (HELD_OUT, "sham"), (WIDE_HELD_OUT, WIDE)):
        pair, split = (scores[faces_name], scores[name]), splits[name]
        outcomes = auroc_outcomes(*pair)
        yield model.paired(AUROC, auroc, pair, split, condition=name, outcomes=outcomes)
        yield model.paired(
            CONFIGURAL_EFFECT,
            lambda whole, scrambled: float(np.mean(whole - scrambled)),
            pair,
            split,
            condition=name,
            outcomes=pair[0] - pair[1],
        )
    for name in (TRAINED, HELD_OUT):
        three = (scores["intact"], scores[name], scores["small move"])
        yield model.paired(SELECTIVITY, faces.selectivity, three, splits[name], condition=name)


def _slide(model: _Model, show, threshold: float) -> Iterator[Result]:
    """Measures the slide of parts towards their slots in a scramble."""
    slides = [
        _split(images, strength == 0.0)
        for strength, images in zip(STRENGTHS, _slides(show), strict=True)
    ]
    curve = [model.scores(split) >= threshold for split in slides]
    for strength, split, hits in zip(STRENGTHS, slides, curve, strict=True):
        yield model.rate(
            CLASSIFIED_AS_A_FACE,
            hits,
            split,
            condition="displacement",
            strength=float(strength),
            axis=DISPLACEMENT,
        )
    never = np.mean(curve[-1]) > np.mean(curve[0]) / 2.0
    yield model.paired(
        T50,
        lambda detected: faces.half_way(detected, STRENGTHS),
        (np.stack(curve, axis=1),),
        slides[-1],
        condition="displacement",
        more_flags=("never falls to half: the value is the end of the way",) if never else (),
    )


def _slides(show) -> Iterator[np.ndarray]:
    """Renders images of every strength."""
    return (show(arrangements.HELD_OUT, progress=float(strength)) for strength in STRENGTHS)


def _detection(model: _Model, reconstruct, intact, splits, detected) -> Iterator[Result]:
    """Measures the rejection of scrambles by their reconstruction error."""
    limit = float(np.quantile(intact, 1.0 - faces.MAX_MISSES))
    whole = model.errors(splits["intact"], reconstruct)
    for name in (TRAINED, HELD_OUT):
        split, errors = splits[name], model.errors(splits[name], reconstruct)
        missed = detected[name] & (errors <= limit)
        yield model.rate(DETECTION_RATE, errors > limit, split, condition=name)
        yield model.rate(UNDETECTED_FALSE_POSITIVE_RATE, missed, split, condition=name)
        yield model.paired(
            RECONSTRUCTION_AUROC,
            auroc,
            (errors, whole),
            split,
            condition=name,
            outcomes=auroc_outcomes(errors, whole),
        )
    yield model.rate(FALSE_ALARM_RATE, whole > limit, splits["intact"], condition="intact")


def scenes(dataset: Dataset, count: int) -> dict[str, np.ndarray]:
    """Renders a few test faces in every condition of the dataset's task; none for other images."""
    generator = dataset.generator
    if not isinstance(generator, Faces):
        return {}
    show, wide = _renderers(generator, count)
    if generator.task == "configuration":
        shown = dict(_arranged(show, wide))
    else:
        shown = dict(_conditions(show, wide, count)) | {
            f"displacement, {strength:g} of the way": images
            for strength, images in zip(STRENGTHS, _slides(show), strict=True)
        }
    return {name: images / np.float32(255.0) for name, images in shown.items()}
