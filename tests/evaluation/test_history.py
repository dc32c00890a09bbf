"""Records of the past are of the metrics, axes and definitions that suites have today."""

import dataclasses
import functools
import json

import pytest

from evaluation import suites
from evaluation.metrics import classification
from evaluation.perturbations.curve import Curve
from evaluation.results import earlier_schemas
from evaluation.results.pack import read_records
from evaluation.results.quantities import Axis, Metric
from evaluation.suites.accuracy import confusions, cost
from tests.conftest import ROOT
from tests.evaluation.suites.digits import constant, some_digits
from tests.evaluation.test_curves import DISTORTIONS

# The records are of definitions that suites have left: of the expected calibration error, which has
# a bias, and of corruptions that only resembled those of MNIST-C.
LEFT_METRICS = {Metric("calibration error", higher_is_better=False)}
LEFT_SUITES = {"corruptions"}


def members(value, kind):
    """All metrics, or axes, of a module, also those within tuples, dictionaries and curves."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from members(each, kind)
    elif isinstance(value, dict):
        yield from members(list(value.values()), kind)
    elif isinstance(value, Curve):
        yield from members(value.axis, kind)


def of_suite(name, kind):
    """Those of a suite's module; those of classification are any suite's."""
    modules = (suites.load(name), classification)
    return {
        member
        for module in modules
        for attribute, value in vars(module).items()
        if not attribute.startswith("__")
        for member in members(value, kind)
    }


def today(metric, suite, count):
    """True if a suite measures such a metric of so many images."""
    if suite == "confusions":
        return metric == dataclasses.replace(confusions.ERRORS, bounds=(0.0, float(count)))
    if suite == "cost":
        return metric == cost.metric(metric.name)
    return metric in of_suite(suite, Metric) | LEFT_METRICS


def whole(axis):
    """An axis without its parts, which change what is reported and not what is measured."""
    return axis and dataclasses.replace(axis, parts=())


@functools.cache
def stored():
    """All results of the studies, of today's and of earlier schemas."""
    folders = sorted(path for path in (ROOT / "results").iterdir() if path.is_dir())
    return [
        result
        for folder in folders
        if folder.name != "benchmarks"
        for record in read_records(folder)
        for result in record.results
    ]


def test_metrics_of_earlier_schemas_are_those_of_suites():
    everywhere = LEFT_METRICS.union(*(of_suite(name, Metric) for name in suites.names()))
    assert len(everywhere) > 25
    for (_, *suite), metric in earlier_schemas._METRICS.items():
        found = of_suite(suites.current(suite[0]), Metric) if suite else everywhere
        assert metric in found | LEFT_METRICS, (metric, suite)


def test_stored_results_have_the_metrics_of_their_suites():
    found = {(result.metric, result.suite, result.count) for result in stored()}
    assert len({suite for _, suite, _ in found}) > 20
    for metric, suite, count in found:
        assert today(metric, suite, count), (metric, suite)


def test_stored_results_have_the_axes_of_their_suites():
    found = {(result.axis, result.suite) for result in stored() if result.axis is not None}
    assert {suite for _, suite in found} > {"adversarial", "detection", "faces", "patch"}
    for axis, suite in found:
        if suite != "translation":  # whose axis is made with its curves, see below
            axes = of_suite(suite, Axis)
            assert axis in {*axes, *map(whole, axes)}, (axis, suite)


@pytest.mark.parametrize("name", sorted({*DISTORTIONS} - LEFT_SUITES))
def test_stored_results_are_defined_as_they_are_measured(name):
    """On digits of the size of those in the studies."""

    def facts(result):
        definition = json.dumps(result.definition, sort_keys=True)
        return result.metric, result.condition, whole(result.axis), result.strength, definition

    past = {facts(result) for result in stored() if result.suite == name}
    found = suites.run(suites.load(name), constant, some_digits(), batch_size=24)
    conditions = {condition for _, condition, *_ in past}
    known = {facts(result) for result in found if result.condition in conditions}
    assert known
    assert known <= past
