"""Convolutional networks that differ in how they subsample, in depth, and in nothing else.

Blocks of convolutions with ReLU, each block followed by one subsampling, then one vector for each
image and a linear classifier. The family isolates what makes a network's output jump when its input
moves by a pixel: the kind of pooling, the stride, or the depth.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_float, as_images, flatten
from cnn.convolution import Convolution
from cnn.dense_layers import dense
from cnn.downsampling import EDGES, KINDS, UNFILTERED, downsample, prefilter
from cnn.losses import classification_loss
from cnn.output import Output, in_mode
from cnn.polyphase import NAME, LearnablePolyphaseSampling

HEADS = ("average", "max", "dense")
DOWNSAMPLINGS = (*KINDS, NAME)
_SUBSAMPLED_ALONE = (*UNFILTERED, NAME)


@dataclasses.dataclass
class PoolingNetworkConfig:
    """Architecture of a `PoolingNetwork`.

    Attributes:
        downsampling: A kind of `cnn.downsampling.downsample`, or "lps", a
            `cnn.polyphase.LearnablePolyphaseSampling` behind each block.
        downsamplings: How many there are; the cumulative stride is two to this power.
        layers: Convolutions, shared out evenly over the blocks, the first ones getting more.
        channels: Of the first block's convolutions; every other block has twice as many.
        kernel_size: Height and width of every kernel, in pixels.
        edges: What lies beyond the edges of a feature map, "zeros" or "circular".
        head: What makes one vector of a feature map: "average" or "max" over all places, or
            "dense", a hidden layer over every value of it.
        dense: Width of the hidden layer, with the head "dense".
    """

    downsampling: str = "max2"
    downsamplings: int = 2
    layers: int = 4
    channels: int = 32
    kernel_size: int = 3
    edges: str = "zeros"
    head: str = "average"
    dense: int = 128

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "PoolingNetwork":
        """Creates the network for images of (height, width, channels)."""
        return PoolingNetwork(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        few = validation.whole(0, validation.MAX_UNROLLED)
        validation.check(
            self,
            downsampling=validation.one_of(*DOWNSAMPLINGS),
            downsamplings=few,
            layers=few,
            # Twice as many follow in the other blocks.
            channels=validation.whole(most=validation.MAX_SIZE // 2),
            kernel_size=validation.whole(),
            edges=validation.one_of(*EDGES),
            head=validation.one_of(*HEADS),
            dense=validation.whole(),
        )
        blocks = self.downsamplings + 1
        if self.layers < blocks:
            raise ValueError(
                f"layers={self.layers}: must be at least downsamplings + 1 = {blocks}, one "
                "convolution for each block"
            )


class PoolingNetwork(nnx.Module):
    """Blocks of convolutions with subsampling between them, a head, a linear classifier.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a field has a value that no network can have.
    """

    def __init__(
        self,
        config: PoolingNetworkConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        self.config, self.image_shape = config, image_shape
        blocks, channels = config.downsamplings + 1, image_shape[-1]
        layers, samplers = [], []
        for block in range(blocks):
            width = config.channels * (2 if block else 1)
            for _ in range(config.layers // blocks + (block < config.layers % blocks)):
                layers.append(Convolution(channels, width, config.kernel_size, rngs=rngs))
                channels = width
            if config.downsampling == NAME and block < config.downsamplings:
                samplers.append(LearnablePolyphaseSampling(channels, edges=config.edges, rngs=rngs))
        self.convolutions = nnx.List(layers)
        self.samplers = nnx.List(samplers) if samplers else None
        # Without noise, of which none can be drawn within the trace.
        evaluated: Any = in_mode(self, training=False)
        shape = jax.eval_shape(evaluated._convolve_all, jnp.zeros((1, *image_shape))).shape
        self.hidden = (
            dense(shape[1] * shape[2] * channels, config.dense, rngs=rngs)
            if config.head == "dense"
            else None
        )
        features = channels if self.hidden is None else config.dense
        self.classifier = nnx.Linear(features, num_classes, rngs=rngs)

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The feature map behind every convolution, and before and behind every subsampling.

        Names are "convolution N", "filtered N" (of which every other pixel is taken, where that is
        not the convolution before) and "downsampling N", counted from 1; in the network's order.
        """
        config, found = self.config, {}
        blocks = config.downsamplings + 1
        features, layer = as_float(images), 0
        for block in range(blocks):
            for _ in range(config.layers // blocks + (block < config.layers % blocks)):
                features = nnx.relu(self._convolve(self.convolutions[layer], features))
                layer += 1
                found[f"convolution {layer}"] = features
            if block < config.downsamplings:
                if config.downsampling not in _SUBSAMPLED_ALONE:
                    found[f"filtered {block + 1}"] = prefilter(
                        features, config.downsampling, edges=config.edges
                    )
                features = self._downsample(block, features)
                found[f"downsampling {block + 1}"] = features
        return found

    def _downsample(self, block: int, features):
        if self.samplers is not None:
            return self.samplers[block](features)
        return downsample(features, self.config.downsampling, edges=self.config.edges)

    def _convolve(self, convolution: Convolution, features):
        before = (self.config.kernel_size - 1) // 2
        after = self.config.kernel_size - 1 - before
        mode = "wrap" if self.config.edges == "circular" else "constant"
        return convolution(
            jnp.pad(features, ((0, 0), (before, after), (before, after), (0, 0)), mode=mode)
        )

    def _convolve_all(self, images):
        return list(self.activations(images).values())[-1]

    def _head(self, maps):
        if self.hidden is not None:
            return nnx.relu(self.hidden(flatten(maps)))
        return (jnp.mean if self.config.head == "average" else jnp.max)(maps, axis=(1, 2))

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]; the features are the vector that the head makes."""
        features = self._head(self._convolve_all(as_images(images, self.image_shape)))
        return Output(self.classifier(features), features=features)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy and accuracy of a batch; see `cnn.classification_loss`."""
        return classification_loss(self(batch.images).logits, batch.labels)
