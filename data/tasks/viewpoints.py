"""Toys from many viewpoints, in the manner of smallNORB: recognition from novel viewpoints.

Five categories of toys are seen from 18 azimuths and 9 elevations under 6 lights; the toys of the
test images are others than those to learn from. By two of the protocols, those of Hinton, Sabour
and Frosst (2018), section 5.1, training has a third of the azimuths or of the elevations, and test
images come in two splits: from these familiar viewpoints, and from the novel ones.

The toys are rendered (`data.tasks.toys`) or, as `smallnorb`, read from data that TFDS prepared.
Training images are cut out at random and vary in brightness and contrast, as in that paper; test
images are the middle of each image.
"""

import dataclasses
import functools
import itertools
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, UInt8

from common.errors import UserError
from common.limits import SEED, SHARE, Limits, check_fields, shown, whole
from data.augmentation import middle_crop, random_brightness_and_contrast, random_crop
from data.batches import Batch, DeviceSplit, normalise
from data.dataset import Dataset, Split
from data.memory import check_fits
from data.sources import norb
from data.sources.opening import data_folder
from data.tasks.rendering import to_bytes
from data.tasks.solids import Camera, Solids, shade, stacked
from data.tasks.toys import CATEGORIES, RADIUS, make_toy

RENDERED = "viewpoints"
AZIMUTHS, ELEVATIONS = tuple(range(0, 360, 20)), tuple(range(30, 71, 5))
PROTOCOLS = {
    "full": (AZIMUTHS, ELEVATIONS),
    "novel_azimuth": ((300, 320, 340, 0, 20, 40), ELEVATIONS),
    "novel_elevation": (AZIMUTHS, (30, 35, 40)),
}
"""Azimuths and elevations of the training images, in degrees."""
LIGHTS = ((-100, 35), (-60, 60), (-20, 40), (20, 75), (60, 45), (100, 35))
"""Directions of light: azimuth against the camera's and elevation, in degrees."""
# Of smallNORB's own: training and test toys of a category, and height and width of an image.
_TOYS, _RAYS = 5, 96
# Toys of a category that rendered validation images show, and the share of smallNORB's training
# images that are taken for validation.
_VALIDATION_TOYS, _VALIDATION_SHARE = 2, 0.1
# Distance of the cameras from a toy's middle, the distance between the two, and the part of a
# picture's width that the ball around a toy takes.
_DISTANCE, _BASELINE, _FILLED = 4.0, 0.6, 0.8
_CHUNK = 500


class Views(NamedTuple):
    """Viewpoints and contents of images, an entry for each.

    Attributes:
        category: Label.
        toy: Number of the toy within its category.
        azimuth: Of the camera, in degrees.
        elevation: Above the horizon, in degrees.
        light: Number of the light.
    """

    category: Int[np.ndarray, "count"]
    toy: Int[np.ndarray, "count"]
    azimuth: Int[np.ndarray, "count"]
    elevation: Int[np.ndarray, "count"]
    light: Int[np.ndarray, "count"]

    def seen_from(self, azimuths: tuple[int, ...], elevations: tuple[int, ...]) -> np.ndarray:
        """`[count]` truths: whether an image is from one of each."""
        return np.isin(self.azimuth, azimuths) & np.isin(self.elevation, elevations)

    def take(self, chosen: np.ndarray) -> "Views":
        """Some of them."""
        return Views(*(field[chosen] for field in self))


