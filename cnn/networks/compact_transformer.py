"""Compact convolutional transformers of a given size.

Hassani et al., "Escaping the big data paradigm with compact transformers" (2021): convolutions with
pooling make the tokens, so that these overlap and need no large data set to be learnt; a
pre-norm encoder of Dosovitskiy et al. (2021) follows, and a weighted mean of its tokens, with
weights of their own, in place of a class token. The defaults are those of their CCT-2/3x2.
"""

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_float, as_images
from cnn.convolution import Convolution
from cnn.downsampling import downsample
from cnn.losses import classification_loss
from cnn.output import Output
from cnn.parameter_budget import build_matched

_KERNEL_SIZE = 3
_SMALL = nnx.initializers.truncated_normal(0.02)


@dataclasses.dataclass
class CompactTransformerConfig:
    """Architecture of a `CompactTransformer`.

    Attributes:
        tokeniser: Channels of the convolutions before the last, which has those of the tokens.
        layers: Of the encoder.
        heads: Of the attention in each layer.
        expansion: Units of a layer's hidden layer for each channel of the tokens.
        attention_dropout: Share of the attention's weights that is dropped in training, in [0, 1).
        stochastic_depth: Share of the images for which training skips attention or dense layers of
            the last layer, in [0, 1); the share grows evenly from 0 in the first.
        parameters: Of the whole network; the nearest number of channels of a head is taken.
    """

    tokeniser: tuple[int, ...] = (64,)
    layers: int = 2
    heads: int = 2
    expansion: int = 1
    attention_dropout: float = 0.1
    stochastic_depth: float = 0.1
    parameters: int = 400_000

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "CompactTransformer":
        """Creates the network for images of (height, width, channels)."""
        self.check()
        validation.check_task(image_shape, num_classes)
        return build_matched(CompactTransformer, self, image_shape, num_classes, rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        few = validation.whole(most=validation.MAX_UNROLLED)
        validation.check(
            self,
            tokeniser=validation.each(validation.whole()),
            layers=few,
            heads=few,
            expansion=few,
            attention_dropout=validation.share,
            stochastic_depth=validation.share,
            parameters=validation.whole(most=validation.MAX_PARAMETERS),
        )


class EncoderLayer(nnx.Module):
    """Attention, then two dense layers, each with layer normalisation before it and a skip.

    z' = z + attention(norm(z)),  z'' = z' + dense(GELU(dense(norm(z'))))

    Args:
        channels: Of the tokens.
        config: The network's.
        skipped: Share of the images for which training skips either summand.
        rngs: Source of the initial values and of the dropout masks.
    """

    def __init__(
        self, channels: int, config: CompactTransformerConfig, skipped: float, *, rngs: nnx.Rngs
    ):
        self.attention_norm = nnx.LayerNorm(channels, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(
            config.heads,
            channels,
            dropout_rate=config.attention_dropout,
            broadcast_dropout=False,
            deterministic=False,
            decode=False,
            kernel_init=_SMALL,
            rngs=rngs,
        )
        hidden = channels * config.expansion
        self.dense_norm = nnx.LayerNorm(channels, rngs=rngs)
        self.hidden = nnx.Linear(channels, hidden, kernel_init=_SMALL, rngs=rngs)
        self.projection = nnx.Linear(hidden, channels, kernel_init=_SMALL, rngs=rngs)
        # One mask for all tokens of an image: Huang et al., "Deep networks with stochastic depth".
        self.depth = nnx.Dropout(skipped, broadcast_dims=(1, 2), rngs=rngs)

    def __call__(
        self, tokens: Float[Array, "batch tokens channels"]
    ) -> Float[Array, "batch tokens channels"]:
        """The tokens after both summands."""
        tokens = tokens + self.depth(self.attention(self.attention_norm(tokens)))
        hidden = nnx.gelu(self.hidden(self.dense_norm(tokens)), approximate=False)
        return tokens + self.depth(self.projection(hidden))


class CompactTransformer(nnx.Module):
    """Convolutions with pooling, a transformer's encoder on the places of their map, a classifier.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        width: Channels of each head.
        rngs: Source of the initial values and of the dropout masks.
    """

    def __init__(
        self,
        config: CompactTransformerConfig,
        image_shape: Sequence[int],
        num_classes: int,
        *,
        width: int,
        rngs: nnx.Rngs,
    ):
        self.image_shape = tuple(image_shape)
        channels = config.heads * width
        widths = (image_shape[-1], *config.tokeniser, channels)
        self.convolutions = nnx.List(
            Convolution(*sizes, _KERNEL_SIZE, padding="SAME", use_bias=False, rngs=rngs)
            for sizes in itertools.pairwise(widths)
        )
        height, image_width = (
            functools.reduce(lambda size, _: -(-size // 2), widths[1:], side)
            for side in self.image_shape[:2]
        )
        start = nnx.initializers.truncated_normal(0.2)
        self.positions = nnx.Param(start(rngs.params(), (height * image_width, channels)))
        last = max(config.layers - 1, 1)
        self.layers = nnx.List(
            EncoderLayer(channels, config, config.stochastic_depth * layer / last, rngs=rngs)
            for layer in range(config.layers)
        )
        self.norm = nnx.LayerNorm(channels, rngs=rngs)
        self.pooling = nnx.Linear(channels, 1, kernel_init=_SMALL, rngs=rngs)
        self.classifier = nnx.Linear(channels, num_classes, kernel_init=_SMALL, rngs=rngs)

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The maps of the tokeniser, "convolution N" and "pooling N", counted from 1.

        The images may be of any size; the encoder takes those of one size only.
        """
        found, features = {}, as_float(images)
        for number, convolution in enumerate(self.convolutions, start=1):
            features = found[f"convolution {number}"] = nnx.relu(convolution(features))
            features = found[f"pooling {number}"] = downsample(features, "max3s2")
        return found

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]; the features are the weighted mean of the tokens.

        softmax(z w + b)^T z, of the normalised tokens z: the paper's sequence pooling.
        """
        maps = list(self.activations(as_images(images, self.image_shape)).values())[-1]
        tokens = maps.reshape(maps.shape[0], *self.positions.shape) + self.positions[...]
        for layer in self.layers:
            tokens = layer(tokens)
        tokens = self.norm(tokens)
        weights = jax.nn.softmax(self.pooling(tokens), axis=1)
        features = jnp.sum(weights * tokens, axis=1)
        return Output(self.classifier(features), features=features)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy and accuracy of a batch; see `cnn.classification_loss`."""
        return classification_loss(self(batch.images).logits, batch.labels)
