"""The paper's house-number networks: a deep CNN with transformers at its input or between layers.

Appendix A.5 of Jaderberg et al. (2015). Its images show whole numbers, of up to five digits on
64x64 or 128x128 pixels, and the network ends in a softmax for each place.
"""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Num

from cnn import Convolution, Output, Warp, classification_loss, dense, pool, validation
from cnn.arrays import as_images, flatten
from cnn.pooling import POOLINGS, check_one_for_each
from stn.layers.localisation import DenseLocalisation
from stn.layers.transformer import SpatialTransformer, Transformed
from stn.transforms import Affine

PLACES = {"none": 0, "single": 1, "multi": 4}


@dataclasses.dataclass
class HouseNumberConfig:
    """Architecture of a `HouseNumberNetwork`.

    Attributes:
        transformers: "none"; "single" (one at the input, with a convolutional localisation
            network) or "multi" (before each of the first four convolutions, with dense ones).
        digits: How many digits an image shows.
        channels: Of the 5x5 convolutions.
        pooling: After each of them, see `cnn.pool`.
        dense: Widths of the hidden dense layers.
        dropout: Share of units dropped in training, in [0, 1), after every layer but the first
            convolution and the localisation networks.
    """

    transformers: str = "multi"
    digits: int = 1
    channels: tuple[int, ...] = (48, 64, 128, 160, 192, 192, 192, 192)
    pooling: tuple[str, ...] = ("max2", "none", "max2", "none", "max2", "none", "max2", "none")
    dense: tuple[int, ...] = (3072, 3072)
    dropout: float = 0.5

    def build(
        self, image_shape: tuple[int, ...], num_classes: int, rngs: nnx.Rngs
    ) -> "HouseNumberNetwork":
        """Creates the network for images of (height, width, channels)."""
        self.check()
        return HouseNumberNetwork(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        validation.check(
            self,
            transformers=validation.one_of(*PLACES),
            digits=validation.whole(most=validation.MAX_UNROLLED),
            channels=validation.each(validation.whole(), least=1),
            pooling=validation.each(validation.one_of(*POOLINGS)),
            dense=validation.each(validation.whole()),
            dropout=validation.share,
        )
        check_one_for_each(self.pooling, self.channels)

    @property
    def smallest_side(self) -> int:
        """Height and width of the smallest images of which the poolings leave anything."""
        left = 2 ** sum(kind != "none" for kind in self.pooling)
        return max(left, InputLocalisation.smallest_side if self.transformers == "single" else 1)


class InputLocalisation(nnx.Module):
    """Convolution of 32 5x5 filters, max pooling by 2, another such convolution, 32 dense units.

    Args:
        image_shape: Height, width and channels of the images.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are too small for the pooling.
    """

    num_features = 32
    smallest_side = 2

    def __init__(self, image_shape: tuple[int, ...], *, rngs: nnx.Rngs):
        validation.check_shape(image_shape)
        validation.check_side(image_shape, self.smallest_side, "the pooling by 2")
        self.first = Convolution(image_shape[-1], 32, 5, padding="SAME", rngs=rngs)
        self.second = Convolution(32, 32, 5, padding="SAME", rngs=rngs)
        features = jax.eval_shape(self._convolve, jnp.zeros((1, *image_shape)))
        self.dense = dense(features.size, 32, rngs=rngs)

    def _convolve(self, images):
        features = nnx.relu(self.second(pool(nnx.relu(self.first(images)), "max2")))
        return flatten(features)

    def __call__(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> Float[Array, "batch features"]:
        """Features of each image."""
        return nnx.relu(self.dense(self._convolve(images)))


class HouseNumberNetwork(nnx.Module):
    """Convolutions, dense layers, and a linear classifier for each digit; ReLU between them.

    The transformers are parameters beneath the name `transformers`; the paper trains them at a
    tenth of the other layers' rate.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Of each digit.
        rngs: Source of the initial values and of the dropout masks.

    Raises:
        ValueError: if nothing is left of the images after the poolings, or a field has a value
            that no network can have.
    """

    def __init__(
        self,
        config: HouseNumberConfig,
        image_shape: tuple[int, ...],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        validation.check_side(image_shape, config.smallest_side, "the poolings")
        self.image_shape = image_shape
        self.pooling, self.digits = config.pooling, config.digits
        height, width, channels = image_shape
        convolutions, transformers = [], []
        for layer, filters in enumerate(config.channels):
            if layer < PLACES[config.transformers]:
                shape = (height, width, channels)
                transformers.append(_transformer(config.transformers, shape, rngs))
            convolutions.append(Convolution(channels, filters, 5, padding="SAME", rngs=rngs))
            shrink = 1 if config.pooling[layer] == "none" else 2
            height, width, channels = height // shrink, width // shrink, filters
        self.convolutions, self.transformers = nnx.List(convolutions), nnx.List(transformers)
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        widths = (height * width * channels, *config.dense)
        self.dense = nnx.List(dense(*pair, rngs=rngs) for pair in itertools.pairwise(widths))
        self.classifier = nnx.Linear(widths[-1], config.digits * num_classes, rngs=rngs)

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]; of a single digit the logits have no axis of digits.

        The features are what the classifier is given, and the warp is that of the transformer at
        the input, where there is one.
        """
        features, warp = as_images(images, self.image_shape), None
        for layer, convolution in enumerate(self.convolutions):
            if layer < len(self.transformers):
                transformed: Transformed = self.transformers[layer](features)
                features = transformed.images
                if layer == 0:
                    warp = Warp(features[:, None], transformed.grid[:, None])
            features = pool(nnx.relu(convolution(features)), self.pooling[layer])
            features = self.dropout(features) if layer else features
        features = flatten(features)
        for layer in self.dense:
            features = self.dropout(nnx.relu(layer(features)))
        logits = self.classifier(features)
        if self.digits > 1:
            logits = logits.reshape(logits.shape[0], self.digits, logits.shape[1] // self.digits)
        return Output(logits, features=features, warp=warp)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy, summed over the digits.

        Args:
            batch: With `images` in [0, 1] and integer `labels`, `[batch]` or `[batch, digits]`.

        Returns:
            The loss in nats, and as a metric the share of images of which every digit is right.
        """
        logits, labels = self(batch.images).logits, jnp.asarray(batch.labels).astype(int)
        if labels.shape != logits.shape[:-1]:
            raise ValueError(
                f"labels of shape {labels.shape}: must be one a digit, {logits.shape[:-1]}"
            )
        mean, _ = classification_loss(
            logits.reshape(math.prod(labels.shape), logits.shape[-1]),
            labels.reshape(math.prod(labels.shape)),
        )
        return self.digits * mean, {"accuracy": _all_right(logits, labels)}


def _all_right(
    logits: Float[Array, "batch *digits classes"], labels: Int[Array, "batch *digits"]
) -> Float[Array, ""]:
    right = jnp.argmax(logits, axis=-1) == labels
    whole = jnp.all(right.reshape(right.shape[0], math.prod(right.shape[1:])), axis=-1)
    # Else the first NaN of a row would pass for its largest logit.
    return jnp.where(jnp.any(jnp.isnan(logits)), jnp.nan, jnp.mean(whole))


def _transformer(kind: str, shape: tuple[int, int, int], rngs: nnx.Rngs) -> SpatialTransformer:
    localisation = (
        InputLocalisation(shape, rngs=rngs)
        if kind == "single"
        else DenseLocalisation(shape, widths=(32, 32), rngs=rngs)
    )
    return SpatialTransformer(localisation, Affine(), rngs=rngs)
