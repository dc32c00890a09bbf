"""Lines that it takes to add a kind of figure, a metric and a suite, by examples that work."""

import dataclasses
import inspect
import types

import numpy as np
from matplotlib.figure import Figure

from evaluation import suites
from evaluation.comparison.contrasts import Outcome
from evaluation.comparison.tables import Stated, tabulate
from evaluation.reports import write_report
from evaluation.reports.figures.artifacts import Planned, figure_of
from evaluation.results.artifacts import Artifact
from evaluation.results.pack import read_records, write_records
from evaluation.results.quantities import Metric
from tests.evaluation.made_up import clean, record
from tests.evaluation.test_suites import DATASET, perfect


@dataclasses.dataclass(frozen=True, eq=False)
class Spectrum(Artifact):
    power: np.ndarray


@figure_of.register
def draw_spectra(artifact: Spectrum, of_models, row, styles):
    def draw():
        figure = Figure()
        for model, (spectrum, *_) in of_models.items():
            figure.subplots().plot(spectrum.power, color=styles[model].colour)
        return figure

    return Planned(f"{row.suite}: power over frequency", draw)


def lines(*things):
    return sum(len(inspect.getsource(thing).rstrip().splitlines()) for thing in things)


def with_spectrum(model, power, seed):
    return record(model, clean(0.5, artifacts=(Spectrum(power, label="x"),)), seed=seed)


def test_a_kind_of_figure_is_a_class_and_a_function(tmp_path):
    assert lines(Spectrum, draw_spectra) <= 15
    power = np.arange(4.0)
    records = [with_spectrum("net", power * seed, seed) for seed in (1, 3)]
    write_records(records, tmp_path / "study")
    found = read_records(tmp_path / "study")
    (artifact,) = found[0].results[0].artifacts
    assert isinstance(artifact, Spectrum)
    (table,) = tabulate(found)
    (mean,) = table.rows[0].headlines["net"].artifacts
    np.testing.assert_array_equal(mean.power, 2.0 * power)
    write_report(found, tmp_path / "report", examples={})
    names = [path.name for path in (tmp_path / "report" / "figures").iterdir()]
    assert any("power_over_frequency" in name for name in names)


def test_a_metric_is_a_line():
    depth = Metric("depth of field", "layers", higher_is_better=False)
    deep, flat = (
        [
            record(name, dataclasses.replace(clean(share, seed), metric=depth), seed=seed)
            for seed in range(3)
        ]
        for name, share in (("deep", 0.9), ("flat", 0.2))
    )
    (table,) = tabulate([*deep, *flat], Stated())
    (verdict,) = table.verdicts
    assert (verdict.first, verdict.row.metric) == ("deep", depth)
    assert verdict.outcome is Outcome.WORSE


SUITE = '''
"""Accuracy on the images of even labels."""

import numpy as np

from evaluation.metrics.classification import ACCURACY
from evaluation.model import predict_split
from evaluation.results.result import rate


def evaluate(predict, dataset, *, batch_size):
    found = predict_split(predict, dataset.test, "logits", batch_size=batch_size, name="even")
    hits = np.argmax(found["logits"], axis=-1) == dataset.test.labels
    return rate("even", ACCURACY, hits, dataset.test)
'''


def test_a_suite_is_a_file():
    module = types.ModuleType("even")
    exec(SUITE, module.__dict__)
    assert len(SUITE.strip().splitlines()) <= 15
    (result,) = suites.run(module, perfect, DATASET, batch_size=8)
    assert result.value == 1.0