@dataclasses.dataclass
class ViewpointsConfig:
    """Toys from many viewpoints, and which of these are to learn from.

    Attributes:
        name: "viewpoints" (rendered) or "smallnorb" (prepared by TFDS).
        protocol: "full", "novel_azimuth" or "novel_elevation".
        cameras: 2 for stereo pairs, a channel each; 1 for the first of the two.
        size: Height and width of the images, in pixels, of the 96 that are rendered or stored.
        crop: Height and width of what is cut out for a network, in pixels.
        brightness: See `data.augmentation.random_brightness_and_contrast`.
        contrast: See there.
        toys: Of each category, to learn from and, as many others, to test on; smallNORB has 5.
        seed: Of the rendered toys' shapes, and of smallNORB's validation images.
    """

    name: str = RENDERED
    protocol: str = "full"
    cameras: int = 2
    size: int = 48
    crop: int = 32
    brightness: float = 32.0 / 255.0
    contrast: float = 0.3
    toys: int = _TOYS
    seed: int = 0

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        for field, choices in (("name", (RENDERED, norb.NAME)), ("protocol", PROTOCOLS)):
            if getattr(self, field) not in choices:
                raise UserError(
                    f"dataset.{field}={shown(getattr(self, field))}: choose one of "
                    f"{', '.join(choices)}"
                )
        most = _TOYS if self.name == norb.NAME else 1000
        check_fields(
            self,
            "dataset.",
            cameras=whole(1, 2),
            size=whole(8, _RAYS),
            crop=whole(1, self.size),
            brightness=Limits(0.0, 1.0),
            contrast=SHARE,
            toys=whole(1, most),
            seed=SEED,
        )
        images = self.toys * len(AZIMUTHS) * len(ELEVATIONS) * len(LIGHTS) * len(CATEGORIES)
        pixels = (images, self.size, self.size, self.cameras)
        check_fits(pixels, f"dataset.toys={self.toys}")

    def load(self, data_dir: str | None) -> Dataset:
        """Renders or reads all images, once in a process for all that ask for the same ones.

        Raises:
            UserError: if smallNORB is asked for and not prepared.
        """
        if self.name == norb.NAME:
            train, validation, test = self._stored(data_dir)
        else:
            train, validation, test = self._rendered()
        familiar = test[1].seen_from(*PROTOCOLS[self.protocol])
        return Dataset(
            f"{self.name} {self.protocol}",
            len(CATEGORIES),
            train=self._split(*train),
            validation=self._split(*validation, cut=True),
            test=self._split(*test, familiar, cut=True),
            novel=None if familiar.all() else self._split(*test, ~familiar, cut=True),
            class_names=tuple(CATEGORIES),
        )

    def generate(
        self, key: Key[Array, ""], split: DeviceSplit, chosen: Int[Array, "batch"]
    ) -> Batch:
        """The chosen images, each cut out at a place of its own, with its own light and shade."""
        crop_key, grey_key = jax.random.split(key)
        images = normalise(random_crop(crop_key, split.images[chosen], self.crop))
        images = random_brightness_and_contrast(grey_key, images, self.brightness, self.contrast)
        return Batch(images, split.labels[chosen])

    def _rendered(self):
        """Images and views of each split; training and validation from familiar ones alone."""
        toys = np.cumsum([0, self.toys, self.toys, _VALIDATION_TOYS])
        train, test, validation = itertools.starmap(range, itertools.pairwise(toys))
        familiar = PROTOCOLS[self.protocol]
        chosen = (train, *familiar), (validation, *familiar), (test, AZIMUTHS, ELEVATIONS)
        how = (int(toys[-1]), self.size, self.cameras, self.seed)
        return [_render_grid(tuple(toys), *viewpoint, *how) for toys, *viewpoint in chosen]

    def _stored(self, data_dir: str | None):
        """The same of smallNORB."""
        familiar, folder = PROTOCOLS[self.protocol], str(data_folder(data_dir))
        read = [_read(folder, split, self.size, self.cameras) for split in ("train", "test")]
        (images, views), test = (_of_first_toys(*each, self.toys) for each in read)
        (kept,) = np.nonzero(views.seen_from(*familiar))
        kept = np.random.default_rng(self.seed).permutation(kept)
        first = round(_VALIDATION_SHARE * len(kept))
        parts = (np.sort(part) for part in (kept[first:], kept[:first]))
        train, validation = ((images[part], views.take(part)) for part in parts)
        return train, validation, test

    def _split(
        self,
        images: np.ndarray,
        views: Views,
        chosen: np.ndarray | slice = slice(None),
        *,
        cut: bool = False,
    ) -> Split:
        images = images[chosen]
        factors = {name: field[chosen] for name, field in views._asdict().items()}
        labels = factors.pop("category").astype(np.int32)
        return Split(middle_crop(images, self.crop) if cut else images, labels, factors=factors)


def make_views(
    toys: tuple[int, ...], azimuths: tuple[int, ...], elevations: tuple[int, ...]
) -> Views:
    """All combinations with every category and light, the categories in turn."""
    axes = (toys, azimuths, elevations, range(len(LIGHTS)), range(len(CATEGORIES)))
    toy, azimuth, elevation, light, category = (
        axis.reshape(-1) for axis in np.meshgrid(*map(np.asarray, axes), indexing="ij")
    )
    return Views(category, toy, azimuth, elevation, light)


