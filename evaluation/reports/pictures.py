"""Sample images as PNG, small enough to lie inside a page."""

import base64
import io

import numpy as np
from PIL import Image

from common.errors import UserError

_GAP = 2


def strip(images: np.ndarray) -> str:
    """Images side by side, as a data URI.

    Args:
        images: `[count, height, width, channels]`, in [0, 1]; several channels are shown below each
            other in grey unless they are three.
    """
    images = np.asarray(images)
    if images.ndim != 4 or not images.size:
        raise UserError(f"pictures of shape {images.shape} cannot be shown")
    if images.shape[-1] != 3:
        images = np.concatenate(np.split(images, images.shape[-1], axis=-1), axis=1)
    count, height, width, channels = images.shape
    canvas = np.full((height, count * (width + _GAP) - _GAP, channels), 0.5)
    for k, image in enumerate(images):
        canvas[:, k * (width + _GAP) :][:, :width] = image
    levels = np.round(255.0 * np.clip(canvas, 0.0, 1.0)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(levels.squeeze(-1) if channels == 1 else levels).save(buffer, "PNG")
    return data_uri("image/png", buffer.getvalue())


def data_uri(kind: str, content: bytes) -> str:
    """Content that needs no file and no network."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
