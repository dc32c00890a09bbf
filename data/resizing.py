"""Bringing images of many sizes to one."""

import numpy as np
import PIL.Image


def middle_square(image: np.ndarray, size: int) -> np.ndarray:
    """The largest square in the middle of an image, resized by Pillow's bilinear filter.

    The filter widens where it shrinks, so that fine patterns are averaged and do not alias.

    Args:
        image: `[height, width, channels]`, uint8; an odd pixel is cut off the right or the bottom.
        size: Height and width of the result, in pixels.

    Returns:
        `[size, size, channels]`, uint8.
    """
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = image[top : top + side, left : left + side]
    channels = [
        PIL.Image.fromarray(square[..., channel]).resize(
            (size, size), PIL.Image.Resampling.BILINEAR
        )
        for channel in range(image.shape[-1])
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def middle_squares(images: np.ndarray, size: int) -> np.ndarray:
    """`middle_square` of each of several images; a size of 0 leaves them as they are."""
    if not size or not len(images):
        return images
    return np.stack([middle_square(image, size) for image in images])


def frame(images: np.ndarray, width: int) -> np.ndarray:
    """Images with so many blank pixels more on each of their sides."""
    if not width:
        return images
    return np.pad(images, ((0, 0), (width, width), (width, width), (0, 0)))
