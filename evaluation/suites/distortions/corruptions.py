"""Accuracy under ten fixed corruptions, eight of them in the style of MNIST-C.

MNIST-C-style, not MNIST-C (Mu and Gilmer, 2019): rotate, translate, shear, scale, brightness,
impulse noise, stripe and Canny edges are eight of its fifteen corruptions by their kind, not by
their images and arithmetic; speckle noise and inverse are not among the fifteen. So no figure is
comparable with published ones.
"""

import jax
import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset
from evaluation.model import Predict
from evaluation.perturbations import canny
from evaluation.perturbations.affine import SAMPLING, move, turn
from evaluation.perturbations.curve import SEED, Curve, measure, show
from evaluation.results.result import Result

REQUIRES = ("images",)

_ROTATION = float(np.rad2deg(0.4))
_SHIFT = 3.0
_SHEAR = 0.4
_SCALE = 0.7
_BRIGHTNESS = 0.5
_IMPULSE = 0.17
_SPECKLE = 0.6


def _rotate(image, key, _):
    return move(image, turn(_ROTATION * jax.random.rademacher(key, (), jnp.float32)))


def _translate(image, key, _):
    return move(image, jnp.eye(2), _SHIFT * jax.random.rademacher(key, (2,), jnp.float32))


def _shear(image, key, _):
    return move(image, jnp.array([[1.0, -_SHEAR], [0.0, 1.0]]))


def _impulse(image, key, _):
    draw = jax.random.uniform(key, image.shape)
    return jnp.where(draw < _IMPULSE, (draw < _IMPULSE / 2.0).astype(image.dtype), image)


def _speckle(image, key, _):
    return image + image * _SPECKLE * jax.random.normal(key, image.shape)


def _stripe(image, key, _):
    column = jnp.arange(image.shape[1])[:, None]
    quarter = image.shape[1] // 4
    inside = (column >= quarter) & (column < image.shape[1] - quarter)
    return jnp.where(inside, image, 1.0 - image)


CURVES = (
    Curve(_rotate, {"degrees": _ROTATION, "sign": "random", "seed": SEED, **SAMPLING}, "rotate"),
    Curve(
        _translate,
        {"pixels along x and y": _SHIFT, "signs": "random", "seed": SEED, **SAMPLING},
        "translate",
    ),
    Curve(_shear, {"pixels per row, the top to the right": _SHEAR, **SAMPLING}, "shear"),
    Curve(
        lambda image, key, _: move(image, _SCALE * jnp.eye(2)),
        {"times the original size": _SCALE, **SAMPLING},
        "scale",
    ),
    Curve(lambda image, key, _: image + _BRIGHTNESS, {"added": _BRIGHTNESS}, "brightness"),
    Curve(
        _impulse,
        {"share of pixels set to 0 or 1, evenly": _IMPULSE, "seed": SEED},
        "impulse noise",
    ),
    Curve(
        _speckle,
        {"standard deviation of the relative noise": _SPECKLE, "seed": SEED},
        "speckle noise",
    ),
    Curve(_stripe, {"inverted": "the outer quarters of the columns"}, "stripe"),
    Curve(lambda image, key, _: 1.0 - image, {}, "inverse"),
    Curve(
        lambda image, key, _: canny.edges(image),
        {
            "method": "Canny's, gradients thinned along the nearest of eight directions",
            "sigma": canny.SIGMA,
            "thresholds": [canny.LOW, canny.HIGH],
        },
        "Canny-like edges",
    ),
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy under each corruption."""
    return measure("corruptions", CURVES, predict, dataset, batch_size=batch_size)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images under each corruption."""
    return show(CURVES, images)
