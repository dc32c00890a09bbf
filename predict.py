"""Predicts image files by a trained run: `python predict.py runs/capsnet_mnist seven.png`.

Prints the class of each image, its confidence and those of all classes, by name; with `--json` one
JSON object a line, and with `--picture=OUT.png` it draws what the model sees of the first images.
An image of another size or of other channels is brought to those of the model: its middle is
resized. What cannot be read is named, and the rest goes on.
"""

import sys
from pathlib import Path

from common import commands

if __name__ == "__main__":
    commands.begin("-h", "--h", stream=sys.stderr)

from collections.abc import Sequence

import configs
from evaluation.runner import say
from inference import load_model
from inference.predict import predict_files
from training import process
from training.run.finding import locate


def main(arguments: Sequence[str]) -> None:
    """Predicts every image that the command line names."""
    process.set_up()
    request = configs.parse_prediction(arguments, __doc__ or "")
    count = len(request.images)
    say(f"{request.run}: reading its checkpoint, to predict {count} image{'s' * (count > 1)}")
    model = load_model(
        locate(request.run, "RUN"),
        checkpoint=request.checkpoint,
        data_dir=request.data_dir,
        configurations=request.load,
    )
    say(f"{request.run}: {model.describe()}")
    failures = predict_files(
        model,
        request.images,
        run=Path(request.run).name,
        as_json=request.as_json,
        picture=request.picture,
    )
    failures.end()


if __name__ == "__main__":
    commands.run(main)
