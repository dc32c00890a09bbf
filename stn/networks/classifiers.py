"""The classifiers that spatial transformers are put in front of in the paper's MNIST experiments.

Appendix A.4 of Jaderberg et al. (2015). A transformer is judged by what it adds to them, so they
are plain: ReLU, no dropout, no normalisation.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import Convolution, Output, dense, pool, validation
from cnn.arrays import as_float, as_images, flatten


class DenseClassifier(nnx.Module):
    """FCN: two hidden dense layers of one width, and a linear classifier.

    Args:
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        width: Units of each hidden layer.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a size is below 1.
    """

    smallest_side = 1

    def __init__(
        self, image_shape: tuple[int, ...], num_classes: int, *, width: int, rngs: nnx.Rngs
    ):
        validation.check_task(image_shape, num_classes)
        validation.check_values(width=(width, validation.whole()))
        height, image_width, channels = image_shape
        self.image_shape = image_shape
        self.first = dense(height * image_width * channels, width, rngs=rngs)
        self.second = dense(width, width, rngs=rngs)
        self.classifier = nnx.Linear(width, num_classes, rngs=rngs)

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]; the features are the second hidden layer."""
        features = self.layers(images)["dense 2"]
        return Output(self.classifier(features), features=features)

    def layers(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """Both hidden layers, by name."""
        first = nnx.relu(self.first(flatten(as_images(images, self.image_shape))))
        return {"dense 1": first, "dense 2": nnx.relu(self.second(first))}


class ConvolutionalClassifier(nnx.Module):
    """CNN: 9x9 and 7x7 convolutions, each with max pooling by 2, and a linear classifier.

    Args:
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        width: Filters of each convolution.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are too small for the layers, or a size is below 1.
    """

    smallest_side = 21

    def __init__(
        self, image_shape: tuple[int, ...], num_classes: int, *, width: int, rngs: nnx.Rngs
    ):
        validation.check_task(image_shape, num_classes)
        validation.check_values(width=(width, validation.whole()))
        layers = "the classifier's convolutions and poolings"
        validation.check_side(image_shape, self.smallest_side, layers)
        self.image_shape = image_shape
        self.first = Convolution(image_shape[-1], width, 9, rngs=rngs)
        self.second = Convolution(width, width, 7, rngs=rngs)
        _, features = jax.eval_shape(self._pooled, jnp.zeros((1, *image_shape)))
        self.classifier = nnx.Linear(features.size, num_classes, rngs=rngs)

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> tuple[
        Float[Array, "batch first"], Float[Array, "batch second"], Float[Array, "batch classes"]
    ]:
        """Activations of all three layers: the pooled convolutions, and the logits."""
        first, second = self._pooled(images)
        return first, second, self.classifier(second)

    def layers(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The feature map behind every convolution and every pooling, by name."""
        found = {"convolution 1": nnx.relu(self.first(as_float(images)))}
        found["pooling 1"] = _halve(found["convolution 1"])
        found["convolution 2"] = nnx.relu(self.second(found["pooling 1"]))
        found["pooling 2"] = _halve(found["convolution 2"])
        return found

    def _pooled(self, images):
        layers = self.layers(images)
        pooled = layers["pooling 1"], layers["pooling 2"]
        return tuple(flatten(features) for features in pooled)

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]; the features are the second pooled convolution."""
        _, features = self._pooled(as_images(images, self.image_shape))
        return Output(self.classifier(features), features=features)


def _halve(features):
    """Max pooling by 2 that keeps an odd last row or column, as the tools of the paper's time did.

    Without it the 7x7 kernel does not fit into what is left of RTS's 42x42 pixels behind a
    transformer and its average pooling.
    """
    _, height, width, _ = features.shape
    even = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    return pool(jnp.pad(features, even, constant_values=-jnp.inf), "max2")
