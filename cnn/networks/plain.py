"""Plain convolutional classifiers: the baselines that other models are compared with.

One network covers them all: convolutions with optional pooling, then dense layers with dropout
before the classifier. `paper` is the baseline of Sabour, Frosst and Hinton (2017), section 5;
its published size of 35.4 million parameters is reached only with SAME padding.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_float, as_images, flatten
from cnn.convolution import Convolution
from cnn.dense_layers import dense
from cnn.losses import classification_loss
from cnn.output import Output
from cnn.pooling import POOLINGS, check_one_for_each, pool


@dataclasses.dataclass
class ConvolutionalNetworkConfig:
    """Architecture of a `ConvolutionalNetwork`.

    Attributes:
        channels: Output channels of each convolution.
        kernel_size: Height and width of every kernel, in pixels, or one number per convolution.
        padding: "SAME" or "VALID".
        pooling: Pooling after each convolution (see `cnn.pool`), one name per convolution.
        dense: Widths of the hidden dense layers.
        dropout: Share of the last hidden layer's units that is dropped in training, in [0, 1).
        dtype: Compute type, "float32" or "bfloat16"; parameters and the loss stay in float32.
    """

    channels: tuple[int, ...] = (256, 256, 128)
    kernel_size: int | tuple[int, ...] = 5
    padding: str = "SAME"
    pooling: tuple[str, ...] = ("none", "none", "none")
    dense: tuple[int, ...] = (328, 192)
    dropout: float = 0.5
    dtype: str = "float32"

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "ConvolutionalNetwork":
        """Creates the network for images of (height, width, channels)."""
        return ConvolutionalNetwork(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        size = validation.whole()
        each_its_own = isinstance(self.kernel_size, tuple | list)
        validation.check(
            self,
            channels=validation.each(size, least=1),
            kernel_size=validation.each(size) if each_its_own else size,
            padding=validation.one_of("SAME", "VALID"),
            pooling=validation.each(validation.one_of(*POOLINGS)),
            dense=validation.each(size),
            dropout=validation.share,
            dtype=validation.one_of(*validation.DTYPES),
        )
        check_one_for_each(self.pooling, self.channels)
        if len(self.kernel_sizes) != len(self.channels):
            raise ValueError(
                f"kernel_size={self.kernel_size!r} must be one number, or one for each of the "
                f"{len(self.channels)} convolutions"
            )

    @property
    def kernel_sizes(self) -> tuple[int, ...]:
        """Height and width of each convolution's kernel."""
        if isinstance(self.kernel_size, int):
            return (self.kernel_size,) * len(self.channels)
        return tuple(self.kernel_size)

    @property
    def smallest_side(self) -> int:
        """Height and width of the smallest images of which the layers leave anything."""
        side = 1
        for kind, kernel_size in zip(self.pooling[::-1], self.kernel_sizes[::-1], strict=True):
            side *= 1 if kind == "none" else 2
            side += kernel_size - 1 if self.padding == "VALID" else 0
        return side


def paper() -> ConvolutionalNetworkConfig:
    """The CNN of Sabour et al. (2017): 35,445,522 parameters on 28x28 grey images, 10 classes."""
    return ConvolutionalNetworkConfig()


def matched() -> ConvolutionalNetworkConfig:
    """The paper's CNN with pooling, its dense layer sized to all of CapsNet, decoder included.

    8,214,147 parameters on 28x28 grey images and 10 classes, 0.02 % below CapsNet's 8,215,568; but
    1,411,344 of CapsNet's are its decoder, which takes no part in classification.
    """
    return ConvolutionalNetworkConfig(pooling=("max2", "max2", "none"), dense=(889, 192))


def small() -> ConvolutionalNetworkConfig:
    """A two-convolution network that a CPU trains in minutes."""
    return ConvolutionalNetworkConfig(
        channels=(32, 64), pooling=("max2", "max2"), dense=(128,), dropout=0.5
    )


def wide_kernels() -> ConvolutionalNetworkConfig:
    """Three layers of CapsNet's 9x9 kernels with average pooling: 5,240,762 parameters.

    The kernel's size alone changes how a CNN responds to affine distortions, so a comparison with
    CapsNet's 9x9 kernels needs a baseline that has them too.
    """
    return ConvolutionalNetworkConfig(
        channels=(96, 192, 192),
        kernel_size=9,
        pooling=("average2", "average2", "none"),
        dense=(80,),
    )


class ConvolutionalNetwork(nnx.Module):
    """Convolutions, pooling, dense layers, a linear classifier; ReLU between them.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        rngs: Source of the initial values and of the dropout masks.

    Raises:
        ValueError: if the images are too small for the convolutions and poolings, or a field has
            a value that no network can have.
    """

    def __init__(
        self,
        config: ConvolutionalNetworkConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        layers = "the convolutions and poolings"
        validation.check_side(image_shape, config.smallest_side, layers)
        in_channels = (image_shape[-1], *config.channels)
        self.convolutions = nnx.List(
            Convolution(
                in_channels[layer],
                in_channels[layer + 1],
                config.kernel_sizes[layer],
                padding=config.padding,
                dtype=config.dtype,
                rngs=rngs,
            )
            for layer in range(len(config.channels))
        )
        self.image_shape = image_shape
        self.pooling = config.pooling
        self.dtype = config.dtype
        features = jax.eval_shape(self._convolve, jnp.zeros((1, *image_shape)))
        widths = (features.size, *config.dense)
        self.dense = nnx.List(
            dense(widths[layer], widths[layer + 1], dtype=config.dtype, rngs=rngs)
            for layer in range(len(config.dense))
        )
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.classifier = nnx.Linear(widths[-1], num_classes, rngs=rngs)

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The feature map behind every convolution and every pooling, in their order.

        Names are "convolution N" and "pooling N", counted from 1 by the convolutions. The images
        may be of any size, for the dense layers are not used.
        """
        found, features = {}, as_float(images).astype(self.dtype)
        layers = zip(self.convolutions, self.pooling, strict=True)
        for number, (convolution, kind) in enumerate(layers, start=1):
            features = found[f"convolution {number}"] = nnx.relu(convolution(features))
            if kind != "none":
                features = found[f"pooling {number}"] = pool(features, kind)
        return found

    def _convolve(self, images):
        return flatten(list(self.activations(images).values())[-1])

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]; the logits are float32.

        The features are the last hidden layer, before dropout.
        """
        features = self._convolve(as_images(images, self.image_shape))
        for layer in self.dense:
            features = nnx.relu(layer(features))
        logits = self.classifier(self.dropout(features).astype(jnp.float32))
        return Output(logits, features=features)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Mean softmax cross-entropy of a batch (`.images` in [0, 1], `.labels` integers).

        Returns:
            The loss in nats, and the batch's accuracy in [0, 1] as a metric.
        """
        return classification_loss(self(batch.images).logits, batch.labels)
