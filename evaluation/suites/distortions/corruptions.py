"""Accuracy under the fifteen corruptions of MNIST-C, made anew from their definitions.

The kinds and strengths are those of MNIST-C (Mu and Gilmer, 2019), written for images of any size.
The random draws are others, so these are not its images, which `--test_data=mnist_corrupted/fog`
and the like read. As there, every strength is one for all images; rotation, shear and translation
go either way at random; a shear is by an angle, of 0.4, and makes images taller, too, by
1 / cos 0.4; a zigzag's last stroke is short.

What differs: grey levels are rounded; images of several channels have one stroke, fog or spatter
for all of them; the finest noise of fog is not part of its range (see
`evaluation.perturbations.weather`); motion blur follows ImageMagick's method, half a Gaussian over
the nearest pixels, and was not compared with it.
"""

import jax
import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset
from evaluation.model import Predict
from evaluation.perturbations import blur, canny, strokes, weather
from evaluation.perturbations.affine import SAMPLING, move, turn
from evaluation.perturbations.curve import SEED, Curve, measure, show
from evaluation.results.result import Result

REQUIRES = ("images",)
PASSES = 15
SEVERAL_LABELS = True

_ANGLE = 0.4
_SHIFT = 3.0
_SCALE = 0.7
_BRIGHTNESS = 0.5
_SHOTS = 3.0
_IMPULSE = 0.17
_GLASS = {"sigma": 0.7, "reach": 1, "rounds": 2}
_MOTION = {"sigma": 3.0, "radius": 10}
_MOTION_ANGLE = 45.0
_FOG = {"strength": 3.0, "decay": 1.4}
_RISE = 5
_DRAWN = {"seed": SEED}


def _shot(image, key, _):
    # As three counts and more are white, min(count, 3) is all that is needed: a uniform number is
    # above the chance of k counts or fewer for so many k.
    mean = _SHOTS * image
    chances = jnp.exp(-mean) * jnp.stack([1.0 + 0.0 * mean, 1.0 + mean, 1.0 + mean + mean**2 / 2])
    counts = jnp.sum(jax.random.uniform(key, image.shape) > chances, axis=0)
    return counts / _SHOTS


def _impulse(image, key, _):
    draw = jax.random.uniform(key, image.shape)
    return jnp.where(draw < _IMPULSE, (draw < _IMPULSE / 2.0).astype(image.dtype), image)


def _motion(image, key, _):
    angle = jax.random.uniform(key, minval=-_MOTION_ANGLE, maxval=_MOTION_ANGLE)
    return blur.motion(image, angle, **_MOTION)


def _shear(image, key, _):
    angle = _ANGLE * jax.random.rademacher(key, (), jnp.float32)
    return move(image, jnp.array([[1.0, jnp.tan(angle)], [0.0, 1.0 / jnp.cos(angle)]]))


def _rotate(image, key, _):
    sign = jax.random.rademacher(key, (), jnp.float32)
    return move(image, turn(jnp.rad2deg(_ANGLE) * sign))


def _translate(image, key, _):
    return move(image, jnp.eye(2), _SHIFT * jax.random.rademacher(key, (2,), jnp.float32))


def _stripe(image, key, _):
    column = jnp.arange(image.shape[1])[:, None]
    quarter = image.shape[1] // 4
    inside = (column >= quarter) & (column < image.shape[1] - quarter)
    return jnp.where(inside, image, 1.0 - image)


def _spatter(image, key, _):
    return weather.spatter(image, 0.65 + 0.3 * jax.random.normal(key, (*image.shape[:2], 1)))


def _dotted_line(image, key, _):
    first, last = jax.random.randint(key, (2,), 0, image.shape[0] - 1).astype(image.dtype)
    return image + strokes.dotted_line(image.shape[:2], first, last)


def _zigzag(image, key, _):
    first_key, rise_key = jax.random.split(key)
    first = jax.random.randint(first_key, (), 0, image.shape[0] - 1).astype(image.dtype)
    rise = jax.random.randint(rise_key, (), -_RISE, _RISE)
    return image + strokes.zigzag(image.shape[:2], first, first + rise)


_WARPED = {"radians": _ANGLE, "sign": "random", **_DRAWN, **SAMPLING}
CURVES = (
    Curve(_shot, {"expected counts of white": _SHOTS, **_DRAWN}, "shot noise"),
    Curve(_impulse, {"share of pixels set to 0 or 1, evenly": _IMPULSE, **_DRAWN}, "impulse noise"),
    Curve(lambda image, key, _: blur.glass(image, key, **_GLASS), _GLASS | _DRAWN, "glass blur"),
    Curve(
        _motion,
        {**_MOTION, "degrees": [-_MOTION_ANGLE, _MOTION_ANGLE], **_DRAWN},
        "motion blur",
    ),
    Curve(_shear, {"axis kept": "x", **_WARPED}, "shear"),
    Curve(
        lambda image, key, _: move(image, _SCALE * jnp.eye(2)),
        {"times the original size": _SCALE, **SAMPLING},
        "scale",
    ),
    Curve(_rotate, _WARPED, "rotate"),
    Curve(lambda image, key, _: image + _BRIGHTNESS, {"added": _BRIGHTNESS}, "brightness"),
    Curve(
        _translate,
        {"pixels along x and y": _SHIFT, "signs": "random", **_DRAWN, **SAMPLING},
        "translate",
    ),
    Curve(_stripe, {"inverted": "the outer quarters of the columns"}, "stripe"),
    Curve(lambda image, key, _: weather.fog(image, key, **_FOG), _FOG | _DRAWN, "fog"),
    Curve(_spatter, {"threshold": 0.65, "spread of the noise": 0.3, **_DRAWN}, "spatter"),
    Curve(_dotted_line, {"dashes": "two columns", **_DRAWN}, "dotted line"),
    Curve(_zigzag, {"rise, at most": _RISE, **_DRAWN}, "zigzag"),
    Curve(
        lambda image, key, _: canny.edges(image),
        {"method": "Canny's", "sigma": canny.SIGMA, "thresholds": [canny.LOW, canny.HIGH]},
        "Canny edges",
    ),
)


def evaluate(predict: Predict, dataset: Dataset, *, batch_size: int) -> list[Result]:
    """Measures accuracy under each corruption."""
    return measure("corruptions", CURVES, predict, dataset, batch_size=batch_size)


def examples(images: np.ndarray) -> dict[str, np.ndarray]:
    """Shows images under each corruption."""
    return show(CURVES, images)
