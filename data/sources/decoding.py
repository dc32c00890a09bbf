"""Image files as arrays of bytes: orientation, palettes, transparency and sixteen bits.

Only decoders of a few formats are used, for files may be a stranger's.
"""

import collections
import contextlib
import os
import pathlib
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import PIL.Image
import PIL.ImageOps
from jaxtyping import Integer, UInt8
from tqdm import tqdm

from common.errors import UserError, first_line

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
"""Of the names of image files, in lower case."""
CHANNELS = (0, 1, 3)
"""What `channels` of a dataset may be: as the images have them, grey, or red, green and blue."""
# A JPEG of a phone, with a preview after it; its first picture is the photograph.
_PREVIEWED = "MPO"
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
_ORIENTATION, _WIDTH, _HEIGHT = 0x0112, 0x0100, 0x0101  # in EXIF and TIFF
_TURNED = (5, 6, 7, 8)  # orientations that lie on their side
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
_GREY = ("1", "L", "LA", "La")
# Of grey images of more than 8 bits; of 32 bits only those that 16 would hold.
_WIDE = ("I", "I;16", "I;16L", "I;16B")
_MAX_WIDE = 2**16 - 1
# Files that are decoded ahead of the one whose turn it is, for each thread.
_AHEAD = 8
_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


class Header(NamedTuple):
    """The properties that an image file states, after its EXIF orientation."""

    height: int
    width: int
    channels: int


def read_header(path: pathlib.Path) -> Header:
    """Size and channels of an image, whose pixels are not decoded.

    Raises:
        UserError: if it is no image, or one of a kind that is not supported.
    """
    with _opened(path) as image:
        # Versions of Pillow differ in whether a TIFF's size is that before it is turned.
        tags = getattr(image, "tag_v2", {})
        width, height = tags.get(_WIDTH, image.width), tags.get(_HEIGHT, image.height)
        # A PNG would have to be decoded to see whether EXIF data follows its pixels.
        known = image.format != "PNG" or "exif" in image.info
        if known and image.getexif().get(_ORIENTATION) in _TURNED:
            width, height = height, width
        return Header(height, width, _channels(image))


def read_image(path: pathlib.Path, channels: int = 0) -> UInt8[np.ndarray, "height width channels"]:
    """The pixels of an image, turned as its EXIF orientation says.

    Palettes become the colours that they stand for; what is transparent becomes black, which is
    blank everywhere here; of 16 bits the upper 8 are kept, rounded.

    Args:
        path: Of the file.
        channels: 1 for grey (Pillow's luma of ITU-R BT.601), 3 for red, green and blue, 0 for what
            the file has of the two.

    Raises:
        UserError: if it is no image, damaged, or of a kind that is not supported.
    """
    with _opened(path) as image:
        image.load()  # which turns a TIFF by itself
        turned = PIL.ImageOps.exif_transpose(image)
        wanted = channels or _channels(image)
        if turned.mode in _WIDE:
            return with_channels(to_bytes(np.asarray(turned).astype(np.int64))[..., None], wanted)
        if turned.mode in _TRANSPARENT or "transparency" in turned.info:
            turned = _on_black(turned)
        pixels = np.asarray(turned.convert("RGB" if wanted == 3 else "L"))
        return pixels if wanted == 3 else pixels[..., None]


def _on_black(image: PIL.Image.Image) -> PIL.Image.Image:
    whole = image.convert("RGBA")
    black = PIL.Image.new("RGBA", whole.size, (0, 0, 0, 255))
    return PIL.Image.alpha_composite(black, whole).convert("RGB")


def _channels(image: PIL.Image.Image) -> int:
    """1 of a grey image, 3 of any other."""
    if image.mode == "P":
        palette = np.array(image.getpalette("RGB"), int).reshape(-1, 3)
        return 1 if np.all(palette == palette[:, :1]) else 3
    return 1 if image.mode in (*_GREY, *_WIDE) else 3


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[PIL.Image.Image]:
    """Opens an image; whatever is wrong with it is one line that names the file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{path} is not a file")
        # Not by its path: Pillow 13 maps a plain TIFF into memory, and takes the height of a turned
        # one for its width.
        with path.open("rb") as file, PIL.Image.open(file, formats=_FORMATS) as image:
            if image.format != _PREVIEWED and getattr(image, "n_frames", 1) > 1:
                raise UserError(f"{path} has several images; keep one in each file")
            if image.mode == "F":
                raise UserError(
                    f"{path} has floating-point pixels; only 8 or 16 bits are supported"
                )
            yield image
    except UserError:
        raise
    except PIL.UnidentifiedImageError as error:
        raise UserError(
            f"{path} is no PNG, JPEG, WebP or TIFF image of a kind that can be read; remove or "
            "convert it"
        ) from error
    except Exception as error:  # decoders raise errors of many kinds, and warn of bombs
        raise UserError(
            f"{path} cannot be read ({first_line(error)}); remove it, or fetch it again"
        ) from error


@contextlib.contextmanager
def decoder_warnings() -> Iterator[None]:
    """Silences decoders, but for images so large that reading them may be an attack: an error.

    For all threads of the process: to be entered by one that waits for the others.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
        yield


def in_threads(
    make: Callable[[_Item], _Made], items: Sequence[_Item], doing: str
) -> Iterator[_Made]:
    """Applies a function of files in as many threads as there are cores, with progress.

    A few results are made ahead of the one that is asked for, so that all of them need not fit into
    memory. The first error in the order of the items is raised.

    Args:
        make: From an item to its result; may be called from any thread.
        items: In the order of the results.
        doing: For the progress bar.
    """
    cores = os.cpu_count() or 1
    begun: collections.deque[Future[_Made]] = collections.deque()
    with (
        decoder_warnings(),
        ThreadPoolExecutor(cores) as threads,
        tqdm(total=len(items), desc=doing, unit="image", disable=None, leave=False) as bar,
    ):
        try:
            for place in range(len(items) + _AHEAD * cores):
                if place < len(items):
                    begun.append(threads.submit(make, items[place]))
                if begun and place >= _AHEAD * cores:
                    yield begun.popleft().result()
                    bar.update()
        except BaseException:
            threads.shutdown(cancel_futures=True)  # the first fault is enough
            raise


def to_bytes(levels: Integer[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Levels of 16 bits as the nearest of 8, so that white stays white.

    Raises:
        ValueError: if one is beyond 16 bits.
    """
    if levels.size and not 0 <= int(levels.min()) <= int(levels.max()) <= _MAX_WIDE:
        raise ValueError(f"pixels from {levels.min()} to {levels.max()} are beyond 16 bits")
    # 65535 = 257 * 255
    return ((levels.astype(np.int64) + 128) // 257).astype(np.uint8)


def with_channels(
    images: UInt8[np.ndarray, "*shape given"], channels: int
) -> UInt8[np.ndarray, "*shape channels"]:
    """Grey images as red, green and blue, or the reverse by the luma of ITU-R BT.601.

    Args:
        images: Of 1 or 3 channels.
        channels: 1 or 3; 0 leaves them as they are.

    Raises:
        ValueError: if they have another number of channels.
    """
    given = images.shape[-1]
    if channels in (0, given):
        return images
    if given not in (1, 3):
        raise ValueError(f"images of {given} channels are neither grey nor red, green and blue")
    if channels == 3:
        return np.repeat(images, 3, axis=-1)
    # Pillow's whole numbers, out of 2^16, rounded.
    red, green, blue = np.moveaxis(images.astype(np.uint32), -1, 0)
    luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return luma.astype(np.uint8)[..., None]
