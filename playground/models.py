"""Models of the page, and what they answer, as plain values that become JSON."""

import base64
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from common.errors import UserError
from data.dataset import Split
from data.sources.decoding import with_channels
from evaluation.results.pictures import CouplingMaps
from inference import image_files
from inference.decoding import Decode, decoder_of
from inference.trained_model import TrainedModel, model_of
from playground.changes import RANGES, Changes
from training.run.directory import Configurations
from training.run.finding import locate, name_runs
from training.trained import read_run

MAX_SIDE = 1024
"""The most pixels along a side of an image that the page may send."""
STEPS = 17
"""Values of a slider at which a sweep measures."""
_OFFSET = 0.5
_COUPLINGS = ("couplings", "capsule_places")


@dataclasses.dataclass(frozen=True)
class Player:
    """A model of the page.

    Attributes:
        name: Of its run, unlike those of the others.
        model: The model.
        decode: Its decoder; None of a model without.
        components: Of a class capsule that it decodes; 0 of a model without a decoder.
    """

    name: str
    model: TrainedModel
    decode: Decode | None
    components: int

    def describe(self) -> dict[str, Any]:
        """Describes it to the page, before that asks anything of it."""
        return {
            "name": self.name,
            "description": self.model.describe(),
            "classes": list(self.model.signature.names),
            "components": self.components,
        }

    def answer(self, pixels: np.ndarray, changes: Changes, offsets: Sequence[float]) -> dict:
        """Predicts one changed image, and shows what the model makes of it.

        Args:
            pixels: `[height, width, channels]`, uint8, of any size.
            changes: Of the image, once it has the model's size.
            offsets: By which the components of the winning capsule are moved before it is decoded.
        """
        seen = changes.apply(self._fitting(pixels)[None])
        found = self.model(seen)
        label = int(np.ravel(found.labels[0])[0])
        shown = {
            "seen": encode(seen[0]),
            "title": found.title(0),
            "label": label,
            "scores": np.atleast_2d(found.probabilities[0]).tolist(),
            "capsules": found.are_lengths,
        }
        if self.decode is not None and any(offsets):
            poses = np.array(self.model.outputs(seen, "poses")["poses"])
            poses[:, label, : len(offsets)] += np.asarray(offsets, poses.dtype)
            shown["reconstruction"] = encode(np.asarray(self.decode(poses, np.array([label])))[0])
        elif found.reconstruction is not None:
            shown["reconstruction"] = encode(found.reconstruction[0])
        if found.warp is not None:
            corners = found.warp.grids[0][:, [0, 0, -1, -1], [0, -1, -1, 0]]
            shown["frames"] = corners.astype(float).tolist()
            shown["warped"] = [encode(image) for image in found.warp.images[0]]
        return shown | self._couplings(seen)

    def right(self, test: Split, changes: Changes) -> float | None:
        """The share of images that it predicts right once they are changed; None of others'."""
        if test.images.shape[1:] != self.model.signature.image_shape:
            return None
        if self.model.signature.names != tuple(map(str, range(10))):
            return None
        found = self.model(changes.apply(test.images / np.float32(255.0)))
        return float(np.mean(np.reshape(found.labels, len(test)) == test.labels))

    def _fitting(self, pixels: np.ndarray) -> np.ndarray:
        channels = self.model.signature.image_shape[-1]
        return image_files.fit(with_channels(pixels[None], channels)[0], self.model) / np.float32(
            255
        )

    def _couplings(self, seen: np.ndarray) -> dict[str, Any]:
        """Couplings of the winner over the image, where the model has a map of capsules."""
        if not all(map(self.model.predictor.has, _COUPLINGS)):
            return {}
        found = self.model.outputs(seen, "logits", *_COUPLINGS)
        maps = CouplingMaps.of(seen, found["logits"], *(found[name] for name in _COUPLINGS))
        return {
            "couplings": maps.maps[0, 0].tolist(),
            "places": [maps.places[0, 0].tolist(), maps.places[-1, -1].tolist()],
        }


def load_players(
    words: Sequence[str], *, data_dir: str | None, configurations: Configurations
) -> list[Player]:
    """Reads models of runs.

    Args:
        words: Folders of runs or exports, or "zoo:NAME".
        data_dir: See `training.trained.read_run`.
        configurations: See there.

    Raises:
        UserError: if one cannot be read, or takes no images of files.
    """
    folders = [locate(word, "RUN") for word in words]
    players = []
    for folder, name in zip(folders, name_runs([each.resolve() for each in folders]), strict=True):
        run = read_run(folder, data_dir=data_dir, configurations=configurations)
        model = model_of(run)
        image_files.check_takes_files(model, name)
        if model.signature.labels_per_image > 1:
            raise UserError(f"{name}: its model finds several classes in an image, the page one")
        decode = decoder_of(run)
        components = run.program.fields["poses"].shape[-1] if decode else 0
        players.append(Player(name, model, decode, components))
    return players


def decode_image(given: Any) -> np.ndarray:
    """An image as the page sends it: `{"shape": [height, width, channels], "pixels": base64}`.

    Raises:
        ValueError: if it is none.
    """
    if not isinstance(given, dict) or not isinstance(given.get("pixels"), str):
        raise ValueError("an image is a shape and pixels")
    shape = given.get("shape")
    if not isinstance(shape, list) or len(shape) != 3 or not all(type(n) is int for n in shape):
        raise ValueError(f"shape={shape}: must be height, width and channels")
    if shape[2] not in (1, 3) or not all(1 <= side <= MAX_SIDE for side in shape[:2]):
        raise ValueError(f"shape={shape}: must be of up to {MAX_SIDE} pixels, 1 or 3 channels")
    pixels = np.frombuffer(base64.b64decode(given["pixels"], validate=True), np.uint8)
    return pixels.reshape(shape)


def encode(image: np.ndarray) -> dict[str, Any]:
    """An image in [0, 1] as `decode_image` reads it."""
    pixels = np.rint(255.0 * np.clip(image, 0.0, 1.0)).astype(np.uint8)
    return {"shape": list(image.shape), "pixels": base64.b64encode(pixels.tobytes()).decode()}


def read_offsets(given: Any) -> list[float]:
    """Offsets of components as the page sends them.

    Raises:
        ValueError: if they are none.
    """
    numbers = isinstance(given, list) and all(type(each) in (int, float) for each in given)
    if not numbers or not all(-_OFFSET <= each <= _OFFSET for each in given):
        raise ValueError(f"offsets={given}: must be numbers from {-_OFFSET} to {_OFFSET}")
    return given


def sweep(players: Sequence[Player], test: Split, changes: Changes, along: Any) -> dict[str, Any]:
    """Accuracy of every model while one change goes through its range and the others stay.

    Raises:
        ValueError: if there is no such change.
    """
    if along not in RANGES:
        raise ValueError(f"along={along!r}: must be one of {', '.join(RANGES)}")
    low, high = RANGES[along]
    values = np.linspace(low, high, STEPS).tolist()
    if along == "pieces":
        values = list(range(int(low), int(high) + 1))
    moved = [dataclasses.replace(changes, **{along: value}) for value in values]
    accuracies = [[player.right(test, each) for each in moved] for player in players]
    return {"values": values, "accuracies": accuracies, "images": len(test)}
