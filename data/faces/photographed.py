"""Photographed faces, whole and scrambled: the tasks of `data.faces.tasks` on CelebA and LFW.

Parts are rectangles of a photograph, cut out with a soft edge, with a blur left in their places.
Every image of a task, the whole face too, is then pasted together of them, each part with the mean
grey of what it covers, so that a paste as such tells nothing. Clutter is cut from the photograph's
corners. Two eyes of a photograph are not the same, other than those of a rendered face.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from common.errors import UserError
from data.batches import Batch, DeviceSplit, normalise
from data.dataset import Dataset, Split
from data.faces import photographs
from data.faces.arrangements import HOME, cycle
from data.faces.conditions import Renderer, arranger, renderer, slide, widened
from data.faces.parts import NOTHING, SIZE, SQUARE_SLOTS, face_points
from data.faces.photographs import LAYOUTS, window
from data.faces.tasks import FaceTask, fold_all, in_chunks, to_bytes
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
class PhotographedFacesConfig(FaceTask):
    """Faces of 32x32 pixels of grey, cut from photographs.

    Photographs are pasted anew every time that they are learnt from. Validation and test images
    are made of as many photographs as there are images, or of all there are in turn.

    Attributes:
        name: Of a TFDS dataset, "lfw" or "celeb_a".
    """

    name: str = "lfw"

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        if self.name not in LAYOUTS:
            raise UserError(f"dataset.name={self.name!r}: choose one of {', '.join(LAYOUTS)}")
        super().check()

    def load(self, data_dir: str | None = None) -> Dataset:
        """Reads the photographs and makes the validation and test images.

        The training split has photographs (see `data.faces.photographs`); labels are drawn in every
        step.
        """
        most = (self.train_images or None, self.validation_images, self.test_images)
        train, validation, test = photographs.read_photographs(self.name, data_dir, most=most)
        faces = PhotographedFaces(self, validation, test)
        return Dataset(
            f"{self.name} {self.title}",
            self.num_classes,
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
        labels = jax.random.randint(label_key, chosen.shape, 0, self.num_classes)
        look = self.draw(fold_all(look_key, jnp.arange(chosen.size)))
        images = self.arrange(normalise(split.images[chosen]), look, labels)
        return Batch(images, labels, look.pose[:, None])

    def draw(self, keys: Key[Array, "batch"]) -> Look:
        """Draws all that is random of images, each a function of its own key."""
        numbers = jax.vmap(lambda key: jax.random.uniform(key, (13,), minval=-1.0))(keys)
        jitter, pose, choice = jnp.split(numbers, (8, 12), axis=1)
        spread = self.task == "configuration"
        slots = SQUARE_SLOTS if spread else LAYOUTS[self.name].homes
        return Look(
            slots=jnp.asarray(slots) + self.layout_noise * jitter.reshape(-1, 4, 2),
            pose=jax.vmap(self.pose)(pose),
            choice=0.5 * (choice[:, 0] + 1.0),
        )

    def arrange(
        self,
        faces: Float[Array, "batch height width 2"],
        look: Look,
        labels: Int[Array, "batch"],
    ) -> Float[Array, "batch size size 1"]:
        """Images of classes."""
        contents = jax.vmap(self.arrangement)(look.choice, labels)
        return paste(faces, contents, self.places, look.slots, look.pose)

    @property
    def places(self) -> Float[np.ndarray, "kinds 2"]:
        """Places that each kind of thing is cut from; nothing is cut from anywhere."""
        return np.concatenate([LAYOUTS[self.name].homes, np.zeros((1, 2), np.float32), _CORNERS])


@dataclasses.dataclass(frozen=True)
class PhotographedFaces:
    """The photographs of the fixed images, for suites that make more of them.

    Attributes:
        config: What is made of them.
        validation: See `data.faces.photographs.read_photographs`.
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
    def fold(self) -> int:
        """Number of the kind of scrambles that is held out."""
        return self.config.fold

    @property
    def parameters(self) -> dict[str, Any]:
        """Fields of the configuration, for records."""
        return self.config.parameters

    def split(self, role: str, count: int) -> Split:
        """The fixed images of "validation" or "test"."""
        labels = self.config.labels(count)
        keys = self.config.keys(role, jnp.arange(count))

        @jax.jit
        def make(keys, faces, labels):
            look = self.config.draw(keys)
            return self.config.arrange(normalise(faces), look, labels), look.pose

        images, poses = in_chunks(make, keys, cycle(getattr(self, role), count), labels)
        return Split(to_bytes(images), labels, poses[:, None])


def paste(
    faces: Float[Array, "batch height width 2"],
    contents: Int[Array, "batch 4"],
    places: Float[np.ndarray, "kinds 2"],
    centres: Float[Array, "batch 4 2"],
    pose: Float[Array, "batch 4"],
) -> Float[Array, "batch size size 1"]:
    """Images of faces, pasted together of what is left of a photograph and of its parts.

    Args:
        faces: In [0, 1]; see `data.faces.photographs.read_photographs`.
        contents: What is pasted, as kinds of `data.faces.parts`; where patches overlap, the last
            one lies on top.
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


def _points(pose):
    """`[batch, pixels, 2]`: where each pixel of an image lies in the face."""
    return jnp.moveaxis(jax.vmap(face_points)(pose), 1, -1)


def _read(images, points):
    """Values at points, in pixels from the middle of images of one channel."""
    return sample(images, points / (images.shape[1] / 2.0), padding="border")[..., 0]


@widened.register
def _(faces: PhotographedFaces) -> PhotographedFaces:
    return dataclasses.replace(faces, config=widened(faces.config))


@functools.lru_cache
def _compiled(fields: tuple) -> tuple[Callable[..., jax.Array], Callable[..., jax.Array]]:
    """Renderers of arranged and of whole faces, compiled once for each configuration."""
    config = PhotographedFacesConfig(*fields)

    @jax.jit
    def arrange(keys, photos, contents, change, progress):
        look = config.draw(keys)
        pose = Similarity().compose(look.pose, change)
        homes = jnp.asarray(LAYOUTS[config.name].homes)
        centres = jax.vmap(slide, (0, None, 0, 0))(contents, homes, look.slots, progress)
        return paste(normalise(photos), contents, config.places, centres, pose)

    @jax.jit
    def show_whole(keys, photos):
        points = _points(config.draw(keys).pose)
        return _read(normalise(photos)[..., :1], points).reshape(-1, SIZE, SIZE, 1)

    return arrange, show_whole


@renderer.register
def _(faces: PhotographedFaces, role: str, count: int) -> Renderer:
    arrange, show_whole = _compiled(dataclasses.astuple(faces.config))
    known = (
        faces.config.keys(role, jnp.arange(count)),
        cycle(getattr(faces, role.removesuffix(" pairs")), count),
    )
    show = arranger(arrange, count, *known)
    return Renderer(
        show, whole=lambda: to_bytes(in_chunks(show_whole, *known)), sham=lambda: show(HOME)
    )
