"""The capsule network of Sabour, Frosst and Hinton, "Dynamic routing between capsules" (2017).

Two presets: `paper` follows the text, `sabour_code` the authors' released TensorFlow code, which
differs in the scale of the loss, in a factor of 1/32 before the primary capsules' squash, in
biases and in initialisers.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from capsnet.networks import construction
from capsnet.networks.classifier import CapsuleClassifier
from capsnet.routing import DynamicRouting, Routing
from capsnet.routing.base import check_class_routing
from cnn import Convolution, validation
from cnn.arrays import as_float
from cnn.decoder import Decoder, DenseDecoder, check_decoder
from cnn.places import Places


@dataclasses.dataclass
class CapsNetConfig:
    """Architecture and loss of a `CapsNet`.

    Attributes:
        convolution_channels: Channels of the first convolution.
        kernel_size: Of both convolutions, in pixels.
        primary_types: Types of primary capsules.
        primary_dim: Components of a primary capsule.
        primary_stride: Of the primary capsules' convolution, in pixels.
        primary_coupling: Whether the primary capsules' convolution is scaled by one over the
            number of types, as the released code does.
        class_dim: Components of a class capsule.
        class_bias: Whether class capsules have a bias inside the routing, which has to take one.
        routing: From primary to class capsules.
        margin_weight: Weight of the margin loss.
        margin_reduction: Over classes: "sum" (the paper) or "mean" (the released code).
        reconstruction_weight: Weight of the summed squared pixel error; 0 leaves the decoder out.
        decoder: From the class capsules to the image.
        initializers: "he" (He's normal, biases zero; see `DenseCapsules` for its matrices) or
            "sabour_code" (truncated normals of deviation 0.05 and 0.1, biases 0.1).
        dtype: Compute type of convolutions, votes and decoder, "float32" or "bfloat16"; squash,
            routing and losses stay in float32.
    """

    convolution_channels: int = 256
    kernel_size: int = 9
    primary_types: int = 32
    primary_dim: int = 8
    primary_stride: int = 2
    primary_coupling: bool = False
    class_dim: int = 16
    class_bias: bool = False
    routing: Routing = dataclasses.field(default_factory=DynamicRouting)
    margin_weight: float = 1.0
    margin_reduction: str = "sum"
    reconstruction_weight: float = 0.0005
    decoder: Decoder = dataclasses.field(default_factory=DenseDecoder)
    initializers: str = "he"
    dtype: str = "float32"

    def build(
        self, image_shape: tuple[int, int, int], num_classes: int, rngs: nnx.Rngs
    ) -> "CapsNet":
        """Creates the network for images of (height, width, channels)."""
        return CapsNet(self, image_shape, num_classes, rngs=rngs)

    def check(self) -> None:
        """Raises a `ValueError` for a value that no network can have."""
        size, weight, flag = validation.whole(), validation.weight, validation.flag
        validation.check(
            self,
            convolution_channels=size,
            kernel_size=size,
            primary_types=size,
            primary_dim=size,
            primary_stride=size,
            primary_coupling=flag,
            class_dim=size,
            class_bias=flag,
            margin_weight=weight,
            margin_reduction=validation.one_of("sum", "mean"),
            reconstruction_weight=weight,
            initializers=validation.one_of("he", "sabour_code"),
            dtype=validation.one_of(*validation.DTYPES),
        )
        check_class_routing(self.routing)
        if self.class_bias and not self.routing.takes_bias:
            raise ValueError(
                f"class_bias=True: must be False with routing={self.routing!r}, which takes no bias"
            )
        check_decoder(self.decoder)


def paper() -> CapsNetConfig:
    """The network as the paper describes it: 8,215,568 parameters on 28x28 grey images."""
    return CapsNetConfig()


def sabour_code() -> CapsNetConfig:
    """The network as the authors' released code builds it: 8,215,728 parameters.

    Its margin loss is 0.05 times the paper's with ten classes (half the mean over classes), at
    the same reconstruction weight: the decoder counts 20 times as much.
    """
    return CapsNetConfig(
        primary_coupling=True,
        class_bias=True,
        margin_weight=0.5,
        margin_reduction="mean",
        initializers="sabour_code",
    )


class CapsNet(CapsuleClassifier):
    """Convolution, primary capsules, class capsules with dynamic routing, decoder.

    Args:
        config: Architecture and loss.
        image_shape: Height, width and channels of the images.
        num_classes: Number of class capsules.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the images are too small for the two convolutions, or a field has a value
            that no network can have.
    """

    remedy = "another seed, a lower learning rate or the other initializers"

    def __init__(
        self,
        config: CapsNetConfig,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        rngs: nnx.Rngs,
    ):
        config.check()
        validation.check_task(image_shape, num_classes)
        kernel = f"{config.kernel_size}x{config.kernel_size}"
        validation.check_side(image_shape, 2 * config.kernel_size - 1, f"two {kernel} convolutions")
        self.image_shape = image_shape
        self.num_classes = num_classes
        self.reconstruction_weight = config.reconstruction_weight
        self.margin_weight = config.margin_weight
        if config.margin_reduction == "mean":
            self.margin_weight /= num_classes
        self.places = (
            Places.of_image(image_shape)
            .behind(config.kernel_size)
            .behind(config.kernel_size, config.primary_stride)
        )
        init = construction.initializers(config.initializers)
        self.convolution = Convolution(
            image_shape[-1],
            config.convolution_channels,
            config.kernel_size,
            kernel_init=init["convolution"],
            bias_init=init["bias"],
            dtype=config.dtype,
            rngs=rngs,
        )
        self.primary_capsules = construction.primary_capsules(config, init, rngs)
        primary = jax.eval_shape(self._primary, jnp.zeros((1, *image_shape)))
        self.class_capsules = construction.class_capsules(
            config, init, primary.shape[1], num_classes, rngs
        )
        self.decoder = (
            construction.decoder(config, init, image_shape, num_classes, rngs)
            if config.reconstruction_weight
            else None
        )

    def _primary(self, images):
        return self.primary_capsules(nnx.relu(self.convolution(images)))

    def activations(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch ..."]]:
        """The maps of "convolution" and "primary capsules"; images may be of any size that fits.

        A place of the primary capsules' map has the components of all capsules there.
        """
        features = nnx.relu(self.convolution(as_float(images)))
        return {"convolution": features, "primary capsules": self.primary_capsules.map(features)}
