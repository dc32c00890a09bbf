"""Stripes, and a classifier of their direction wherever they are, as patches need."""

import jax.numpy as jnp
import numpy as np

from data.dataset import Dataset, Split
from evaluation.model import Differentiable, Predictor

SIZE = 16


def dataset(count=40):
    """Faint stripes that stand (label 0) or lie (label 1), each image with its own phase."""
    labels = np.arange(count, dtype=np.int32) % 2
    phases = np.random.default_rng(0).uniform(0.0, 2.0 * np.pi, (count, 1, 1))
    waves = 128.0 + 25.0 * np.sin(np.arange(SIZE) * np.pi / 2.0 + phases)
    images = np.broadcast_to(waves, (count, SIZE, SIZE)).copy()
    images[labels == 1] = images[labels == 1].transpose(0, 2, 1)
    split = Split(np.round(images).astype(np.uint8)[..., None], labels)
    return Dataset("stripes", 2, split, split, split)


def scores(variables, images):
    across, down = (jnp.diff(images, axis=axis) for axis in (2, 1))
    energies = jnp.stack([jnp.mean(each**2, axis=(1, 2, 3)) for each in (across, down)], axis=-1)
    return variables * energies


MODEL = Differentiable(scores, jnp.array(100.0))
PREDICTOR = Predictor.of(
    lambda images: np.asarray(scores(MODEL.variables, images)), differentiable=MODEL
)
