"""Real digits and quick classifiers for the tests of suites."""

import functools

import jax
import numpy as np
from flax import nnx

from cnn.networks.plain import ConvolutionalNetworkConfig
from data.dataset import Dataset, Split
from data.sources import idx
from tests.conftest import ROOT


@functools.cache
def mnist(split):
    """Images and labels of the bundled MNIST."""
    return idx.read_split(ROOT / "data" / "mnist", split)


def dataset(images, labels, num_classes=10):
    split = Split(np.ascontiguousarray(images), np.asarray(labels, np.int32))
    return Dataset("digits", num_classes, split, split, split)


@functools.cache
def some_digits(count=24):
    """MNIST test images, and a blank one in the middle."""
    images, labels = mnist("test")
    images = images[:count].copy()
    images[count // 2] = 0
    return dataset(images, labels[:count])


@functools.cache
def random_network(shape=(28, 28, 1)):
    """Predictions of a CNN that has learnt nothing."""
    config = ConvolutionalNetworkConfig((6,), pooling=("max2",), dense=(16,), dropout=0.0)
    model = config.build(shape, 10, nnx.Rngs(0))
    model.eval()
    graph, state = nnx.split(model)
    predict = jax.jit(lambda images: nnx.merge(graph, state)(images).logits)
    return lambda images: np.asarray(predict(images))


@functools.cache
def linear_weights():
    """Weights of the least-squares classifier of 10,000 training images, with a little ridge: a row
    for each pixel, and one of constants."""
    images, labels = mnist("train")
    pixels = _with_one(images[:10000] / np.float32(255.0))
    targets = np.eye(10, dtype=np.float32)[labels[:10000]]
    return np.linalg.solve(pixels.T @ pixels + 10.0 * np.eye(pixels.shape[1]), pixels.T @ targets)


@functools.cache
def linear_classifier():
    """Predictions of the classifier of `linear_weights`."""
    return lambda images: _with_one(np.asarray(images)) @ linear_weights()


def _with_one(images):
    flat = images.reshape(len(images), -1)
    return np.concatenate([flat, np.ones((len(flat), 1), flat.dtype)], axis=1)


def constant(images):
    """Predictions of a classifier that predicts 7 for everything."""
    return np.eye(10)[np.full(len(images), 7)]
