"""Artifacts that are pictures of a model's insides, of a few images."""

import dataclasses

import numpy as np

from cnn.output import POSE_OFFSETS, CapsuleShares
from evaluation.results.artifacts import Artifact, require


@dataclasses.dataclass(frozen=True, eq=False)
class Reconstructions(Artifact):
    """Images, and what a model reconstructs of the class that it predicts for each.

    Attributes:
        images: `[count, height, width, channels]` in [0, 1].
        reconstructions: Likewise.
    """

    IMAGES = ("images", "reconstructions")

    images: np.ndarray
    reconstructions: np.ndarray

    def _check(self) -> None:
        require(_are_images(self.images), self, "images")
        require(self.reconstructions.shape == self.images.shape, self, "reconstruction of each")


@dataclasses.dataclass(frozen=True, eq=False)
class PoseSweep(Artifact):
    """An image, and its reconstructions with each component of the winning capsule moved.

    Attributes:
        image: `[height, width, channels]` in [0, 1].
        sweep: `[components, steps, height, width, channels]` in [0, 1].
        offsets: `[steps]`, by which a component is moved.
        winner: `[]`, the class that wins.
    """

    IMAGES = ("image", "sweep")

    image: np.ndarray
    sweep: np.ndarray
    offsets: np.ndarray
    winner: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, sweep: np.ndarray, logits: np.ndarray) -> "PoseSweep":
        """The sweep of one image.

        Args:
            image: `[height, width, channels]` in [0, 1].
            sweep: The field `pose_sweeps` of `cnn.Views`.
            logits: `[classes]`.
        """
        return cls(image, sweep, POSE_OFFSETS, np.asarray(np.argmax(logits)))

    def _check(self) -> None:
        steps = self.sweep.ndim == 5 and self.sweep.shape[1] == len(self.offsets)
        require(steps and self.sweep.shape[2:] == self.image.shape, self, "image of every step")


@dataclasses.dataclass(frozen=True, eq=False)
class CouplingMaps(Artifact):
    """Couplings of each place of a map of capsules to two classes, on the images.

    Attributes:
        images: `[count, height, width, channels]` in [0, 1].
        classes: `[count, 2]`: the class that wins, and the runner-up.
        maps: `[count, 2, map_height, map_width]`: the mean coupling of the capsules at a place.
        places: `[map_height, map_width, 2]`, as `capsule_places` of `cnn.Views`.
        equal: `[]`, the coupling that every class has where all have the same.
    """

    IMAGES = ("images",)

    images: np.ndarray
    classes: np.ndarray
    maps: np.ndarray
    places: np.ndarray
    equal: np.ndarray

    @classmethod
    def of(
        cls, images: np.ndarray, logits: np.ndarray, couplings: np.ndarray, places: np.ndarray
    ) -> "CouplingMaps":
        """The maps of some images.

        Args:
            images: `[count, height, width, channels]` in [0, 1].
            logits: `[count, classes]`.
            couplings: `[count, capsules, classes]`, as of `cnn.Output`.
            places: `[count, map_height, map_width, 2]`, as `capsule_places` of `cnn.Views`.
        """
        classes = np.argsort(-logits, axis=1, kind="stable")[:, :2]
        maps = couplings_of_places(couplings, places, classes)
        return cls(images, classes, maps, places[0], np.asarray(1.0 / logits.shape[1]))

    def _check(self) -> None:
        require(_are_images(self.images), self, "images")
        shape = (*self.classes.shape, *self.places.shape[:2])
        require(self.maps.shape == shape and len(self.maps) == len(self.images), self, "maps")


@dataclasses.dataclass(frozen=True, eq=False)
class WinningPaths(Artifact):
    """Shares of one layer's capsules in the class capsules that win; its label is the layer.

    Attributes:
        images: `[count, height, width, channels]` in [0, 1].
        winners: `[count]`, the classes that win.
        shares: `[count, map_height, map_width]`, summed over the capsules of a place.
        strongest: `[count, 3]`, as of `cnn.output.CapsuleShares`.
        places: `[map_height, map_width, 2]`, likewise.
    """

    IMAGES = ("images",)

    images: np.ndarray
    winners: np.ndarray
    shares: np.ndarray
    strongest: np.ndarray
    places: np.ndarray

    @classmethod
    def of(
        cls, images: np.ndarray, logits: np.ndarray, layers: tuple[CapsuleShares, ...]
    ) -> tuple["WinningPaths", ...]:
        """The layers of some images, from the lowest up.

        Args:
            images: `[count, height, width, channels]` in [0, 1].
            logits: `[count, classes]`.
            layers: The field `winning_paths` of `cnn.Views`.
        """
        winners = np.argmax(logits, axis=1)
        return tuple(
            cls(
                images,
                winners,
                np.asarray(layer.shares).sum(axis=3),
                np.asarray(layer.strongest),
                np.asarray(layer.places[0]),
                label=f"layer {number}, types: {layer.shares.shape[3]}",
            )
            for number, layer in enumerate(layers, start=1)
        )

    def _check(self) -> None:
        require(_are_images(self.images), self, "images")
        shape = (len(self.images), *self.places.shape[:2])
        require(self.shares.shape == shape and self.shares.size > 0, self, "share of each place")
        require(self.strongest.shape == (len(self.images), 3), self, "strongest capsules")


def couplings_of_places(
    couplings: np.ndarray, places: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    """The mean coupling of the capsules at each place to some classes.

    Args:
        couplings: `[count, capsules, classes]`, capsules row by row and the types of a place one
            after another.
        places: `[count, height, width, 2]`, of which the shape matters alone.
        classes: `[count, chosen]`, the classes that are wanted for each image.

    Returns:
        `[count, chosen, height, width]`.
    """
    count, height, width, _ = places.shape
    of_places = couplings.reshape(count, height, width, -1, couplings.shape[-1]).mean(axis=3)
    chosen = np.take_along_axis(of_places, classes[:, None, None, :], axis=3)
    return np.moveaxis(chosen, 3, 1)


def _are_images(images: np.ndarray) -> bool:
    return images.ndim == 4 and images.size > 0
