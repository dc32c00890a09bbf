"""Models for evaluation, and their outputs for every image of a split."""

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from cnn.output import Output, Views
from common.errors import NonFiniteError
from data.batches import normalise
from data.dataset import Split

Predict = Callable[[np.ndarray], np.ndarray]
"""float32 images `[batch, height, width, channels]` in [0, 1] to logits `[batch, classes]`."""

Activations = Callable[[np.ndarray], Mapping[str, np.ndarray]]
"""From images to the output of each layer of a model, by name, in the model's order."""

PROBABILITIES = "probabilities"
# Outputs for whole splits that a model keeps; warps of 10,000 digits take 90 MB.
_MAX_BYTES = 2**28


class Differentiable(NamedTuple):
    """A model that JAX can differentiate.

    Attributes:
        logits: (variables, images `[batch, height, width, channels]` in [0, 1]) to unnormalised
            log-probabilities `[batch, classes]`; the largest is the prediction.
        variables: Its weights, a pytree of arrays.
        reconstruction: (variables, images) to the reconstruction of the predicted class, in the
            shape of the images; None if the model has no decoder.
        vote_logits: (variables, images) to the field of that name of `cnn.Output`, for attacks on
            votes; None if the model has no capsules.
    """

    logits: Callable[[Any, Any], Any]
    variables: Any
    reconstruction: Callable[[Any, Any], Any] | None = None
    vote_logits: Callable[[Any, Any], Any] | None = None


class Kept:
    """Outputs for whole splits, which several suites need; the oldest make room for new ones."""

    def __init__(self, max_bytes: int = _MAX_BYTES):
        self._max_bytes = max_bytes
        self._found: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Any) -> Any:
        """Returns the outputs of a key; None if they are not kept."""
        return self._found.get(key)

    def add(self, key: Any, outputs: Any) -> None:
        """Keeps outputs, if they are not too large; they cannot be changed any more."""
        for leaf in jax.tree.leaves(outputs):
            leaf.setflags(write=False)
        self._found[key] = outputs
        while sum(map(_bytes, self._found.values())) > self._max_bytes:
            self._found.popitem(last=False)


def _bytes(outputs: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(outputs))


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A trained model: a `Predict` that may have further outputs; all of it takes images in [0, 1].

    Attributes:
        read: (images, names of fields) to these fields of the model's output and views (see
            `cnn.Output` and `cnn.Views`), by name, each with one entry for each image.
        fields: The names that `read` accepts, "logits" among them.
        differentiable: For attacks that follow gradients; None if it cannot be differentiated.
        activations: From images to the outputs of the model's layers, by name and in their order:
            feature maps `[batch, height, width, channels]`, or vectors. Measures that need strides
            need maps of images of any size. (Through `jax.jit` an `OrderedDict`
            keeps its order, a dictionary does not.) None if the model names no layers.
        cost: From a batch size to the costs of the model, by name (see
            `evaluation.suites.accuracy.cost`); None if only its outputs are known.
        kept: Outputs for whole splits (see `predict_split`).
    """

    read: Callable[[np.ndarray, tuple[str, ...]], Mapping[str, Any]]
    fields: tuple[str, ...] = ("logits",)
    differentiable: Differentiable | None = None
    activations: Activations | None = None
    cost: Callable[[int], dict[str, float]] | None = None
    kept: Kept = dataclasses.field(default_factory=Kept, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        logits: Predict,
        *,
        differentiable: Differentiable | None = None,
        activations: Activations | None = None,
        cost: Callable[[int], dict[str, float]] | None = None,
        **fields: Callable[[np.ndarray], Any] | None,
    ) -> "Predictor":
        """Makes a model of a function of images for each field of its output.

        Args:
            logits: The only one that every model has.
            differentiable: See the class, as for the others.
            activations: See there.
            cost: See there.
            fields: From images to a field, by its name, such as `features`; None for none.
        """
        given: dict[str, Callable[[np.ndarray], Any]] = {"logits": logits}
        given |= {name: each for name, each in fields.items() if each is not None}
        return cls(
            lambda images, names: {name: given[name](images) for name in names},
            tuple(given),
            differentiable,
            activations,
            cost,
        )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Computes logits of images."""
        return self.outputs(images, "logits")["logits"]

    def outputs(self, images: np.ndarray, *names: str) -> Mapping[str, Any]:
        """Computes fields of the output for a batch of images, by name, in one forward pass.

        Raises:
            KeyError: if the model has no field of such a name.
        """
        for name in names:
            if name not in self.fields:
                raise KeyError(f"the model has no `{name}`, but {', '.join(self.fields)}")
        return self.read(images, names)

    def field(self, name: str) -> Callable[[np.ndarray], Any]:
        """Makes the function from images to one field."""
        return lambda images: self.outputs(images, name)[name]

    def has(self, name: str) -> bool:
        """Tests for a field of that name, or for "activations" and the like."""
        return name in self.fields or getattr(self, name, None) is not None


