"""Records of schemas 1 and 2, in which values that are types now travelled as text.

A metric was a name and a unit, what is drawn was numbers by names that said which, an axis had its
unit behind a comma, and what only reports needed stood among what defines a result. Suites and
metrics have the names of today.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.stored import Kinds, Nothing, Number, check_fields, check_numbers, check_object
from evaluation.results.artifacts import Images
from evaluation.results.earlier_details import take_artifacts
from evaluation.results.provenance import Checkpoint, Provenance
from evaluation.results.quantities import RATE, Axis, Detail, Metric
from evaluation.results.result import Record, Result
from evaluation.statistics.intervals import ANY, NOT_NEGATIVE, SHARE, Limits

SUITES: dict[str, str] = {
    "light": "brightness_and_contrast",
    "stickers": "localized_attack",
    "data_card": "object_statistics",
    "causes": "layer_equivariance",
}
"""Suites that were renamed: the name of today by the earlier one."""

_FACES = ("intact", "sham", "eye swap", "small move", "wide poses")
_FOOLED, _UNSEEN = "fooled rate", "fooled and undetected"
_SEEN, _AUROC = "detected by reconstruction", "AUROC of reconstruction"
# The metric of today by the earlier name, with the suite and the condition where they decide.
_METRICS: dict[tuple[str, ...], Metric] = {
    ("accuracy",): Metric("accuracy", RATE, True),
    ("robust accuracy",): Metric("robust accuracy", RATE, True),
    ("calibration error",): Metric("calibration error", RATE, False),
    ("energy above Nyquist",): Metric("energy above Nyquist", RATE, False),
    ("lack of equivariance",): Metric("equivariance error", "of the map", False, NOT_NEGATIVE),
    ("lack of invariance",): Metric("invariance error", "of a random pair", None, NOT_NEGATIVE),
    ("lack of shiftability",): Metric("shiftability error", "of the sums", False, NOT_NEGATIVE),
    ("AUROC",): Metric("AUROC", RATE, True),
    (_AUROC,): Metric("AUROC of reconstruction error", RATE, True),
    (_SEEN,): Metric("detection rate", RATE, True),
    (_SEEN, "faces", "intact"): Metric("false alarm rate", RATE, False),
    ("false alarm rate",): Metric("false alarm rate", RATE, False),
    (_UNSEEN, "detection"): Metric("undetected attack success rate", RATE, False),
    (_FOOLED, "detection"): Metric("attack success rate", RATE, False),
    (_UNSEEN, "faces"): Metric("undetected false-positive rate", RATE, False),
    (_FOOLED, "faces"): Metric("false-positive rate", RATE, False),
    ("called a face",): Metric("classified as a face", RATE),
    **{
        ("called a face", "faces", condition): Metric("classified as a face", RATE, True)
        for condition in _FACES
    },
    ("configural effect",): Metric("configural effect", "of score"),
    ("selectivity",): Metric("selectivity", "times", None, NOT_NEGATIVE),
    ("t50",): Metric("t50", "of the way", None, SHARE),
    ("fooled into the target class",): Metric("targeted attack success rate", RATE, False),
    ("R2",): Metric("R2", "", True, (-math.inf, 1.0)),
    ("R2 within classes",): Metric("R2 within classes", "", True, (-math.inf, 1.0)),
    ("answers changed",): Metric("predictions changed", RATE),
    ("answers changed", "selectivity", "small map"): Metric("predictions changed", RATE, False),
    ("change of the probabilities",): Metric("change of the probabilities", RATE),
    ("change of the probabilities", "selectivity", "small map"): Metric(
        "change of the probabilities", RATE, False
    ),
    ("distance of windows",): Metric("distance of windows", "of the map", False, NOT_NEGATIVE),
    ("consistency",): Metric("consistency", RATE, True),
    ("flip probability",): Metric("flip probability", RATE, False),
    ("jaggedness",): Metric("jaggedness", "flips/image", False, NOT_NEGATIVE),
    ("distance from the mean place",): Metric(
        "distance from the mean place", "px", None, NOT_NEGATIVE
    ),
    ("found",): Metric("found", RATE, True),
    ("median error",): Metric("median error", "px", False, NOT_NEGATIVE),
}
# Conditions, axes, details and parts of definitions that have other words today.
_CONDITIONS = {
    ("detection", "PGD that knows the detector"): "adaptive PGD",
    ("stickers", "stickers"): "squares",
    ("stickers", "stickers of noise"): "squares of noise",
}
_AXES = {"area of all stickers": "area of all squares"}
_DETAILS = {"of those that fool": "of the successful ones"}
_DEFINITIONS: dict[tuple[str, Any], tuple[str, Any]] = {
    ("stickers", "4 squares"): ("mask", "4 squares"),
    ("glasses", "where eyes belong, and 2 pixels between"): (
        "mask",
        "where eyes belong, and 2 pixels between",
    ),
    ("kept", "the nearest to its painting that fools"): (
        "kept",
        "the one of least reconstruction error that fools",
    ),
}
# Details that are not in the unit of their metric.
_UNITS = {
    ("jaggedness", "flips for each step"): RATE,
    ("jaggedness", "jump of the true class's probability"): RATE,
    ("jaggedness", "accuracy over all steps"): RATE,
    ("distance of windows", "share of places that differ"): RATE,
    ("accuracy", "median distance"): "standard deviations",
}
# What only reports read of the parameters; "strengths" is what the results of a curve have.
_SWITCHES = ("strengths", "identity", "headline", "scale", "chance")
_MATCHED = re.compile(r"(\d{1,3}\.\d\d) % on validation")

_RESULT: dict[str, Kinds] = {
    **dict.fromkeys(("suite", "metric", "interval_method", "data_checksum"), str),
    **dict.fromkeys(("unit", "condition", "axis"), str),
    "value": Number,
    "interval": list,
    "count": int,
    "details": dict,
    "strength": (*Number, Nothing),
    "parameters": dict,
    "flags": list,
}
# Which schema 1 did not have.
_OPTIONAL = ("unit", "condition", "axis", "details", "strength", "parameters", "flags")


def current(suite: str) -> str:
    """Today's name of a suite."""
    return SUITES.get(suite, suite)


