"""A user's own model, by the name of the function that makes it."""

import importlib
import os
import sys
from typing import cast

import numpy as np

from data.errors import UserError, first_line
from data.sources import Dataset
from evaluation.prediction import Predict


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
    except Exception as error:  # whatever a user's own code raises
        raise UserError(f"--model={name}: {type(error).__name__}: {first_line(error)}") from error
    if not callable(predict):
        raise UserError(f"--model={name}: {function}() must return a function of images")
    return cast(Predict, predict)


def check(name: str, predict: Predict, dataset: Dataset) -> np.ndarray:
    """Asks a model for the logits of two images, and returns them.

    Raises:
        UserError: if it cannot say, or says something of another shape, or no numbers.
    """
    images = dataset.test.images[:2].astype(np.float32) / 255.0
    wanted = (len(images), dataset.num_classes)
    try:
        logits = np.asarray(predict(images))
    except Exception as error:  # whatever a user's own code raises
        raise UserError(
            f"--model={name} fails on images of shape {images.shape}: {first_line(error)}"
        ) from error
    if logits.shape != wanted:
        raise UserError(
            f"--model={name} answers {images.shape} images of {dataset.name} with shape "
            f"{logits.shape}; it must be {wanted}"
        )
    if not np.all(np.isfinite(logits)):
        raise UserError(f"--model={name} answers images of {dataset.name} with NaN or infinity")
    return logits