def as_predictor(model: Predict) -> Predictor:
    """Wraps a model that may be a plain function, or an object with functions as attributes.

    Args:
        model: A `Predictor`, which stays as it is, or another `Predict`; its attributes that have
            the names of fields of `cnn.Output` or `cnn.Views`, or attributes of `Predictor` are
            taken over.
    """
    if isinstance(model, Predictor):
        return model
    names = (*Output._fields[1:], *Views._fields, "differentiable", "activations", "cost")
    return Predictor.of(model, **{name: getattr(model, name, None) for name in names})


def probability_field(model: Predictor) -> str:
    """Names the field that a model's probabilities come from: its own ones, or else its logits."""
    return PROBABILITIES if model.has(PROBABILITIES) else "logits"


def to_probabilities(field: str, values: np.ndarray) -> np.ndarray:
    """Computes probabilities `[..., classes]` of values of the field of `probability_field`."""
    if field == PROBABILITIES:
        return values
    return np.asarray(jax.nn.softmax(values, axis=-1))


def predict_split(
    model: Predict, split: Split, *names: str, batch_size: int, name: str
) -> dict[str, Any]:
    """Computes fields of a model's output for all images of a split, once for a `Predictor`.

    Args:
        model: The model.
        split: Its images are the key, so that equal splits are one.
        names: Of the fields.
        batch_size: Images per call of the model.
        name: For the progress bar.

    Returns:
        Each field, `[count, ...]`, by name; it cannot be written to.

    Raises:
        UserError: as `predict_all`.
    """
    predictor, checksum = as_predictor(model), split.checksum
    keys = {each: (checksum, batch_size, each) for each in names}
    found = {each: predictor.kept.get(key) for each, key in keys.items()}
    missing = tuple(each for each in names if found[each] is None)
    if missing:
        new = predict_all(
            lambda images: dict(predictor.outputs(images, *missing)),
            split.images,
            batch_size=batch_size,
            name=name,
        )
        for each in missing:
            predictor.kept.add(keys[each], new[each])
            found[each] = new[each]
    return found


def predict_all(
    predict: Callable[[np.ndarray], Any],
    images: np.ndarray,
    *,
    batch_size: int,
    name: str = "evaluate",
) -> Any:
    """Computes outputs for all images, in order.

    The last batch is filled up with blank images whose outputs are dropped, so every image counts
    once and every call has one shape.

    NaN and infinity are no outputs: the largest of scores that are NaN is class 0, and comparisons
    with them are False, so any measure of them looks like an ordinary number.

    Args:
        predict: A `Predict`, or another function to an array, or a tuple of arrays such as `Warp`,
            with one entry for each image.
        images: `[count, height, width, channels]`, float32 in [0, 1], or uint8, which becomes that.
        batch_size: Images per call of `predict`.
        name: For the progress bar.

    Returns:
        Outputs of `predict`, `[count, ...]`; logits `[count, classes]` of a `Predict`.

    Raises:
        NonFiniteError: if an output for an image is NaN or infinite, in float32.
    """
    outputs = []
    with tqdm(total=len(images), desc=name, unit="img", leave=False, disable=None) as bar:
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            blank = np.zeros((batch_size - len(batch), *images.shape[1:]), images.dtype)
            filled = np.concatenate([batch, blank])
            if filled.dtype == np.uint8:
                filled = np.asarray(normalise(jnp.asarray(filled)))
            found = predict(filled)
            for leaf in jax.tree.leaves(found):
                _check_finite(leaf[: len(batch)], start, len(images), name)
            outputs.append(found)
            bar.update(len(batch))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[: len(images)], *outputs)


def _check_finite(outputs: Any, first: int, count: int, name: str) -> None:
    """Raises a `NonFiniteError` that names the first image with an output that is no number.

    Args:
        outputs: `[batch, ...]`, of images in order.
        first: The first one's number, from 0.
        count: Images in all.
        name: Use of the outputs, for the error.
    """
    outputs = np.asarray(outputs)
    if outputs.dtype.kind in "biu":
        return
    with np.errstate(over="ignore"):  # numbers beyond float32 are infinite to most readers
        finite = np.isfinite(outputs.astype(np.float32, copy=False))
    if not finite.all():
        image = first + int(np.argmin(finite.reshape(len(finite), -1).all(axis=1)))
        raise NonFiniteError(
            f"{name}: the model's output for image {image + 1:,} of {count:,} is NaN or infinite, "
            "of which nothing can be measured"
        )


def reconstruction_errors(
    reconstruct: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    *,
    batch_size: int,
    name: str,
) -> np.ndarray:
    """Computes reconstruction errors of images.

    Args:
        reconstruct: From images to the reconstruction of the class that a model predicts for each.
        images: As for `predict_all`.
        batch_size: Images per call of `reconstruct`.
        name: For the progress bar.

    Returns:
        `[count]` Euclidean lengths, where grey levels go from 0 to 1.
    """

    def errors(batch):
        difference = np.asarray(reconstruct(batch)) - batch
        return np.linalg.norm(difference.reshape(len(batch), -1), axis=1)

    return predict_all(errors, images, batch_size=batch_size, name=name)