def record_from_earlier(stored: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Record:
    """A record of schema 2.

    Args:
        stored: From JSON: facts, and results.
        arrays: Outcomes by the result's number, and pictures by the number and what they show.

    Raises:
        KeyError: if something is missing.
        TypeError: if something is of another type.
        ValueError: if something has a value that cannot be.
    """
    facts = {
        name: stored[name]
        for name in (field.name for field in dataclasses.fields(Provenance))
        if name != "checkpoint" and name in stored
    }
    check_fields(
        stored,
        {
            **dict.fromkeys(("suite", "run", "name", "model", "dataset", "checkpoint"), str),
            "environment": dict,
            "seconds": Number,
            "results": list,
        },
        optional=("name",),
    )
    facts.setdefault("name", stored["model"])
    return Record(
        current(stored["suite"]),
        Provenance(**{**facts, "checkpoint": _checkpoint(stored["checkpoint"])}),
        tuple(
            result_from_earlier(result, _of_number(arrays, number))
            for number, result in enumerate(stored["results"])
        ),
        stored["seconds"],
    )


def _checkpoint(text: str) -> Checkpoint:
    matched = _MATCHED.fullmatch(text)
    return (
        Checkpoint.first_past(round(float(matched[1]) / 100.0, 6)) if matched else Checkpoint(text)
    )


def _of_number(arrays: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """Outcomes under an empty name, and pictures by what they show."""
    found = {}
    for name, array in arrays.items():
        start, _, shows = name.partition(" ")
        if start == str(number):
            found[shows] = array
    return found


def result_from_earlier(stored: Any, arrays: Mapping[str, np.ndarray] | None = None) -> Result:
    """A result of schema 1 or 2.

    Args:
        stored: From JSON.
        arrays: Outcomes under an empty name, and pictures by what they show.

    Raises:
        KeyError: as `record_from_earlier`, like the others.
        TypeError: see there.
        ValueError: see there.
    """
    check_object(stored, _RESULT, "a result", _OPTIONAL)
    suite, condition = stored["suite"], stored.get("condition", "")
    details = dict(stored.get("details", {}))
    check_numbers(details.values(), f"a detail of {stored['metric']}")
    arrays = dict(arrays or {})
    outcomes = arrays.pop("", None)
    parameters = stored.get("parameters", {})
    drawn = take_artifacts(details)
    for label, levels in arrays.items():
        now = label.replace("stickers", "squares") if suite == "stickers" else label
        drawn.append(Images.from_arrays(now, {"images": levels}))
    metric = _metric(stored)
    return Result(
        suite=current(suite),
        metric=metric,
        value=stored["value"],
        interval=_interval(stored["interval"]),
        interval_method=stored["interval_method"],
        count=stored["count"],
        data_checksum=stored["data_checksum"],
        details={
            str(_DETAILS.get(name, name)): Detail(
                value, _UNITS.get((stored["metric"], name), metric.unit)
            )
            for name, value in details.items()
        },
        condition=str(_CONDITIONS.get((suite, condition), condition)),
        axis=_axis(stored.get("axis", ""), stored.get("strength"), parameters, condition),
        strength=stored.get("strength"),
        definition=_definition(parameters),
        chance=parameters.get("chance"),
        flags=tuple(stored.get("flags", ())),
        outcomes=outcomes,
        artifacts=tuple(drawn),
    )


def _interval(stored: list[Any]) -> tuple[float, float]:
    low, high = stored
    return low, high


def _metric(stored: Mapping[str, Any]) -> Metric:
    """The metric of today, or for that of a custom suite what its name used to say."""
    name, unit = stored["metric"], stored.get("unit", RATE)
    if stored["suite"] == "cost":
        return Metric(name, unit, "images/s" in name, NOT_NEGATIVE)
    if stored["suite"] == "confusions":
        return Metric(name, unit, False, (0.0, float(stored["count"])))
    for key in (
        (name, stored["suite"], stored.get("condition", "")),
        (name, stored["suite"]),
        (name,),
    ):
        if key in _METRICS and _METRICS[key].unit == unit:
            return _METRICS[key]
    better = True if "accuracy" in name else False if "error" in name or "fooled" in name else None
    return Metric(name, unit, better, _bounds(name, unit, stored["count"]))


def _bounds(name: str, unit: str, count: int) -> Limits | None:
    if unit == "images":
        return 0.0, float(count)
    if unit in ("share", "of the way"):
        return SHARE
    units = ("parameters", "images/s", "s", "MB", "FLOPs/image", "px", "flips/image", "times")
    units += ("of the sums", "of the map", "of a random pair")
    if unit in units or (unit != RATE and name.endswith("error")):
        return NOT_NEGATIVE
    return None if unit == RATE else ANY


def _axis(
    text: str, strength: float | None, parameters: Mapping[str, Any], condition: str
) -> Axis | None:
    if not text and strength is None:
        return None
    name, _, unit = text.partition(", ")
    if condition == "displacement":  # of which some records did not say that 0 is the identity
        parameters = {"identity": 0.0, **parameters}
    return Axis(
        _AXES.get(name, name) or "strength",
        unit,
        log=parameters.get("scale") == "logarithmic",
        identity=parameters.get("identity"),
        headline=parameters.get("headline"),
    )


def _definition(parameters: Mapping[str, Any]) -> dict[str, Any]:
    kept = [(name, value) for name, value in parameters.items() if name not in _SWITCHES]
    return dict(
        _DEFINITIONS.get((name, value), (name, value)) if isinstance(value, str) else (name, value)
        for name, value in kept
    )
