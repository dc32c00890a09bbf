"""Accuracy over the number of training images.

    python -m evaluation.reports.learning_curves FOLDER

FOLDER has the records that `evaluate.py --out=FOLDER --suites=clean` leaves of networks that were
trained on different numbers of images, such as those of `--config few_examples`. Runs that differ
in their seed, in this number and in the batch, which may have no more images, are one network; its
accuracies are a curve, and curves are compared as those of any suite: the table is printed, and in
FOLDER/learning_curves lie a report and its figures.
"""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from common import commands
from common.errors import UserError
from common.files import expand, writable_folder
from evaluation.comparison.tables import tabulate
from evaluation.reports import write_report
from evaluation.reports.markdown import curve, title
from evaluation.results.pack import read_records
from evaluation.results.provenance import Provenance
from evaluation.results.quantities import Axis
from evaluation.results.result import Record, Result

SUITE = "few_examples"
# What may differ between the points of a curve; monitors only watch, and older runs name none.
_VARIED = ("seed", "batch_size", "monitors")
# Fields of an experiment, and of its parts, that older records do not have, as they then were.
_ADDED_WHOLE = {"continued_at": [], "init_from": ""}
_ADDED = {
    "dataset": {
        "fold": 0,
        "channels": 0,
        "split_seed": 0,
        "balanced": False,
        "memory_limit": 2.0,
    },
    "optimizer": {"weight_decay": 0.0},
}
# Parts whose fields older records have as those of the network: their types, and the names there.
_PARTS = {
    "routing": ("capsnet.DynamicRouting", "{}"),
    "decoder": ("cnn.DenseDecoder", "decoder_{}"),
}

Runs = dict[int, Record]
"""The runs of one network and seed, by the number of images."""


def learning_curves(records: Sequence[Record]) -> list[Record]:
    """The curve of each network and seed, in the place of a record for each of its runs.

    Args:
        records: Of any models and suites; only clean accuracies of runs on a known number of images
            count, and a network and seed that was trained on one number only is no curve.

    Returns:
        Records of the suite `few_examples` whose model is the network. All that may be compared
        have the same points, the numbers of images that all were trained on; where some have more,
        a flag says so.

    Raises:
        UserError: if no two numbers are common to all.
    """
    groups: dict[tuple, dict[tuple, Runs]] = {}
    for record in records:
        of = record.provenance
        if record.suite == "clean" and of.train_images and _is_described(of.experiment):
            group = groups.setdefault((of.dataset, of.data, of.checkpoint, of.limit), {})
            runs = group.setdefault((identity(of.experiment), of.seed), {})
            runs.setdefault(of.train_images, record)
    curves = [
        curve
        for group in groups.values()
        for curve in _of_group([runs for runs in group.values() if len(runs) > 1])
    ]
    if not curves:
        raise UserError(
            "a learning curve needs at least two numbers of training images, the same ones for "
            "every network and seed"
        )
    return curves


def summarise_learning_curves(folder: pathlib.Path) -> str:
    """The accuracy of every network at every number of training images, for a README.

    Args:
        folder: See `evaluation.results.pack.read_records`.
    """
    return summary(learning_curves(read_records(folder)))


def summary(curves: Sequence[Record]) -> str:
    """The tables of learning curves, as Markdown."""
    return "\n\n".join(
        "\n\n".join([title(table), *map(curve, table.rows)]) for table in tabulate(curves)
    )


def _is_described(experiment: Any) -> TypeGuard[Mapping[str, Any]]:
    """True if a record has its model's configuration, which one of a custom model has not."""
    parts = ("dataset", "model")
    return isinstance(experiment, dict) and all(isinstance(experiment.get(p), dict) for p in parts)


def identity(experiment: Mapping[str, Any]) -> str:
    """All that defines a training but what may differ between the points of a curve.

    Args:
        experiment: As a record has it; older ones name types by their modules, newer ones by the
            room and the type alone.
    """
    whole = {**_ADDED_WHOLE, **experiment}
    kept = {name: value for name, value in whole.items() if name not in _VARIED}
    dataset = {k: v for k, v in kept["dataset"].items() if k != "train_images"}
    kept |= {"dataset": _complete(dataset), "model": _flat(kept["model"])}
    parts = {
        part: added | kept[part]
        for part, added in _ADDED.items()
        if isinstance(kept.get(part), dict)
    }
    return json.dumps(_by_public_names(kept | parts), sort_keys=True)


def _complete(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset, and the source that it is rendered of, with the fields that older ones lack."""
    source = dataset.get("source")
    nested = {"source": _complete(source)} if isinstance(source, dict) else {}
    return {**_ADDED["dataset"], **dataset, **nested}


def _flat(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model with the fields of some parts among its own, as older records have them."""
    flat = dict(model)
    for name, (kind, field_name) in _PARTS.items():
        part = model.get(name)
        if isinstance(part, dict) and part.get("type") == kind:
            del flat[name]
            flat |= {field_name.format(k): v for k, v in part.items() if k != "type"}
    return flat


def _by_public_names(stored: Any) -> Any:
    if not isinstance(stored, dict):
        return stored
    public = {name: _by_public_names(value) for name, value in stored.items()}
    if isinstance(kind := stored.get("type"), str):
        public["type"] = f"{kind.partition('.')[0]}.{kind.rpartition('.')[2]}"
    return public


def _of_group(networks: list[Runs]) -> list[Record]:
    common = set.intersection(*map(set, networks)) if networks else set()
    if len(common) < 2:
        return []
    others = sorted(set.union(*map(set, networks)) - common)
    numbers = ", ".join(f"{count:,}" for count in others)
    flags = (f"not all were trained on {numbers} images: left out",) if others else ()
    return [_curve({count: runs[count] for count in sorted(common)}, flags) for runs in networks]


def _curve(runs: Runs, flags: tuple[str, ...]) -> Record:
    last = list(runs.values())[-1]
    points = [_point(result, count, flags) for count, run in runs.items() for result in run.results]
    network = dataclasses.replace(last.provenance, model=_network(last.provenance))
    return Record(SUITE, network, tuple(points), last.seconds)


def _network(of: Provenance) -> str:
    """The model's name without the number of training images that ends its configuration's."""
    configuration, _, rest = of.model.partition(" (")
    name = configuration.removesuffix(f",{of.train_images}")
    return f"{name} ({rest}" if rest else name


def _point(result: Result, count: int, flags: tuple[str, ...]) -> Result:
    return dataclasses.replace(
        result,
        suite=SUITE,
        strength=float(count),
        axis=Axis("training images", log=True),
        flags=(*result.flags, *flags),
    )


def main(arguments: Sequence[str]) -> None:
    """Writes the report of a folder's records."""
    if len(arguments) != 2:
        raise UserError("name one folder: python -m evaluation.reports.learning_curves FOLDER")
    folder = expand(arguments[1], "FOLDER")
    curves = learning_curves(read_records(folder))
    print(summary(curves))
    out = writable_folder(folder / "learning_curves", "FOLDER")
    write_report(curves, out, examples={})
    print(f"wrote {out / 'report.html'}")


if __name__ == "__main__":
    commands.run(main)
