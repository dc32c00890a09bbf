"""Sensitivity to the arrangement of parts: faces against their scrambles.

For models of `data.faces.tasks` and `data.faces.photographed` only; the three tasks have results of
their own, never averaged. Every condition shows the same new faces, so that differences are
paired.

"presence" and "relation": scores are those of "face" minus those of "other", of the model's own
probabilities, where it has them, or else of its logits; and an image is classified as a face from
the threshold on that misses 5 % of whole validation faces. Conditions: the intact face; "sham", its
parts cut out and pasted back, which changes nothing of a rendered face and is the training image of
a photographed one; scrambles by the permutations that "relation" trains on, and by those that the
fold of the run holds out ("presence" trains on neither); "eye swap", which is the same image, but
of photographs, whose eyes differ; a missing, doubled or single part, no part, clutter; poses half
as wide again as in training; "inverted", upside down, for which no prediction is right; a small
move of the whole face, the reference for the effect of a scramble.

"configuration": accuracy, where chance is 1 in 6.

A condition whose images are those of the intact faces, and one without parts, by which alone faces
differ, is a control: models cannot differ there, and are not ranked.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from data.dataset import Dataset, Split
from data.faces import arrangements
from data.faces.conditions import (
    FACES,
    HELD_OUT,
    INTACT,
    INVERTED,
    NO_PART,
    STRENGTHS,
    TRAINED,
    WIDE,
    WIDE_HELD_OUT,
    arranged,
    renderer,
    same,
    scrambled,
    slides,
    widened,
)
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

PASSES = 25
SUITE = "faces"
Faces = FacesConfig | PhotographedFaces
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
DISPLACEMENT = Axis("displacement", "share of the way", identity=0.0)
_METHOD = "paired bootstrap 95 %"


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
    intact = None
    for condition, images in arranged(*_renderers(generator, count)):
        intact = images if intact is None else intact
        is_control = condition == NO_PART or (condition != INTACT and same(images, intact))
        split = Split(images, labels)
        hits = np.argmax(model.outputs(split), axis=-1) == labels
        each = shares(**{f"class {k}": np.mean(hits[labels == k]) for k in np.unique(labels)})
        yield model.rate(
            _as_control(ACCURACY) if is_control else ACCURACY,
            hits,
            split,
            details=each,
            condition=condition,
            chance=1.0 / dataset.num_classes,
        )


def _renderers(generator: Faces, count: int):
    """Makes renderers of the test faces, and of the same in wide poses."""
    return tuple(renderer(each, "test pairs", count) for each in (generator, widened(generator)))


def _scrambles(model: _Model, generator: Faces, dataset: Dataset) -> Iterator[Result]:
    """Measures a model that distinguishes faces from other images."""
    count = len(dataset.test)
    show, wide = _renderers(generator, count)
    splits = {
        name: _split(images, name in FACES)
        for name, images in scrambled(show, wide, count, generator.fold)
    }
    validation = renderer(generator, "validation pairs", len(dataset.validation))
    validation = _split(validation.sham(), True)
    scores = {name: model.scores(split) for name, split in splits.items()}
    threshold = faces.face_threshold(model.scores(validation))
    detected = {name: score >= threshold for name, score in scores.items()}
    for name, split in splits.items():
        flags = ("no prediction is right",) if name == INVERTED else ()
        metric = _metric(name)
        if name != INTACT and same(split.images, splits[INTACT].images):
            metric = _as_control(metric)
        yield model.rate(metric, detected[name], split, condition=name, more_flags=flags)
    yield from _pairs(model, splits, scores)
    yield from _slide(model, show, generator.fold, threshold)
    if model.predict.has("reconstruction"):
        reconstruct = model.predict.field("reconstruction")
        errors = model.errors(validation, reconstruct)
        yield from _detection(model, reconstruct, errors, splits, detected)


def _metric(condition: str) -> Metric:
    """Chooses the metric of images classified as faces under a condition."""
    if condition == INVERTED:
        return CLASSIFIED_AS_A_FACE
    return TRUE_POSITIVE_RATE if condition in FACES else FALSE_POSITIVE_RATE


def _split(images: np.ndarray, are_faces: bool) -> Split:
    return Split(images, np.full(len(images), FACE if are_faces else OTHER, np.int32))


def _as_control(metric: Metric) -> Metric:
    return dataclasses.replace(metric, higher_is_better=None)


def _pairs(model: _Model, splits, scores) -> Iterator[Result]:
    """Compares faces with their own scrambles."""
    for name, faces_name in ((TRAINED, "sham"), (HELD_OUT, "sham"), (WIDE_HELD_OUT, WIDE)):
        pair, split = (scores[faces_name], scores[name]), splits[name]
        outcomes = auroc_outcomes(*pair)
        yield model.paired(AUROC, auroc, pair, split, condition=name, outcomes=outcomes, chance=0.5)
        yield model.paired(
            CONFIGURAL_EFFECT,
            lambda whole, scrambled: float(np.mean(whole - scrambled)),
            pair,
            split,
            condition=name,
            outcomes=pair[0] - pair[1],
        )
    for name in (TRAINED, HELD_OUT):
        three = (scores[INTACT], scores[name], scores["small move"])
        yield model.paired(SELECTIVITY, faces.selectivity, three, splits[name], condition=name)


def _slide(model: _Model, show, fold: int, threshold: float) -> Iterator[Result]:
    """Measures the slide of parts towards their slots in a scramble."""
    splits = [
        _split(images, strength == 0.0)
        for strength, images in zip(STRENGTHS, slides(show, fold), strict=True)
    ]
    curve = [model.scores(split) >= threshold for split in splits]
    for strength, split, hits in zip(STRENGTHS, splits, curve, strict=True):
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
        splits[-1],
        condition="displacement",
        more_flags=("never falls to half: the value is the end of the way",) if never else (),
    )


def _detection(model: _Model, reconstruct, intact, splits, detected) -> Iterator[Result]:
    """Measures the rejection of scrambles by their reconstruction error."""
    limit = float(np.quantile(intact, 1.0 - faces.MAX_MISSES))
    whole = model.errors(splits[INTACT], reconstruct)
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
            chance=0.5,
        )
    yield model.rate(FALSE_ALARM_RATE, whole > limit, splits[INTACT], condition=INTACT)


def scenes(dataset: Dataset, count: int) -> dict[str, np.ndarray]:
    """Renders a few test faces in every condition of the dataset's task; none for other images."""
    generator = dataset.generator
    if not isinstance(generator, Faces):
        return {}
    show, wide = _renderers(generator, count)
    if generator.task == "configuration":
        shown = dict(arranged(show, wide))
    else:
        shown = dict(scrambled(show, wide, count, generator.fold)) | {
            f"displacement, {strength:g} of the way": images
            for strength, images in zip(STRENGTHS, slides(show, generator.fold), strict=True)
        }
    return {name: images / np.float32(255.0) for name, images in shown.items()}
