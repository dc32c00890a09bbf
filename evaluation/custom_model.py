"""A user's own model, by the name of the function that makes it."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from cnn.output import CapsuleShares, Warp
from common.errors import UserError, first_line
from data.dataset import Dataset
from evaluation.model import Differentiable, Predict, Predictor, as_predictor, predict_all

# What an own model's code may raise, `sys.exit` among it.
_ERRORS = (Exception, SystemExit)


def load(name: str) -> Predict:
    """Calls "module:function", looking for the module in the working directory too.

    Args:
        name: Of a function without arguments that returns a `Predict`, or a `Predictor` if the
            model knows more than its logits.

    Raises:
        UserError: if there is no such function, or what it returns cannot be called.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise UserError(f"--model={name}: name a module and a function, as in mymodule:create")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        predict = getattr(importlib.import_module(module), function)()
    except _ERRORS as error:
        raise UserError(f"--model={name}: {type(error).__name__}: {first_line(error)}") from error
    if not callable(predict):
        raise UserError(f"--model={name}: {function}() must return a function of images")
    return cast(Predict, predict)


def check(name: str, predict: Predict, dataset: Dataset, *, batch_size: int = 2) -> np.ndarray:
    """Asks a model for the logits of two images, and returns them.

    Args:
        name: Of the model, for messages.
        predict: The model.
        dataset: Its first test images are asked about.
        batch_size: Images per call, as later; what two images do not fill is blank.

    Raises:
        UserError: if it cannot say, or says something of another shape, or no numbers.
    """
    guarded = guard(name, predict, dataset)
    return predict_all(
        guarded, dataset.test.images[:2], batch_size=batch_size, name=f"--model={name}"
    )


def guard(name: str, model: Predict, dataset: Dataset) -> Predictor:
    """The same model, whose mistakes are `UserError`s that name it.

    It gets images of its own, so that it may change them, and may answer in anything that becomes
    an array: lists, any type of numbers, arrays of JAX or tensors of PyTorch.

    Args:
        name: Of the model, for messages.
        model: A `Predict`, with whatever more `as_predictor` finds in it.
        dataset: Says how many classes there are.
    """
    classes, known = dataset.num_classes, as_predictor(model)

    def of_rows(images: np.ndarray, found: Any) -> Any:
        return _rows(_as_array(found), images)

    def scores(images: np.ndarray, found: Any) -> np.ndarray:
        return _of_shape(_as_array(found), (len(images), classes))

    def pictures(images: np.ndarray, found: Any) -> np.ndarray:
        return _of_shape(_as_array(found), images.shape)

    def warps(images: np.ndarray, found: Any) -> Warp:
        return Warp(*(of_rows(images, each) for each in found))

    def paths(images: np.ndarray, found: Any) -> tuple[CapsuleShares, ...]:
        return tuple(CapsuleShares(*(of_rows(images, part) for part in each)) for each in found)

    def layers(images: np.ndarray, found: Any) -> dict[str, np.ndarray]:
        return {str(layer): of_rows(images, each) for layer, each in found.items()}

    shaped = {
        **dict.fromkeys(("logits", "probabilities"), scores),
        "reconstruction": pictures,
        "warp": warps,
        "winning_paths": paths,
    }

    def read(images: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
        def take(images: np.ndarray, found: Any) -> dict[str, Any]:
            return {each: shaped.get(each, of_rows)(images, found[each]) for each in names}

        part = "" if names == ("logits",) else f"'s {' and '.join(names)}"
        return _asked(name, part, lambda given: known.outputs(given, *names), take)(images)

    activations = known.activations
    return Predictor(
        read,
        known.fields,
        differentiable=_differentiable(name, known.differentiable),
        activations=None
        if activations is None
        else _asked(name, "'s activations", activations, layers),
        cost=_cost(name, known.cost),
    )


def _asked(
    name: str, part: str, function: Callable[[np.ndarray], Any], read: Callable[..., Any]
) -> Callable[[np.ndarray], Any]:
    def ask(images: np.ndarray) -> Any:
        try:
            return read(images, function(np.array(images)))
        except UserError:
            raise
        except _ERRORS as error:
            raise UserError(
                f"--model={name}{part} fails on images of shape {images.shape}: "
                f"{type(error).__name__}: {first_line(error)}"
            ) from error

    return ask


def _as_array(found: Any) -> np.ndarray:
    """An array of numbers; PyTorch's tensors may need a gradient, or lie on another device."""
    for method in ("detach", "cpu"):
        if callable(getattr(found, method, None)):
            found = getattr(found, method)()
    array = np.asarray(found)
    if array.dtype.kind == "c":
        raise TypeError("answers with complex numbers")
    if array.dtype in (np.float32, np.float64):
        return array
    # Whole numbers need float64 to stay what they are; halves, also those that NumPy does not
    # know, do not.
    return array.astype(np.float64 if array.dtype.kind in "biu" else np.float32)


def _of_shape(array: np.ndarray, wanted: tuple[int, ...]) -> np.ndarray:
    if array.shape != wanted:
        raise ValueError(f"answers with shape {array.shape}; it must be {wanted}")
    return array


def _rows(array: np.ndarray, images: np.ndarray) -> np.ndarray:
    if not array.ndim or len(array) != len(images):
        raise ValueError(
            f"answers {len(images)} images with shape {array.shape}; the first length must be "
            f"{len(images)}"
        )
    return array


def _differentiable(name: str, model: Differentiable | None) -> Differentiable | None:
    """The same functions, which JAX traces, with errors that name the model."""
    if model is None:
        return None

    def traced(part: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def ask(variables: Any, images: Any) -> Any:
            try:
                return function(variables, images)
            except _ERRORS as error:
                raise UserError(
                    f"--model={name}'s differentiable.{part} fails: {type(error).__name__}: "
                    f"{first_line(error)}"
                ) from error

        return ask

    parts = {part: getattr(model, part) for part in ("logits", "reconstruction", "vote_logits")}
    return model._replace(
        **{part: traced(part, each) for part, each in parts.items() if each is not None}
    )


def _cost(name: str, cost: Callable[[int], dict[str, float]] | None):
    if cost is None:
        return None

    def ask(batch_size: int) -> dict[str, float]:
        try:
            return {str(what): float(value) for what, value in cost(batch_size).items()}
        except _ERRORS as error:
            raise UserError(
                f"--model={name}'s cost fails: {type(error).__name__}: {first_line(error)}"
            ) from error

    return ask
