"""The layers of a CapsNet as its configuration describes them."""

from typing import TYPE_CHECKING

from flax import nnx

from capsnet.layers import DenseCapsules, Initializer, PrimaryCapsules
from cnn.decoder import Reconstructor

if TYPE_CHECKING:
    from capsnet.networks.sabour import CapsNetConfig

Initializers = dict[str, Initializer | None]


def primary_capsules(
    config: "CapsNetConfig", init: Initializers, rngs: nnx.Rngs
) -> PrimaryCapsules:
    """The layer after the first convolution."""
    # The released code routes these capsules once, from one input capsule to all types (and the
    # leak): that is a constant share.
    leaky = getattr(config.routing, "leaky", False)
    share = 1.0 / (config.primary_types + leaky)
    return PrimaryCapsules(
        config.convolution_channels,
        config.primary_types,
        config.primary_dim,
        kernel_size=config.kernel_size,
        strides=config.primary_stride,
        coupling=share if config.primary_coupling else 1.0,
        kernel_init=init["primary"],
        bias_init=init["bias"],
        dtype=config.dtype,
        rngs=rngs,
    )


def class_capsules(
    config: "CapsNetConfig",
    init: Initializers,
    in_capsules: int,
    num_classes: int,
    rngs: nnx.Rngs,
) -> DenseCapsules:
    """The routed layer, one capsule for each class."""
    return DenseCapsules(
        in_capsules,
        config.primary_dim,
        num_classes,
        config.class_dim,
        routing=config.routing,
        kernel_init=init["class"],
        bias_init=init["bias"] if config.class_bias else None,
        dtype=config.dtype,
        rngs=rngs,
    )


def decoder(
    config: "CapsNetConfig",
    init: Initializers,
    image_shape: tuple[int, int, int],
    num_classes: int,
    rngs: nnx.Rngs,
) -> Reconstructor:
    """The decoder of the class capsules."""
    return config.decoder.build(
        num_classes,
        config.class_dim,
        image_shape,
        kernel_init=init["decoder"],
        bias_init=init["bias"],
        dtype=config.dtype,
        rngs=rngs,
    )


def initializers(name: str) -> Initializers:
    """The initialisers of a name that `CapsNetConfig.initializers` takes, by what they are for.

    Raises:
        ValueError: if the name is unknown.
    """
    normal = nnx.initializers.truncated_normal
    if name == "he":
        return {
            "convolution": nnx.initializers.he_normal(),
            "primary": nnx.initializers.lecun_normal(),  # no ReLU follows
            "class": None,
            "decoder": None,
            "bias": nnx.initializers.zeros_init(),
        }
    if name == "sabour_code":
        return {
            "convolution": normal(0.05),
            "primary": normal(0.1),
            "class": normal(0.1),
            "decoder": normal(0.1),
            "bias": nnx.initializers.constant(0.1),
        }
    raise ValueError(f"initializers={name!r}: choose 'he' or 'sabour_code'")
