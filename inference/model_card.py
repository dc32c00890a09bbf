"""The model card of an export: what a network was trained on, how well it does, how to load it."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax

from common.errors import printable
from common.tables import code, markdown_table
from evaluation.results.result import show_interval, show_value
from evaluation.results.schema import results_from_json
from inference.restore import RestoredRun
from inference.subjects import train_images
from training.config_types import to_json

_MEANINGS = {
    "logits": "log-probabilities up to a constant; the largest is the prediction",
    "probabilities": "confidences of the classes, in [0, 1]",
    "lengths": "lengths of the class capsules, in [0, 1)",
    "poses": "the class capsules",
    "features": "what the prediction is read from",
    "reconstruction": "the image as the predicted class reconstructs it, in (0, 1)",
    "warped_images": "what each spatial transformer at the input made of the image",
    "grids": "where its pixels were read: (x, y) in [-1, 1] from edge to edge of the image",
}

_LOADING = """\
`weights.safetensors` is the master copy: the parameters that evaluations use and the batch
statistics, as little-endian arrays by name.

```python
from safetensors.numpy import load_file

weights = load_file("weights.safetensors")
```

In a checkout of the project this folder takes the place of a run: `python predict.py FOLDER IMAGE`,
`python evaluate.py FOLDER`, `python train.py --config NAME --init_from=FOLDER`."""

_LOADING_PROGRAM = """

`forward.stablehlo` is the forward pass with these weights, for any number of images, lowered for
CPUs, NVIDIA GPUs and TPUs. It needs `pip install jax flatbuffers` and no code of the project:

```python
import jax

with open("forward.stablehlo", "rb") as file:
    forward = jax.export.deserialize(bytearray(file.read()))
outputs = forward.call(images)  # a dictionary by the names above
```

Such files are promised to load for about six months; this one was written by jax {version}. After
that, export the run once more, or build the network of `config.json` and load its weights."""

_LOADING_ONNX = """

`model.onnx` is the same forward pass for `pip install onnxruntime` and others that read ONNX:

```python
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
names = [each.name for each in session.get_outputs()]
outputs = dict(zip(names, session.run(None, {"images": images})))
```"""

_NOT_TOLD = """\
- Nothing above was measured on images of another kind, on distorted or shifted ones, or under
  attack; `evaluate.py` measures these on the run itself.
- The interval is of the test images alone. Another seed would have led to another network, by
  which accuracy varies too.
