"""Photographed faces, whole and scrambled: the tasks of `data.faces` on CelebA and LFW.

Parts are rectangles of a photograph, cut out with a soft edge, with a blur left in their places.
Every image of a task, the whole face too, is then pasted together of them, each part with the mean
grey of what it covers, so that a paste as such tells nothing. Clutter is cut from the photograph's
corners. Two eyes of a photograph are not the same, other than those of a painted face.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from data import photographs
from data.batches import Batch, DeviceSplit, normalise
from data.errors import UserError
from data.face_arrangements import HOME, cycle
from data.face_conditions import KEEP, Painter, painter, widened
from data.face_parts import NOTHING, SIZE, SQUARE_SLOTS, face_points, pose_of
from data.faces import (
    arrangement,
    check_fields,
    classes_of,
    fold_all,
    in_chunks,
    role_keys,
    to_bytes,
)
from data.photographs import LAYOUTS, window
from data.sources import Dataset, Split
from stn.sampling import sample
from stn.transforms import Similarity

# Where clutter is cut from, in pixels from the middle.
_CORNERS = np.array([[-14.0, -14.0], [14.0, -14.0], [-14.0, 14.0], [14.0, 14.0]], np.float32)
# Points of a part over which its mean is taken: every pixel of its patch, from its middle.
_PATCH = np.stack(np.meshgrid(np.arange(-4.5, 5.0), np.arange(-3.5, 4.0)), axis=-1).reshape(-1, 2)


class Look(NamedTuple):
    """All that is random of an image but its photograph.

    Attributes:
        slots: The places of parts, in pixels of the face from its middle.
        pose: Parameters of the similarity from image to face.
        choice: In [0, 1): which of the arrangements of its class the image has.
    """

    slots: Float[Array, "batch 4 2"]
    pose: Float[Array, "batch 4"]
    choice: Float[Array, "batch"]


@dataclasses.dataclass
class PhotographedFacesConfig:
    """Faces of 32x32 pixels of grey, cut from photographs, and what is to be learnt of them.

    Attributes:
        name: Of a TFDS dataset, "lfw" or "celeb_a".
        task: One of `data.faces.TASKS`.
        train_images: Learn from so many photographs; 0 for all. Each is pasted anew every time.
        validation_images: Made once, of as many photographs or all there are in turn.
        test_images: Likewise.
        shift: Largest move of a whole face along each axis, in pixels.
        rotation: Its largest angle either way, in degrees.
        log_scale: Largest logarithm of its scale, either way.
        layout_noise: Largest move of each slot along each axis, in pixels.
        seed: Of all images that are fixed.
    """

    name: str = "lfw"
    task: str = "configuration"
    train_images: int = 0
    validation_images: int = 2000
    test_images: int = 4000
    shift: float = 4.0
    rotation: float = 29.0
    log_scale: float = 0.2
    layout_noise: float = 0.5
    seed: int = 0

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        if self.name not in LAYOUTS:
            raise UserError(f"dataset.name={self.name!r}: choose one of {', '.join(LAYOUTS)}")
        check_fields(self)

    def load(self, data_dir: str | None = None) -> Dataset:
        """Reads the photographs and makes the validation and test images.

        The training split has photographs (see `data.photographs`); labels are drawn in every step.
        """
        most = (self.train_images or None, self.validation_images, self.test_images)
        train, validation, test = photographs.read_photographs(self.name, data_dir, most=most)
        faces = PhotographedFaces(self, validation, test)
        return Dataset(
            f"{self.name} {self.task}",
            classes_of(self.task),
            train=Split(train, np.zeros(len(train), np.int32)),
            validation=faces.split("validation", self.validation_images),
            test=faces.split("test", self.test_images),
            generator=faces,
        )

    def generate(
        self, key: Key[Array, ""], split: DeviceSplit, chosen: Int[Array, "batch"]
    ) -> Batch:
        """The chosen photographs, each in an arrangement of a class that is drawn for it."""
        label_key, look_key = jax.random.split(key)
        labels = jax.random.randint(label_key, chosen.shape, 0, classes_of(self.task))
        look = self.draw(fold_all(look_key, jnp.arange(chosen.size)))
        images = self.arrange(normalise(split.images[chosen]), look, labels)
        return Batch(images, labels, look.pose[:, None])

    def draw(self, keys: Key[Array, "batch"]) -> Look:
        """What is random of images, each a function of its own key."""
        numbers = jax.vmap(lambda key: jax.random.uniform(key, (13,), minval=-1.0))(keys)
        jitter, pose, choice = jnp.split(numbers, (8, 12), axis=1)
        spread = self.task == "configuration"
        slots = SQUARE_SLOTS if spread else LAYOUTS[self.name].homes
        limits = np.array([self.shift, self.shift, np.deg2rad(self.rotation), self.log_scale])
        return Look(
            slots=jnp.asarray(slots) + self.layout_noise * jitter.reshape(-1, 4, 2),
            pose=jax.vmap(pose_of)(*(pose * limits.astype(np.float32)).T),
            choice=0.5 * (choice[:, 0] + 1.0),
        )

    def arrange(
        self,
        faces: Float[Array, "batch height width 2"],
        look: Look,
        labels: Int[Array, "batch"],
    ) -> Float[Array, "batch size size 1"]:
        """Images of classes."""
        contents = jax.vmap(functools.partial(arrangement, self.task))(look.choice, labels)
        return paste(faces, contents, self.places, look.slots, look.pose)

    @property
    def places(self) -> Float[np.ndarray, "kinds 2"]:
        """Where each kind of thing is cut from; nothing is cut from anywhere."""
        return np.concatenate([LAYOUTS[self.name].homes, np.zeros((1, 2), np.float32), _CORNERS])


@dataclasses.dataclass(frozen=True)
class PhotographedFaces:
    """The photographs of the fixed images, for suites that make more of them.

    Attributes:
        config: What is made of them.
        validation: See `data.photographs.read_photographs`.
        test: Likewise.
    """

    config: PhotographedFacesConfig
    validation: np.ndarray
    test: np.ndarray

    @property
    def task(self) -> str:
        """One of `data.faces.TASKS`."""
        return self.config.task

    @property
    def parameters(self) -> dict[str, Any]:
        """For records."""
        return dataclasses.asdict(self.config)

    def split(self, role: str, count: int) -> Split:
        """The fixed images of "validation" or "test"."""
        labels = (np.arange(count) % classes_of(self.task)).astype(np.int32)
        keys = role_keys(self.config.seed, role, jnp.arange(count))

        @jax.jit
        def make(keys, faces, labels):
            look = self.config.draw(keys)
            return self.config.arrange(normalise(faces), look, labels), look.pose

        images, poses = in_chunks(make, keys, cycle_photographs(getattr(self, role), count), labels)
        return Split(to_bytes(images), labels, poses[:, None])


def cycle_photographs(faces: np.ndarray, count: int) -> np.ndarray:
    """So many of the photographs, from the first one on again where there are fewer."""
    return faces[np.arange(count) % len(faces)]


def paste(
    faces: Float[Array, "batch height width 2"],
    contents: Int[Array, "batch 4"],
    places: Float[np.ndarray, "kinds 2"],
    centres: Float[Array, "batch 4 2"],
    pose: Float[Array, "batch 4"],
) -> Float[Array, "batch size size 1"]:
    """Images of faces, pasted together of what is left of a photograph and of its parts.

    Args:
        faces: In [0, 1]; see `data.photographs.read_photographs`.
        contents: What is pasted, as kinds of `data.face_parts`; where patches overlap, the last one
            lies on top.
        places: Where each kind is cut from, in pixels of the face from its middle.
        centres: Where it is pasted, likewise.
        pose: See `Look.pose`.
    """
    whole, cut = faces[..., :1], faces[..., 1:]
    points = _points(pose)
    image = _read(cut, points)
    homes = jnp.asarray(places)[contents]
    offsets = points[:, None] - centres[:, :, None]  # [batch, slots, pixels, 2]
    parts = _read(whole, homes[:, :, None] + offsets)
    weight = window(jnp.asarray(_PATCH))
    weight = weight / jnp.sum(weight)
    patches = (_read(whole, homes[:, :, None] + _PATCH), _read(cut, centres[:, :, None] + _PATCH))
    own, covered = (jnp.sum(weight * patch, axis=-1, keepdims=True) for patch in patches)
    parts = parts + covered - own
    strength = window(offsets) * (contents != NOTHING)[..., None]
    for slot in range(contents.shape[1]):
        image = image + strength[:, slot] * (parts[:, slot] - image)
    return jnp.clip(image, 0.0, 1.0).reshape(-1, SIZE, SIZE, 1)


def show_whole(
    faces: Float[Array, "batch height width 2"], pose: Float[Array, "batch 4"]
) -> Float[Array, "batch size size 1"]:
    """The photographs themselves, in a pose."""
    return _read(faces[..., :1], _points(pose)).reshape(-1, SIZE, SIZE, 1)


def _points(pose):
    """`[batch, pixels, 2]`: where each pixel of an image lies in the face."""
    return jnp.moveaxis(jax.vmap(face_points)(pose), 1, -1)


def _read(images, points):
    """Values at points, in pixels from the middle of images of one channel."""
    return sample(images, points / (images.shape[1] / 2.0), padding="border")[..., 0]


@widened.register
def _(faces: PhotographedFaces) -> PhotographedFaces:
    return dataclasses.replace(faces, config=widened(faces.config))


@painter.register
def _(faces: PhotographedFaces, role: str, count: int) -> Painter:
    config = faces.config
    keys = role_keys(config.seed, role, jnp.arange(count))
    photos = cycle_photographs(getattr(faces, role.removesuffix(" pairs")), count)

    @jax.jit
    def make(keys, photos, contents, change, progress):
        look = config.draw(keys)
        pose = Similarity().compose(look.pose, change)
        # What is no part has no place of its own to come from.
        of_parts = jnp.asarray(config.places)[contents]
        homes = jnp.where(contents[..., None] < NOTHING, of_parts, look.slots)
        centres = homes + progress[:, None, None] * (look.slots - homes)
        return paste(normalise(photos), contents, config.places, centres, pose)

    @jax.jit
    def whole(keys, photos):
        return show_whole(normalise(photos), config.draw(keys).pose)

    def show(contents: np.ndarray, *, progress: float = 1.0, change: np.ndarray = KEEP):
        return to_bytes(
            in_chunks(
                make,
                keys,
                photos,
                cycle(contents, count),
                np.broadcast_to(change, (count, 4)),
                np.full(count, progress, np.float32),
            )
        )

    return Painter(
        show, whole=lambda: to_bytes(in_chunks(whole, keys, photos)), sham=lambda: show(HOME)
    )
