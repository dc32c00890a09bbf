"""Records of made-up models whose right comparison is known."""

import dataclasses

import numpy as np

from data.dataset import Split
from evaluation.metrics.classification import ACCURACY
from evaluation.results.provenance import Checkpoint, Provenance
from evaluation.results.quantities import Axis, Metric
from evaluation.results.result import Record, Result, rate
from evaluation.results.store import RecordStore

COUNT = 200
SPLIT = Split(np.zeros((COUNT, 2, 2, 1), np.uint8), np.zeros(COUNT, np.int32))
ANGLES = (-90.0, 0.0, 90.0)
LAST = Checkpoint()


def hits(share, seed=0):
    """Outcomes of which exactly a share are hits: the easiest images, but for a few of the seed."""
    outcomes = np.arange(COUNT) < round(share * COUNT)
    return np.roll(outcomes, seed)


def clean(share, seed=0, **facts):
    return rate("clean", ACCURACY, hits(share, seed), SPLIT, **facts)


def rotation(shares, seed=0, headline=None, **facts):
    """A curve over the angles; at the identity everything is right."""
    return [
        rate(
            "rotation",
            ACCURACY,
            hits(share, seed),
            SPLIT,
            strength=angle,
            axis=Axis("angle", "degrees", identity=0.0, headline=headline),
            **facts,
        )
        for angle, share in zip(ANGLES, shares, strict=True)
    ]


def number(suite, metric, value, unit, bounds=None, **facts):
    """A value that is no mean over images."""
    return Result(
        suite=suite,
        metric=Metric(metric, unit, bounds=bounds),
        value=value,
        interval=facts.pop("interval", (value, value)),
        interval_method="order statistics 95 %",
        count=COUNT,
        data_checksum=SPLIT.checksum,
        **facts,
    )


def record(model, results, seed: int | None = 0, checkpoint=LAST, suite=None, **known):
    results = results if isinstance(results, list) else [results]
    provenance = Provenance(
        **{
            "run": model if seed is None else f"{model}_seed{seed}",
            "name": model,
            "model": model,
            "seed": seed,
            "checkpoint": checkpoint,
            "step": 1000,
            "weights": f"weights of {model} {seed}",
            "parameters": 12345,
            "dataset": "mnist",
            "data": "checksum of the data",
            "environment": {"device": "a CPU", "python": "3.11", "versions": {"jax": "0.10.2"}},
            "experiment": {},
            **known,
        }
    )
    return Record(suite or results[0].suite, provenance, tuple(results), 1.5)


def write(folder, records):
    """Leaves records as `evaluate.py --out` does."""
    store = RecordStore(folder)
    for each in records:
        store.write(each)


def three_seeds(model, share, **facts):
    """Three trainings that differ by a single image and a half point."""
    return [
        record(model, clean(share + 0.005 * seed, seed), seed=seed, **facts) for seed in range(3)
    ]


def with_flag(result, flag):
    return dataclasses.replace(result, flags=(flag,))