- Every image gets one of the classes, also one that shows none of them.
- The probabilities are those of the network; nothing here says whether they are calibrated.
- How well the network does for groups of images within a class was not looked at."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """The run and the outputs of an export.

    Attributes:
        run: At the checkpoint that is exported.
        record: The run's final record; None while it is not complete.
        outputs: Shapes of the outputs, by name; the first size is "batch".
        program: Whether there is the forward pass.
        onnx: Whether there is an ONNX model.
    """

    run: RestoredRun
    record: Mapping[str, Any] | None
    outputs: Mapping[str, tuple[str | int, ...]]
    program: bool = True
    onnx: bool = False


def model_card(exported: Exported, weights: Mapping[str, Sequence[int]]) -> str:
    """Writes the card in Markdown.

    Args:
        exported: What it is of.
        weights: Shapes of the weights, by name.
    """
    run = exported.run
    sections = {
        f"# {code(run.name)}": "\n".join(_introduction(run)),
        "## Training": markdown_table(list(_training(exported))),
        "## Accuracy": "\n\n".join(_accuracy(exported)),
        "## Images": "\n\n".join(_images(exported)),
        "## Outputs": markdown_table(list(_outputs(exported))),
        "## Files": _files(exported),
        "## Weights": markdown_table(
            [{"name": code(name), "shape": _shape(shape)} for name, shape in weights.items()]
        ),
        "## What this card does not tell": _NOT_TOLD,
        "## Licence": _licence(run),
    }
    return "\n\n".join(f"{title}\n\n{text}" for title, text in sections.items()) + "\n"


def _files(exported: Exported) -> str:
    program = _LOADING_PROGRAM.format(version=jax.__version__)
    return _LOADING + program * exported.program + _LOADING_ONNX * exported.onnx


def _introduction(run: RestoredRun) -> Iterator[str]:
    dataset = run.setup.dataset
    yield f"A classifier of the {dataset.num_classes} classes of {code(dataset.name)}, trained by"
    yield "the project capsnet-stn (capsule networks and spatial transformers in JAX)."
    if dataset.labels_per_image > 1:
        yield f"Each image shows {dataset.labels_per_image} objects with a label of their own."


def _training(exported: Exported) -> Iterator[dict[str, str]]:
    run = exported.run
    experiment, dataset = run.setup.experiment, run.setup.dataset
    count = train_images(experiment, dataset)
    images = "images that are rendered anew for every batch" if count is None else f"{count:,}"
    facts = {
        "configuration": code(run.name),
        "network": f"{code(to_json(experiment.model)['type'])}, "
        f"{run.state.num_parameters:,} parameters",
        "dataset": code(dataset.name),
        "training images": images,
        "steps": f"{run.step:,} of {experiment.steps:,}, of {experiment.batch_size:,} images each",
        "seed": str(experiment.seed),
        "weights": f"checksum {run.weights}"
        + (f", averages over steps (decay {experiment.ema_decay:g})" * bool(experiment.ema_decay)),
        "source revision": str(_environment(exported).get("git_revision") or "not known"),
        "all settings": "`experiment` in `config.json`",
    }
    for name, value in facts.items():
        yield {"": name, "value": value}


def _environment(exported: Exported) -> Mapping[str, Any]:
    environment = (exported.record or {}).get("environment")
    return environment if isinstance(environment, dict) else {}


def _accuracy(exported: Exported) -> Iterator[str]:
    run, record = exported.run, exported.record
    if record is None:
        yield "The run was not complete, and nothing was measured on its test images."
        return
    if record["step"] != run.step:
        yield (
            f"These weights, of step {run.step:,}, were not measured on test images; those of step "
            f"{record['step']:,}, the last of the run, were:"
        )
    results = results_from_json(record)
    if not results:
        yield "Nothing was measured on test images."
        return
    yield markdown_table(
        [
            {
                "suite": " ".join(filter(None, (result.suite, result.condition))),
                "metric": result.metric.name,
                "value": show_value(result.value, result.metric.unit),
                "interval": show_interval(result.interval, result.metric.unit),
                "method": result.interval_method,
                "test images": f"{result.count:,}",
            }
            for result in results
        ]
    )


def _images(exported: Exported) -> Iterator[str]:
    dataset = exported.run.setup.dataset
    axes = ("depth", "height", "width", "channels")[-len(dataset.image_shape) :]
    yield (
        f"`images`: float32 `{_shape(('batch', *dataset.image_shape))}` ({', '.join(axes)} of each "
        "image), grey levels or colours from 0 to 1: bytes divided by 255, and nothing else."
    )
    notes = [f"- {printable(note)}" for note in (*dataset.notes, dataset.imbalance) if note]
    if notes:
        yield "\n".join(["In training:", "", *notes])
    if dataset.class_names:
        names = [
            {"class": str(label), "name": code(name)}
            for label, name in enumerate(dataset.class_names)
        ]
        yield markdown_table(names)
    else:
        yield f"Classes are the numbers from 0 to {dataset.num_classes - 1}."


def _outputs(exported: Exported) -> Iterator[dict[str, str]]:
    for name, shape in exported.outputs.items():
        yield {"name": code(name), "shape": _shape(shape), "meaning": _MEANINGS[name]}


def _licence(run: RestoredRun) -> str:
    return (
        "The project, and with it these files, is under the Apache License, version 2.0. The "
        f"weights were learnt from images of {code(run.setup.dataset.name)}, which have a licence "
        "of their own; whether it binds what is learnt from them is for you to find out."
    )


def _shape(sizes: Sequence[str | int]) -> str:
    return f"[{', '.join(map(str, sizes))}]"
