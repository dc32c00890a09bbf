"""Image files as a trained model takes them: its size, its channels, its frame."""

import pathlib

import numpy as np

from common.errors import UserError
from data.sources.decoding import decoder_warnings, read_image
from data.sources.resizing import frame, middle_part
from inference.trained_model import TrainedModel


def check_takes_files(model: TrainedModel, name: str) -> None:
    """Raises a `UserError` if a model takes what no image file holds.

    Args:
        model: The model.
        name: Of its run, for the message.
    """
    shape = model.signature.image_shape
    if len(shape) != 3 or shape[-1] not in (1, 3):
        kind = f"images of {shape[-1]} channels" if len(shape) == 3 else "volumes"
        raise UserError(
            f"{name}: its model takes {kind}, {'x'.join(map(str, shape))}, which no image file is; "
            "give it arrays, with inference.load_model"
        )


def read(path: pathlib.Path, model: TrainedModel) -> np.ndarray:
    """An image file, brought to a model's size and channels.

    The largest part in its middle that has the model's proportions is resized, as folders of
    images are for training; where the training images were then framed by blank pixels
    (`dataset.pad`), so is this one, unless it has the model's size already. Light and dark stay as
    they are.

    Args:
        path: The file; see `data.sources.decoding.read_image`.
        model: The model, which `check_takes_files`.

    Returns:
        `[height, width, channels]`, uint8.

    Raises:
        UserError: if it is no image that can be read.
    """
    if not path.exists():
        raise UserError(f"{path}: there is no such file")
    with decoder_warnings():
        return fit(read_image(path, model.signature.image_shape[-1]), model)


def fit(image: np.ndarray, model: TrainedModel) -> np.ndarray:
    """An image brought to a model's size, as `read` does; it has the model's channels.

    Args:
        image: `[height, width, channels]`, uint8.
        model: The model.
    """
    height, width, _ = model.signature.image_shape
    pad = getattr(model.experiment.dataset, "pad", 0)
    if image.shape[:2] == (height, width) or min(height, width) <= 2 * pad:
        pad = 0
    part = middle_part(image, (height - 2 * pad, width - 2 * pad))
    return frame(part[None], pad)[0]
