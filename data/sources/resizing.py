"""Bringing images of many sizes to one."""

import numpy as np
import PIL.Image

from data.memory import check_fits


def middle_square(image: np.ndarray, size: int) -> np.ndarray:
    """The largest square in the middle of an image, resized; see `middle_part`."""
    return middle_part(image, (size, size))


def middle_part(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest part in the middle of an image of a size's shape, by Pillow's bilinear filter.

    The filter widens where it shrinks, so that fine patterns are averaged and do not alias.

    Args:
        image: `[height, width, channels]`, uint8; an odd pixel is cut off the right or the bottom.
        size: Height and width of the result, in pixels; at least 1.

    Returns:
        `[*size, channels]`, uint8; the image itself if it is of this size.

    Raises:
        ValueError: if the image or the size is of another kind.
    """
    if image.ndim != 3 or image.dtype != np.uint8 or 0 in image.shape or min(size) < 1:
        raise ValueError(
            f"{image.dtype} image of shape {image.shape} to {size[0]}x{size[1]} pixels: only uint8 "
            "images of height, width and channels are brought to sizes of at least 1"
        )
    if image.shape[:2] == size:
        return image
    (height, width), (rows, columns) = image.shape[:2], size
    # The part is as high as the image, or as wide.
    part = (
        min(height, max(1, width * rows // columns)),
        min(width, max(1, height * columns // rows)),
    )
    top, left = ((whole - kept) // 2 for whole, kept in zip((height, width), part, strict=True))
    middle = image[top : top + part[0], left : left + part[1]]
    channels = [
        PIL.Image.fromarray(middle[..., channel]).resize(
            (columns, rows), PIL.Image.Resampling.BILINEAR
        )
        for channel in range(image.shape[-1])
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def middle_squares(images: np.ndarray, size: int) -> np.ndarray:
    """`middle_square` of each of several images; a size of 0 leaves them as they are.

    Raises:
        UserError: if they would not fit into memory.
    """
    if not size or not len(images):
        return images
    check_fits((len(images), size, size, images.shape[-1]), f"dataset.size={size}")
    return np.stack([middle_square(image, size) for image in images])


def frame(images: np.ndarray, width: int) -> np.ndarray:
    """Images with so many blank pixels more on each of their sides.

    Args:
        images: `[count, height, width, channels]`.
        width: Of the frame, in pixels; 0 leaves them as they are.

    Raises:
        UserError: if they would not fit into memory.
    """
    if not width:
        return images
    if width < 0:
        raise ValueError(f"width={width}: must be at least 0")
    count, *sides, channels = images.shape
    framed = (count, *(side + 2 * width for side in sides), channels)
    check_fits(framed, f"dataset.pad={width}")
    return np.pad(images, ((0, 0), (width, width), (width, width), (0, 0)))
