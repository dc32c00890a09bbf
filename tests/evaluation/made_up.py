"""Records of made-up models whose right comparison is known."""

import dataclasses

import numpy as np

from data.dataset import Split
from evaluation.results.result import Result, rate
from evaluation.results.store import Record

COUNT = 200
SPLIT = Split(np.zeros((COUNT, 2, 2, 1), np.uint8), np.zeros(COUNT, np.int32))
ANGLES = (-90.0, 0.0, 90.0)


def hits(share, seed=0):
    """Outcomes of which exactly a share are hits: the easiest images, but for a few of the seed."""
    outcomes = np.arange(COUNT) < round(share * COUNT)
    return np.roll(outcomes, seed)


def clean(share, seed=0, **facts):
    return rate("clean", "accuracy", hits(share, seed), SPLIT, **facts)


def rotation(shares, seed=0, **facts):
    """A curve over the angles; at the identity everything is right."""
    parameters = {"identity": 0.0, **facts.pop("parameters", {})}
    return [
        rate(
            "rotation",
            "accuracy",
            hits(share, seed),
            SPLIT,
            strength=angle,
            axis="angle, degrees",
            parameters=parameters,
            **facts,
        )
        for angle, share in zip(ANGLES, shares, strict=True)
    ]


def number(suite, metric, value, unit, **facts):
    """A value that is no mean over images."""
    return Result(
        suite=suite,
        metric=metric,
        value=value,
        interval=facts.pop("interval", (value, value)),
        interval_method="order statistics 95 %",
        count=COUNT,
        data_checksum=SPLIT.checksum,
        unit=unit,
        **facts,
    )


def record(model, results, seed: int | None = 0, checkpoint="last", **facts):
    results = results if isinstance(results, list) else [results]
    return Record(
        {
            "suite": results[0].suite,
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
            "limit": 0,
            "environment": {"device": "a CPU", "python": "3.11", "versions": {"jax": "0.10.2"}},
            "experiment": {},
            "seconds": 1.5,
            **facts,
        },
        tuple(results),
    )


def three_seeds(model, share, **facts):
    """Three trainings that differ by a single image and a half point."""
    return [
        record(model, clean(share + 0.005 * seed, seed), seed=seed, **facts) for seed in range(3)
    ]


def with_flag(result, flag):
    return dataclasses.replace(result, flags=(flag,))
