"""A trained model to use: from images to classes by name, without the images that it learnt from.

model = inference.load_model("runs/capsnet_mnist")
predictions = model(images)
predictions.classes, predictions.probabilities, predictions.reconstruction
"""

import dataclasses
import pathlib
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Num

from cnn.output import Warp
from evaluation.metrics.classification import predictions
from evaluation.model import Predictor, predict_all, probability_field, to_probabilities
from training.experiment import Experiment
from training.run.directory import Configurations
from training.run.signature import Signature
from training.setup import predictor_of
from training.trained import TrainedRun, read_run

MAX_BATCH = 256
"""The most images that one call of a network takes."""


class Predictions(NamedTuple):
    """Predictions for images; what the network does not have is None.

    Attributes:
        classes: Of each image by name; a tuple of names of an image that shows several classes.
        labels: The same by number, `[count]`, or `[count, several]`.
        confidences: The probability of each of them, in the shape of `labels`.
        probabilities: `[count, classes]` in [0, 1]; `[count, heads, classes]` of several heads. Of
            a capsule network that is trained on its lengths they are these, which need not add up
            to 1.
        lengths: Of the class capsules, `[count, classes]`.
        reconstruction: Of the predicted class, in the shape of the images.
        warp: Of the spatial transformers at the input.
    """

    classes: tuple[str | tuple[str, ...], ...]
    labels: np.ndarray
    confidences: np.ndarray
    probabilities: np.ndarray
    lengths: np.ndarray | None = None
    reconstruction: np.ndarray | None = None
    warp: Warp | None = None

    @property
    def are_lengths(self) -> bool:
        """Whether the probabilities are the lengths of class capsules, and no softmax."""
        return self.lengths is not None and np.array_equal(self.probabilities, self.lengths)

    def title(self, place: int) -> str:
        """The class of an image and its confidence, "bird (97.1 %)"; of several one by one."""
        classes = self.classes[place]
        names = [classes] if isinstance(classes, str) else classes
        pairs = zip(names, np.atleast_1d(self.confidences[place]), strict=True)
        return ", ".join(f"{name} ({100.0 * share:.1f} %)" for name, share in pairs)


_OPTIONAL = ("lengths", "reconstruction", "warp")


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A network at one of its run's checkpoints.

    Attributes:
        name: Of its configuration.
        experiment: What was trained.
        step: Of the checkpoint.
        signature: Shape of its images, and its classes.
        predictor: The network, with all that it returns.
    """

    name: str
    experiment: Experiment
    step: int
    signature: Signature
    predictor: Predictor

    def __call__(self, images: Num[ArrayLike, "count *shape"]) -> Predictions:
        """Predicts images.

        Args:
            images: Of the shape that the signature names, channels last: uint8 in [0, 255], or
                floating-point numbers in [0, 1].

        Raises:
            ValueError: if they are of another shape, type or range, or there is none.
            UserError: if the network returns NaN for one.
        """
        field = probability_field(self.predictor)
        own = [name for name in _OPTIONAL if name in self.predictor.fields]
        found = self.outputs(images, *dict.fromkeys(("logits", field, *own)))
        logits = found["logits"]
        if logits.ndim == 3:
            labels = np.argmax(logits, axis=-1)
        else:
            labels = predictions(logits, self.signature.labels_per_image)
        probabilities = to_probabilities(field, found[field])
        by_label = labels[..., None] if logits.ndim == 3 else labels
        confidences = np.take_along_axis(probabilities, by_label, axis=-1).reshape(labels.shape)
        if logits.ndim == 2 and labels.shape[1] == 1:
            labels, confidences = labels[:, 0], confidences[:, 0]
        return Predictions(
            tuple(map(self._name, labels.tolist())),
            labels,
            confidences,
            probabilities,
            **{name: found[name] for name in own},
        )

    def describe(self) -> str:
        """A line on what it is: "capsnet_mnist at step 4,290, of 28x28x1 images, 10 classes"."""
        shape, count = "x".join(map(str, self.signature.image_shape)), self.signature.num_classes
        return f"{self.name} at step {self.step:,}, of {shape} images, {count} classes"

    def outputs(self, images: Num[ArrayLike, "count *shape"], *names: str) -> dict[str, Any]:
        """Fields of the network's output for images (see `cnn.Output` and `cnn.Views`), by name.

        Args:
            images: As of a call of the model.
            names: Of `predictor.fields`.

        Raises:
            KeyError: if the network has no field of such a name.
            ValueError: see a call of the model; likewise a `UserError`.
        """
        array = self._checked(np.asarray(images))
        return predict_all(
            lambda batch: dict(self.predictor.outputs(batch, *names)),
            array,
            # Of few sizes, or a program would have to be compiled for every number of images.
            batch_size=min(MAX_BATCH, 1 << (len(array) - 1).bit_length()),
            name="predict",
        )

    def _name(self, label: Any) -> Any:
        names = self.signature.names
        return names[label] if isinstance(label, int) else tuple(names[each] for each in label)

    def _checked(self, images: np.ndarray) -> np.ndarray:
        """Images as `predict_all` takes them."""
        shape = self.signature.image_shape
        if images.shape[1:] != shape or not len(images):
            raise ValueError(
                f"images of shape {images.shape}: must be [count, {', '.join(map(str, shape))}]"
            )
        if images.dtype == np.uint8:
            return images
        if images.dtype.kind != "f":
            raise ValueError(f"images of type {images.dtype}: must be uint8 or floating-point")
        # Written so that NaN is refused too.
        if not (images.min() >= 0.0 and images.max() <= 1.0):
            raise ValueError(
                f"images from {images.min():.4g} to {images.max():.4g}: must be in [0, 1], or uint8"
            )
        return images.astype(np.float32)


def load_model(
    workdir: str | pathlib.Path,
    *,
    checkpoint: str = "last",
    data_dir: str | None = None,
    configurations: Configurations | None = None,
) -> TrainedModel:
    """Reads the model of a run, without the images that it learnt from.

    Args:
        workdir: The folder of a run or an export, or "zoo:NAME" of a model of the project.
        checkpoint: "last" (the newest that is whole) or "best" (on validation).
        data_dir: Of prepared data, where the images of a run that is older than its own notes of
            their shape have to be read after all; see `data.sources.load.load`.
        configurations: Makes the experiment of a name, as `configs.load` does; needed for runs of
            one's own files alone (see `inference.restore.restore_run`).

    Raises:
        UserError: if there is no run, or no whole checkpoint.
    """
    return model_of(
        read_run(workdir, checkpoint=checkpoint, data_dir=data_dir, configurations=configurations)
    )


def model_of(run: TrainedRun) -> TrainedModel:
    """The model of a run that has been read."""
    predictor = predictor_of(run.program, run.state)
    return TrainedModel(run.name, run.experiment, run.step, run.signature, predictor)
