"""Images in memory or mapped into it: a split of them, and the three splits of a run."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from data.labels import are_unbalanced, check_range
from stn.transforms import Transform

ROLES = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Split:
    """Images and what is known of them.

    Attributes:
        images: `[count, height, width, channels]` or, volumes, with a depth before; uint8. More
            than fit into memory are a `numpy.memmap`, of which only what is looked at is read.
        labels: `[count]`, int32; or `[count, objects]` where every image shows that many objects,
            no two of one class.
        poses: `[count, objects, parameters]` of the transforms that rendered the images, or None.
        objects: `[count, objects, height, width, channels]`, uint8: each object of an image by
            itself, where the image is made of them, or None.
        factors: `[count]` each, by name: what is known to vary from image to image, such as the
            azimuth from which it was taken.
    """

    images: np.ndarray
    labels: np.ndarray
    poses: np.ndarray | None = None
    objects: np.ndarray | None = None
    factors: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    @property
    def is_mapped(self) -> bool:
        """True of images in a file, which need not fit into memory."""
        return isinstance(self.images, np.memmap)

    @property
    def labels_per_image(self) -> int:
        """One, or the number of objects where each has a label of its own."""
        return 1 if self.labels.ndim == 1 else self.labels.shape[1]

    def take(self, chosen: np.ndarray | slice) -> "Split":
        """Some of the images, by their numbers, with all that is known of them."""
        known = {name: getattr(self, name) for name in ("poses", "objects")}
        known = {name: each[chosen] for name, each in known.items() if each is not None}
        factors = {name: each[chosen] for name, each in self.factors.items()}
        poses, objects = known.get("poses"), known.get("objects")
        return Split(self.images[chosen], self.labels[chosen], poses, objects, factors)

    def sample(self, count: int) -> "Split":
        """Draws so many of the images at random, the same ones every time, and keeps their order.

        Not the first ones: many datasets are sorted, and MNIST's first 5,000 test images are
        easier than the others. All of them if there are no more.

        Raises:
            ValueError: if the count is less than 1.
        """
        if count < 1:
            raise ValueError(f"count={count}: must be at least 1")
        if count >= len(self):
            return self
        order = np.random.default_rng(0).permutation(len(self))
        return self.take(np.sort(order[:count]))

    @property
    def checksum(self) -> str:
        """SHA-256 of the pixels and labels, in order."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).data)  # no copy of a mapped file
        digest.update(self.labels.tobytes())
        return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class Dataset:
    """The three splits of a run.

    Attributes:
        name: For records and messages.
        num_classes: Labels are in [0, num_classes), which is checked.
        train: Images that batches are drawn from; a generated dataset renders its images of these.
        validation: In the form that the model receives.
        test: Likewise.
        pose_transform: The family of the splits' `poses`, where there are any.
        generator: What renders training images anew for every batch, and more of their kind for
            suites; None for stored images.
        is_of_digits: Whether an image of class k shows the decimal digit k, so that 6 and 9 change
            places under half a turn.
        class_names: In the order of the labels; empty where they are just numbers.
        notes: What was done to the images on the way, as sentences for people.
        novel: Test images from beyond the range of the training images, such as those of novel
            viewpoints, in the same form; None where there are none.
        fingerprint: A line that changes with the files that the images are of; empty where it is
            not known.
    """

    name: str
    num_classes: int
    train: Split
    validation: Split
    test: Split
    pose_transform: Transform | None = None
    generator: Any = None
    is_of_digits: bool = False
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    novel: Split | None = None
    fingerprint: str = ""

    def __post_init__(self) -> None:
        """Raises a `UserError` if a label is none of the classes."""
        for role in (*ROLES, "novel"):
            if getattr(self, role) is not None:
                check_range(getattr(self, role).labels, self.num_classes, self.name, role)

    def name_of(self, label: int) -> str:
        """The name of a class, which is its number where it has no other."""
        return self.class_names[label] if self.class_names else str(label)

    @property
    def is_rendered(self) -> bool:
        """True if images are made of others, once or for every batch."""
        return self.generator is not None or self.test.poses is not None

    @property
    def is_unbalanced(self) -> bool:
        """True if classes differ in size to learn from, and in the test images at all.

        Not of images that are rendered of others whose labels are of another kind, such as the
        digits of a sum: some class is then that of none of them.
        """
        learnt, tested = self.train.labels, self.test.labels
        if max(learnt.ndim, tested.ndim) > 1:
            return False
        of_each = np.bincount(tested, minlength=self.num_classes)
        known = len(np.unique(learnt)) == self.num_classes
        return bool(known and np.ptp(of_each)) and are_unbalanced(learnt, self.num_classes)

    @property
    def imbalance(self) -> str | None:
        """A sentence on the largest and the smallest class to learn from, if unbalanced."""
        labels = self.train.labels
        if not self.is_unbalanced:
            return None
        counts = np.bincount(labels, minlength=self.num_classes)
        most, fewest = int(counts.argmax()), int(counts.argmin())
        # Only stored images are drawn so; tasks that render theirs take no such argument.
        balance = ", and --config.dataset.balanced=True draws all as often"
        return (
            f"classes are unbalanced: {counts[most]:,} training images of {self.name_of(most)}, "
            f"{counts[fewest]:,} of {self.name_of(fewest)}; see balanced accuracy"
            f"{'' if self.is_rendered else balance}"
        )

    @property
    def labels_per_image(self) -> int:
        """Labels of each image that a model receives; the images it is made of may have fewer."""
        return self.test.labels_per_image

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Height, width, channels of the images that a model receives."""
        return self.test.images.shape[1:]
