"""Faces of four parts, whole and scrambled: tests of sensitivity to how parts are arranged.

Three tasks, never to be averaged. "presence": faces against heads without parts or with clutter in
their places; how parts lie is never needed. "relation": faces against scrambles of two of the three
kinds that there are; the third is held out, another one in each of three folds. "configuration":
the six arrangements that the permutations make are six classes; the parts are the same in all of
them, so that parts alone tell nothing.

For "configuration" the same parts lie at the corners of a square, on bare skin. In a face the nose
is within a few pixels of every other part, and the outline close to most: a small window that shows
two of these at once tells the arrangement, and no network would need to relate distant parts.

Every image, the whole face too, is made by the same paste (see `data.faces.parts`), and images of
one key share parts, pose and noise however their parts are arranged.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from common.errors import UserError
from common.limits import SEED, Limits, check_fields, whole
from data.batches import Batch, DeviceSplit
from data.dataset import Dataset, Split
from data.faces import arrangements
from data.faces.parts import (
    FACE_SLOTS,
    SIZE,
    SQUARE_SLOTS,
    Face,
    make_blobs,
    part_boxes,
    pose_of,
    render,
)
from data.memory import check_fits

TASKS = ("presence", "relation", "configuration")
# Labels of the first two tasks.
OTHER, FACE = 0, 1
# What has images of its own.
ROLES = ("train", "validation", "test", "validation pairs", "test pairs")
# Labels of an epoch if images never repeat; it sets no more than how often they are shuffled.
_EPOCH = 12_000
# Images that are rendered at once outside of training.
_CHUNK = 500
# Of a head's move, and of its parts': farther, nothing of it is left in the image.
_PIXELS = Limits(0.0, SIZE)
_MAX_LOG_SCALE = 3.0
_MAX_CLUTTER = 1000


class Rendered(NamedTuple):
    """Images and all that is known of them.

    Attributes:
        images: In [0, 1].
        labels: Of the task.
        boxes: Of what lies in each slot: left, top, right, bottom, in pixels.
        contents: What lies in each slot; see `data.faces.arrangements`.
        poses: Of the faces; see `data.faces.parts.Face`.
    """

    images: Float[Array, "batch size size 1"]
    labels: Int[Array, "batch"]
    boxes: Float[Array, "batch 4 4"]
    contents: Int[Array, "batch 4"]
    poses: Float[Array, "batch 4"]


@dataclasses.dataclass
class FaceTask:
    """A task on faces, rendered or photographed, and the ranges of what is random of them.

    Attributes:
        task: One of `TASKS`.
        train_images: Number of images to learn from, to find how few suffice; 0 for all.
        validation_images: Made once.
        test_images: Likewise.
        shift: Largest move of a whole face along each axis, in pixels.
        rotation: Its largest angle either way, in degrees.
        log_scale: Largest logarithm of its scale, either way.
        layout_noise: Largest move of each slot along each axis, in pixels.
        seed: Of all images that are fixed.
        fold: Number of the kind of scrambles that "relation" does not train on; see
            `data.faces.arrangements`.
    """

    task: str = "configuration"
    train_images: int = 0
    validation_images: int = 2000
    test_images: int = 4000
    shift: float = 4.0
    rotation: float = 29.0
    log_scale: float = 0.2
    layout_noise: float = 0.5
    seed: int = 0
    fold: int = 0

    @property
    def num_classes(self) -> int:
        """Number of classes; labels are below it."""
        return len(arrangements.CONFIGURATIONS) if self.task == "configuration" else 2

    @property
    def parameters(self) -> dict[str, Any]:
        """Fields of the configuration, for records."""
        return dataclasses.asdict(self)

    @property
    def title(self) -> str:
        """Task and fold, for the name of the dataset; the first fold has none."""
        return f"{self.task}, fold {self.fold}" if self.fold else self.task

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        if self.task not in TASKS:
            raise UserError(f"dataset.task={self.task!r}: choose one of {', '.join(TASKS)}")
        check_fields(
            self,
            "dataset.",
            train_images=whole(),
            validation_images=whole(1),
            test_images=whole(1),
            shift=_PIXELS,
            rotation=Limits(0.0, 360.0),
            log_scale=Limits(0.0, _MAX_LOG_SCALE),
            layout_noise=_PIXELS,
            seed=SEED,
            fold=whole(0, len(arrangements.KINDS) - 1),
        )
        if self.fold and self.task != "relation":
            raise UserError(
                f"dataset.fold={self.fold}: scrambles are held out of the task relation alone, not "
                f"of {self.task}"
            )
        for name in ("train_images", "validation_images", "test_images"):
            count = getattr(self, name)
            check_fits((count, SIZE, SIZE), f"dataset.{name}={count}")

    def keys(self, role: str, numbers: Int[Array, "batch"]) -> Key[Array, "batch"]:
        """The keys of fixed images, by their numbers; `role` is one of `ROLES`."""
        return fold_all(jax.random.fold_in(jax.random.key(self.seed), ROLES.index(role)), numbers)

    def labels(self, count: int) -> Int[np.ndarray, "count"]:
        """All classes in turn."""
        return (np.arange(count) % self.num_classes).astype(np.int32)

    def pose(self, numbers: Float[Array, "4"]) -> Float[Array, "4"]:
        """A random pose within the limits; see `data.faces.parts.pose_of`.

        Args:
            numbers: In [-1, 1].
        """
        limits = np.array([self.shift, self.shift, np.deg2rad(self.rotation), self.log_scale])
        return pose_of(*(numbers * limits.astype(np.float32)))

    def arrangement(self, choice: Float[Array, ""], label: Int[Array, ""]) -> Int[Array, "4"]:
        """One arrangement of a class; a number in [0, 1) chooses where the class has several."""
        if self.task == "configuration":
            return jnp.asarray(arrangements.CONFIGURATIONS)[label]
        others = arrangements.FACELESS
        if self.task == "relation":
            others = arrangements.trained(self.fold)
        other = jnp.asarray(others)[jnp.floor(choice * len(others)).astype(jnp.int32)]
        return jnp.where(label == FACE, jnp.asarray(arrangements.HOME), other)


@dataclasses.dataclass
class FacesConfig(FaceTask):
    """Rendered faces, 32x32 pixels of grey. Without `train_images` no training image repeats.

    Attributes:
        contrast: Of the parts, as a grey level.
        noise: Standard deviation of the pixels' noise, which is uniform, as a grey level.
        clutter: Pieces of clutter at random places of every image.
    """

    contrast: float = 0.6
    noise: float = 0.03
    clutter: int = 0

    def check(self) -> None:
        """Raises a `UserError` for a value that no run can have."""
        super().check()
        grey = Limits(0.0, 1.0)
        check_fields(self, "dataset.", contrast=grey, noise=grey, clutter=whole(0, _MAX_CLUTTER))

    @property
    def name(self) -> str:
        """Name of the dataset, for records."""
        return f"faces {self.title}"

    def load(self, data_dir: str | None = None) -> Dataset:
        """Renders the validation and test images; nothing is read.

        The training split has balanced labels only; its images are single blank pixels, for what
        is trained on is rendered by `generate`.
        """
        labels = self.labels(self.train_images or _EPOCH)
        return Dataset(
            self.name,
            self.num_classes,
            train=Split(np.zeros((len(labels), 1, 1, 1), np.uint8), labels),
            validation=self._split("validation", self.validation_images),
            test=self._split("test", self.test_images),
            generator=self,
        )

    def generate(
        self, key: Key[Array, ""], split: DeviceSplit, chosen: Int[Array, "batch"]
    ) -> Batch:
        """Training images with the chosen labels: new ones, or those of the chosen numbers."""
        if self.train_images:
            keys = self.keys("train", chosen)
        else:
            keys = fold_all(key, jnp.arange(chosen.size))
        rendered = self.render_labels(keys, split.labels[chosen])
        return Batch(rendered.images, rendered.labels, rendered.poses[:, None])

    def render_labels(self, keys: Key[Array, "batch"], labels: Int[Array, "batch"]) -> Rendered:
        """Images of classes, each a function of its own key and label."""

        def one(key, label):
            face = self.draw(key)
            contents = self.arrangement(face.choice, label)
            boxes = part_boxes(face, face.slots)
            return Rendered(render(face, contents, face.slots), label, boxes, contents, face.pose)

        return jax.vmap(one)(keys, labels)

    def draw(self, key: Key[Array, ""]) -> Face:
        """All that is random of one image."""
        pieces = 4 + self.clutter
        sizes = (8, 8, 4, 4, 1, 2 * pieces, 15 * pieces, SIZE * SIZE)
        # All at once, for every draw of its own takes long to compile.
        numbers = jax.random.uniform(key, (sum(sizes),), minval=-1.0, maxval=1.0)
        looks, jitter, pose, head, choice, places, clutter, noise = jnp.split(
            numbers, np.cumsum(sizes[:-1])
        )
        spread = self.task == "configuration"
        slots = jnp.asarray(SQUARE_SLOTS if spread else FACE_SLOTS)
        return Face(
            blobs=make_blobs(looks, clutter.reshape(-1, 15), self.contrast),
            slots=slots + self.layout_noise * jitter.reshape(4, 2),
            pose=self.pose(pose),
            head=_head(head, outlined=not spread),
            clutter=(SIZE / 2) * places.reshape(-1, 2)[4:],
            noise=np.sqrt(3.0, dtype=np.float32) * self.noise * noise.reshape(SIZE, SIZE),
            choice=0.5 * (choice[0] + 1.0),
        )

    def _split(self, role: str, count: int) -> Split:
        labels = self.labels(count)
        rendered = in_chunks(
            jax.jit(lambda numbers, labels: self.render_labels(self.keys(role, numbers), labels)),
            np.arange(count),
            labels,
        )
        return Split(to_bytes(rendered.images), labels, rendered.poses[:, None])


def fold_all(key: Key[Array, ""], numbers: Int[Array, "batch"]) -> Key[Array, "batch"]:
    """A key for each number."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)


def _head(numbers, *, outlined: bool):
    """A face's head on another grey, or the same grey all over; see `Face.head`."""
    width, height, skin, ground = numbers
    skin = 0.5 + 0.05 * skin
    ground = 0.2 + 0.1 * ground if outlined else skin
    return jnp.stack([10.0 + 0.7 * width, 12.5 + 0.7 * height, skin, ground])


def to_bytes(images: np.ndarray) -> np.ndarray:
    """Images in [0, 1] rounded to whole grey levels."""
    return np.round(np.asarray(images) * 255.0).astype(np.uint8)


def in_chunks(function, *arrays: np.ndarray | jax.Array):
    """Applies a function of batches to all entries of some arrays, so many at a time.

    Args:
        function: Of one batch of each array to a pytree of batches.
        arrays: Of one length, at least 1.
    """
    count = len(arrays[0])
    chunks = []
    for start in range(0, count, _CHUNK):
        # The last chunk goes round to the start, so that all have one shape.
        chosen = np.arange(start, start + min(_CHUNK, count)) % count
        chunks.append(jax.device_get(function(*(array[chosen] for array in arrays))))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *chunks)