def direction(azimuth: Array, elevation: Array) -> Array:
    """The unit vector at an azimuth, counted from x to y, and an elevation, both in degrees."""
    azimuth, elevation = jnp.deg2rad(azimuth), jnp.deg2rad(elevation)
    level = jnp.cos(elevation)
    return jnp.stack([level * jnp.cos(azimuth), level * jnp.sin(azimuth), jnp.sin(elevation)])


def cameras(azimuth: Array, elevation: Array, count: int) -> list[Camera]:
    """The cameras of a viewpoint, both aimed at the toy's middle: left and right of it.

    Args:
        azimuth: In degrees.
        elevation: In degrees, below 90.
        count: 2, or 1 for the left one.
    """
    half_width = np.tan(np.arcsin(RADIUS / _DISTANCE)) / _FILLED
    middle = _DISTANCE * direction(azimuth, elevation)
    left = direction(azimuth - 90.0, jnp.zeros_like(elevation))
    offsets = (0.5 * _BASELINE, -0.5 * _BASELINE)[:count]
    return [Camera(middle + offset * left, float(half_width)) for offset in offsets]


def render(
    toys: Solids, views: Views, size: int, count: int
) -> UInt8[np.ndarray, "count size size cameras"]:
    """Renders toys on the device, some hundreds at a time.

    Args:
        toys: `[categories, toys, ...]`; see `data.tasks.solids.stacked`.
        views: Of the images; `toy` counts along that axis.
        size: Height and width, in pixels.
        count: Cameras.
    """
    numbers = np.stack(views)
    filled = np.resize(numbers.T, (-(-numbers.shape[1] // _CHUNK) * _CHUNK, len(numbers)))
    parts = [
        np.asarray(_render_chunk(toys, chunk, size, count))
        for chunk in np.split(filled, len(filled) // _CHUNK)
    ]
    return np.concatenate(parts)[: numbers.shape[1]]


@functools.partial(jax.jit, static_argnums=(2, 3))
def _render_chunk(toys: Solids, numbers: Array, size: int, count: int) -> Array:
    lights, smoothing = jnp.asarray(LIGHTS), -(-_RAYS // size)

    def one(view):
        category, toy, azimuth, elevation, light = view
        body = Solids(*(jnp.asarray(field)[category, toy] for field in toys))
        shift, height = lights[light]
        towards = direction((azimuth + shift).astype(float), height.astype(float))
        pictures = [
            shade(body, camera, towards, size, smoothing)
            for camera in cameras(azimuth.astype(float), elevation.astype(float), count)
        ]
        return to_bytes(jnp.stack(pictures, axis=-1))

    # One after another: the rays of one picture stay in a processor's cache.
    return jax.lax.map(one, numbers)


@functools.lru_cache(maxsize=3)
def _render_grid(
    toys: tuple[int, ...],
    azimuths: tuple[int, ...],
    elevations: tuple[int, ...],
    of: int,
    size: int,
    count: int,
    seed: int,
) -> tuple[np.ndarray, Views]:
    """Images and views of some of all toys, kept for the next run that asks for them."""
    views = make_views(toys, azimuths, elevations)
    return render(make_toys(of, seed), views, size, count), views


def make_toys(count: int, seed: int) -> Solids:
    """So many toys of every category: `[categories, toys, ...]`."""
    bodies = stacked([make_toy(name, toy, seed) for name in CATEGORIES for toy in range(count)])
    return Solids(*(field.reshape(len(CATEGORIES), count, -1, 3, 4) for field in bodies))


@functools.lru_cache(maxsize=2)
def _read(folder: str, split: str, size: int, count: int) -> tuple[np.ndarray, Views]:
    pairs = norb.read(pathlib.Path(folder), split, size)
    degrees = np.asarray(AZIMUTHS)[pairs.azimuth], np.asarray(ELEVATIONS)[pairs.elevation]
    return pairs.images[..., :count], Views(pairs.category, pairs.instance, *degrees, pairs.light)


def _of_first_toys(images: np.ndarray, views: Views, toys: int) -> tuple[np.ndarray, Views]:
    """Images of so many toys of each category; every category has toys of the same numbers."""
    (chosen,) = np.nonzero(np.isin(views.toy, np.unique(views.toy)[:toys]))
    return images[chosen], views.take(chosen)
