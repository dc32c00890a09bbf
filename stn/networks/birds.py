"""Fine-grained classification by several crops of fixed size, as for the paper's birds.

Appendix A.6 of Jaderberg et al. (2015): one localisation network places all windows, which learn to
attend to parts of the bird. The paper's networks are Inception with batch normalisation, trained on
ImageNet beforehand. Those here are small residual networks (He et al., 2015) that start from
nothing, so the paper's accuracies are out of their reach.
"""

import dataclasses
import functools

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import Convolution, Output, Warp, classification_loss, dense, validation
from cnn.arrays import as_float, as_images, flatten
from stn.layers.parallel import tiled_poses
from stn.layers.transformer import without_unknown
from stn.sampling import sample
from stn.transforms import FixedScaleAttention

# Rows and columns of the windows that tile the image at the start.
TILES = {1: (1, 1), 2: (1, 2), 4: (2, 2)}


@dataclasses.dataclass
class PartsConfig:
    """Architecture of a `PartsNetwork`.

    Attributes:
        transformers: How many windows: 1, 2 or 4.
        scale: Of a window, against the image.
        crop: Height and width of the crops, in pixels; `scale` times the image's keeps its pixels.
        widths: Channels of the stages of each residual network; each stage halves the image.
        dropout: Share of the features dropped before the classifier, in [0, 1).
    """

    transformers: int = 4
    scale: float = 0.5
    crop: int = 112
    widths: tuple[int, ...] = (32, 64, 128, 256)
    dropout: float = 0.7

    def build(
        self, image_shape: tuple[int, ...], num_classes: int, rngs: nnx.Rngs
    ) -> "PartsNetwork":
        """Creates the network for images of (height, width, channels)."""
        return PartsNetwork(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        validation.check(
            self,
            transformers=validation.one_of(*TILES),
            scale=validation.number(0.0, 1e3, beyond=True),
            crop=validation.whole(most=4096),
            widths=validation.each(validation.whole(), least=1),
            dropout=validation.share,
        )


class ResidualBlock(nnx.Module):
    """Two 3x3 convolutions with batch normalisation beside a 1x1 convolution; halves the image.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        rngs: Source of the initial values.
    """

    def __init__(self, in_channels: int, out_channels: int, *, rngs: nnx.Rngs):
        layer = functools.partial(Convolution, padding="SAME", use_bias=False, rngs=rngs)
        self.first = layer(in_channels, out_channels, 3, strides=2)
        self.first_norm = nnx.BatchNorm(out_channels, momentum=0.9, rngs=rngs)
        self.second = layer(out_channels, out_channels, 3)
        self.second_norm = nnx.BatchNorm(out_channels, momentum=0.9, rngs=rngs)
        self.shortcut = layer(in_channels, out_channels, 1, strides=2)
        self.shortcut_norm = nnx.BatchNorm(out_channels, momentum=0.9, rngs=rngs)

    def __call__(
        self, features: Float[Array, "batch height width in_channels"]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Features at half the size, rounded up."""
        residual = nnx.relu(self.first_norm(self.first(features)))
        residual = self.second_norm(self.second(residual))
        return nnx.relu(residual + self.shortcut_norm(self.shortcut(features)))


class Trunk(nnx.Module):
    """Residual blocks, one a stage.

    Args:
        in_channels: Channels of the images.
        widths: Channels of the stages.
        rngs: Source of the initial values.
    """

    def __init__(self, in_channels: int, widths: tuple[int, ...], *, rngs: nnx.Rngs):
        sizes = zip((in_channels, *widths[:-1]), widths, strict=True)
        self.blocks = nnx.List(ResidualBlock(*pair, rngs=rngs) for pair in sizes)

    def __call__(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> Float[Array, "batch out_height out_width features"]:
        """Feature maps of images."""
        features = as_float(images)
        for block in self.blocks:
            features = block(features)
        return features


class WindowsLocalisation(nnx.Module):
    """A trunk, a 1x1 convolution and a dense layer of 128, and a regression to all shifts.

    Args:
        image_shape: Height, width and channels of the images.
        transformers: Number of windows; at the start they tile the image.
        widths: Of the trunk.
        rngs: Source of the initial values.
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        transformers: int,
        widths: tuple[int, ...],
        *,
        rngs: nnx.Rngs,
    ):
        self.image_shape = image_shape
        self.trunk = Trunk(image_shape[-1], widths, rngs=rngs)
        self.squeeze = Convolution(widths[-1], 128, 1, rngs=rngs)
        # Every stage halves the image, rounded up.
        height, width = (-(-side // 2 ** len(widths)) for side in image_shape[:2])
        self.dense = dense(height * width * 128, 128, rngs=rngs)
        start = tiled_poses(*TILES[transformers])[:, [2, 5]].reshape(-1)
        self.regression = nnx.Linear(
            128,
            2 * transformers,
            kernel_init=nnx.initializers.zeros_init(),
            bias_init=lambda key, shape, dtype: jnp.asarray(start, dtype).reshape(shape),
            rngs=rngs,
        )

    def __call__(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> Float[Array, "batch transformers 2"]:
        """Shifts (x, y) of every window."""
        images = as_images(images, self.image_shape)
        features = nnx.relu(self.squeeze(self.trunk(images)))
        features = nnx.relu(self.dense(flatten(features)))
        shifts = self.regression(features)
        return shifts.reshape(shifts.shape[0], shifts.shape[1] // 2, 2)


class PartsNetwork(nnx.Module):
    """Windows of one size on an image, a residual network for each, one classifier of them all.

    The windows' places are parameters beneath the name `localisation`; the paper trains them at
    1e-4 of the other layers' rate.

    Args:
        config: The architecture.
        image_shape: Height, width and channels of the images.
        num_classes: Number of classes.
        rngs: Source of the initial values and of the dropout masks.

    Raises:
        ValueError: if a field has a value that no network can have.
    """

    def __init__(
        self,
        config: PartsConfig,
        image_shape: tuple[int, ...],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        self.transform = FixedScaleAttention(config.scale)
        self.crop = (config.crop, config.crop)
        self.localisation = WindowsLocalisation(
            image_shape, config.transformers, config.widths, rngs=rngs
        )
        self.trunks = nnx.List(
            Trunk(image_shape[-1], config.widths, rngs=rngs) for _ in range(config.transformers)
        )
        self.dropout = nnx.Dropout(config.dropout, rngs=rngs)
        self.classifier = nnx.Linear(
            config.transformers * config.widths[-1], num_classes, rngs=rngs
        )

    def _crop(self, images) -> Warp:
        """The crops of images, and where each pixel was read."""
        shifts = self.localisation(images)
        grids = [self.transform.grid(shifts[:, k], self.crop) for k in range(shifts.shape[1])]
        crops = [
            without_unknown(sample(images, grid), shifts[:, k]) for k, grid in enumerate(grids)
        ]
        return Warp(jnp.stack(crops, axis=1), jnp.stack(grids, axis=1))

    def __call__(self, images: Num[ArrayLike, "batch height width channels"]) -> Output:
        """Classifies images in [0, 1]; the features are those of all parts, before dropout."""
        warp = self._crop(images)
        parts = [
            jnp.mean(trunk(warp.images[:, part]), axis=(1, 2))
            for part, trunk in enumerate(self.trunks)
        ]
        features = jnp.concatenate(parts, axis=-1)
        return Output(self.classifier(self.dropout(features)), features=features, warp=warp)

    def loss(self, batch) -> tuple[Float[Array, ""], dict[str, Num[Array, ""]]]:
        """Softmax cross-entropy and accuracy of a batch; see `cnn.classification_loss`."""
        return classification_loss(self(batch.images).logits, batch.labels)
