"""Prediction of image files by a trained model: lines of text or of JSON, and a picture."""

import json
import pathlib
import textwrap
from collections.abc import Iterator, Sequence

import numpy as np

from common.errors import printable
from evaluation.runner import Failures, say
from inference import image_files
from inference.trained_model import MAX_BATCH, Predictions, TrainedModel

_WIDTH = 100


def predict_files(
    model: TrainedModel,
    files: Sequence[str],
    *,
    run: str,
    as_json: bool = False,
    picture: pathlib.Path | None = None,
) -> Failures:
    """Prints the predictions for image files; what cannot be read is left for the end.

    Args:
        model: The model.
        files: Image files, as they were typed.
        run: Name of the model's run, for messages.
        as_json: Prints one JSON object a line in place of text.
        picture: PNG file that shows the first images as the model sees them; None for none.

    Returns:
        What could not be done.

    Raises:
        UserError: if the model takes no images of files.
    """
    image_files.check_takes_files(model, run)
    failures, shown = Failures(), None
    write = _json_line if as_json else _text
    for names, images in _batches(model, files, failures):
        found = model(images)
        for place, name in enumerate(names):
            print(write(model, name, found, place), flush=True)
        shown = (names, images) if shown is None else shown
    if picture is not None and shown is not None:
        # Importing matplotlib takes half a second, which most commands can do without.
        from inference.pictures import draw

        with failures.collect(f"--picture={picture}"):
            say(draw(picture, model, *shown))
    return failures


def _batches(
    model: TrainedModel, files: Sequence[str], failures: Failures
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Names and images, as many at a time as the model takes; at least one."""
    for start in range(0, len(files), MAX_BATCH):
        names, images = [], []
        for name in files[start : start + MAX_BATCH]:
            with failures.collect(""):
                images.append(image_files.read(pathlib.Path(name), model))
                names.append(name)
        if images:
            yield names, np.stack(images)


def _scores(model: TrainedModel, found: Predictions, place: int) -> list[dict[str, float]]:
    """Probabilities of an image by class, of each head that the model has."""
    heads = np.atleast_2d(found.probabilities[place])
    return [dict(zip(model.signature.names, head.tolist(), strict=True)) for head in heads]


def _json_line(model: TrainedModel, name: str, found: Predictions, place: int) -> str:
    scores = _scores(model, found, place)
    line = {
        "image": name,
        "class": found.classes[place],
        "label": found.labels[place].tolist(),
        "confidence": found.confidences[place].tolist(),
        "probabilities": scores[0] if len(scores) == 1 else scores,
    }
    if found.lengths is not None:
        lengths = found.lengths[place].tolist()
        line["lengths"] = dict(zip(model.signature.names, lengths, strict=True))
    return json.dumps(line, ensure_ascii=False)


def _text(model: TrainedModel, name: str, found: Predictions, place: int) -> str:
    """The image's class with its confidence, and below it all classes, the likeliest first."""
    lines = [f"{printable(name)}: {found.title(place)}"]
    what = "lengths of capsules" if found.are_lengths else "probabilities"
    for scores in _scores(model, found, place):
        best = sorted(scores, key=lambda each: -scores[each])
        each = ", ".join(f"{name}\xa0{scores[name]:.4f}" for name in best)
        lines += textwrap.wrap(
            f"{what}: {each}",
            _WIDTH,
            initial_indent="    ",
            subsequent_indent="        ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines).replace("\xa0", " ")
