"""Two-dimensional convolution with a choice of lowerings.

XLA's CPU backend differentiates a large convolution an order of magnitude more slowly than the
same arithmetic written as one matrix product, and large kernels need less arithmetic among
spectra, so a layer is lowered for each backend in its own way. Every way computes the same
function; the tests hold them equal, values and gradients.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import as_float, check_axes, same_type
from cnn.backends import by_backend
from cnn.convolution import lowerings
from cnn.convolution.fourier import convolve_spectra

LOWERINGS = ("auto", *lowerings.NAMES)
_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def convolve(
    images: Num[ArrayLike, "batch height width in_channels"],
    kernel: Num[ArrayLike, "..."],
    *,
    strides: tuple[int, int] = (1, 1),
    padding: str = "VALID",
    lowering: str = "auto",
) -> Float[Array, "batch out_height out_width out_channels"]:
    """Correlates images with a kernel; as usual in deep learning, the kernel is not flipped.

    Args:
        images: NHWC.
        kernel: `[height, width, in_channels, out_channels]`.
        strides: Steps along height and width, in pixels.
        padding: "VALID" (no padding) or "SAME" (zeros, output size = ceil(size / stride)).
        lowering: "native" (XLA's convolution), "patches" (patches times matrix), "fourier" (see
            `cnn.convolution.fourier`; sums in float32 at least, so not for speed in bfloat16), or
            "auto": the fastest for the shape, the backend for which the program is lowered, and
            whether derivatives are taken (see `cnn.convolution.lowerings`); for a symbolic batch,
            as in `jax.export`, the fastest for `cnn.convolution.lowerings.TYPICAL_BATCH` images. On
            CPUs it takes "fourier" for large kernels between many channels, so it promises what
            that does: errors in proportion to the largest value of an image, and no value of an
            image beside one that is not finite. Where images are not of one scale, take "native".

    Returns:
        NHWC, in the type of images and kernel; spatial sizes follow from the padding and the
        strides.

    Raises:
        ValueError: if the kernel does not fit into the padded image or has other channels, a size
            or stride is below 1, or a name is unknown; whatever the lowering.
    """
    images, kernel = same_type(images, kernel)
    strides = _pair(strides)
    _check(images, kernel, strides, padding, lowering)
    if lowering == "auto":
        return _fastest_on_device(images, kernel, strides, padding)
    return _lowered(images, kernel, strides, padding, lowering)


def _check(images, kernel, strides, padding, lowering) -> None:
    validation.check_values(
        padding=(padding, validation.one_of("SAME", "VALID")),
        lowering=(lowering, validation.one_of(*LOWERINGS)),
        strides=(strides, validation.each(validation.whole())),
    )
    check_axes("images", images, "batch height width in_channels")
    check_axes("kernel", kernel, "kernel_height kernel_width in_channels out_channels")
    if not all(images.shape[1:]) or not all(kernel.shape):
        raise ValueError(
            f"images of shape {images.shape} and kernel of shape {kernel.shape}: every size but "
            "the batch must be at least 1"
        )
    if images.shape[3] != kernel.shape[2]:
        raise ValueError(
            f"images of {images.shape[3]} channels do not fit a kernel of shape {kernel.shape}, "
            f"which is for {kernel.shape[2]}"
        )
    size, kernel_size = images.shape[1:3], kernel.shape[:2]
    if padding == "VALID" and (size[0] < kernel_size[0] or size[1] < kernel_size[1]):
        raise ValueError(
            f"a {kernel_size[0]}x{kernel_size[1]} kernel does not fit into a "
            f"{size[0]}x{size[1]} image without padding"
        )


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _fastest(images, kernel, strides, padding):
    """Convolves by one lowering where only values are wanted, by another for derivatives."""
    choose = functools.partial(
        lowerings.choose_for_values, layer_of(images, kernel, strides, padding)
    )
    run = functools.partial(_lowered, strides=strides, padding=padding)
    return by_backend(choose, run, images, kernel)


@_fastest.defjvp
def _derivative(strides, padding, primals, tangents):
    images, kernel = primals
    choose = functools.partial(lowerings.choose, layer_of(images, kernel, strides, padding))
    run = functools.partial(_lowered, strides=strides, padding=padding)
    return jax.jvp(functools.partial(by_backend, choose, run), primals, tangents)


# Also outside of jit the backend is that of the arrays, which need not be the default one.
_fastest_on_device = jax.jit(_fastest, static_argnums=(2, 3), inline=True)


def _lowered(images, kernel, strides, padding, lowering):
    if lowering == "native":
        return lax.conv_general_dilated(
            images, kernel, strides, padding, dimension_numbers=_DIMENSIONS
        )
    layer = layer_of(images, kernel, strides, padding)
    pads = lax.padtype_to_pads(images.shape[1:3], kernel.shape[:2], strides, padding)
    images = jnp.pad(images, ((0, 0), *pads, (0, 0)))
    if lowering == "patches":
        return _patches_times_matrix(images, kernel, strides=strides, out_size=layer.out_size)
    return convolve_spectra(
        images,
        kernel,
        strides=strides,
        out_size=layer.out_size,
        tiling=lowerings.best_tiling(layer),
    )


def layer_of(
    images: Float[Array, "batch height width in_channels"],
    kernel: Float[Array, "kernel_height kernel_width in_channels out_channels"],
    strides: tuple[int, int],
    padding: str,
) -> lowerings.Layer:
    """The shape of a convolution, for the choice of its lowering."""
    kernel_height, kernel_width, in_channels, out_channels = kernel.shape
    pads = lax.padtype_to_pads(images.shape[1:3], kernel.shape[:2], strides, padding)
    height, width = (
        (size + sum(pad) - kernel_size) // stride + 1
        for size, pad, kernel_size, stride in zip(
            images.shape[1:3], pads, kernel.shape[:2], strides, strict=True
        )
    )
    return lowerings.Layer(
        batch=images.shape[0] if isinstance(images.shape[0], int) else lowerings.TYPICAL_BATCH,
        out_size=(height, width),
        kernel_size=(kernel_height, kernel_width),
        strides=strides,
        in_channels=in_channels,
        out_channels=out_channels,
    )


# Compiled on its own, so that outside of jit it is one program and not one for each tap.
@functools.partial(jax.jit, static_argnames=("strides", "out_size"))
def _patches_times_matrix(images, kernel, *, strides, out_size):
    """Lays every receptive field out as a row, then multiplies once by the flattened kernel."""
    kernel_height, kernel_width, in_channels, out_channels = kernel.shape
    out_height, out_width = out_size
    if out_size == (1, 1):
        # The one receptive field as it lies; the gradient of laying out single taps is slow.
        patches = images[:, :kernel_height, :kernel_width]
    else:
        taps = [
            images[
                :,
                row : row + (out_height - 1) * strides[0] + 1 : strides[0],
                column : column + (out_width - 1) * strides[1] + 1 : strides[1],
            ]
            for row in range(kernel_height)
            for column in range(kernel_width)
        ]
        patches = jnp.concatenate(taps, axis=-1)
    positions = images.shape[0] * out_height * out_width
    rows = patches.reshape(positions, kernel_height * kernel_width * in_channels)
    outputs = rows @ kernel.reshape(rows.shape[1], out_channels)
    return outputs.reshape(images.shape[0], out_height, out_width, out_channels)


class Convolution(nnx.Module):
    """A convolution layer over NHWC images; parameters are float32 whatever the compute dtype.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel, or one number for both.
        strides: Steps along height and width, or one number for both.
        padding: "VALID" or "SAME".
        use_bias: Whether a bias is added to every output channel.
        kernel_init: Initialiser of the HWIO kernel.
        bias_init: Initialiser of the bias.
        dtype: Type of the arithmetic and of the output.
        lowering: See `convolve`.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a size is below 1 or a name is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        *,
        strides: int | Sequence[int] = 1,
        padding: str = "VALID",
        use_bias: bool = True,
        kernel_init: Callable[..., jax.Array] | None = None,
        bias_init: Callable[..., jax.Array] | None = None,
        dtype: str = "float32",
        lowering: str = "auto",
        rngs: nnx.Rngs,
    ):
        size, sizes = validation.whole(), validation.each(validation.whole())
        validation.check_values(
            in_channels=(in_channels, size),
            out_channels=(out_channels, size),
            kernel_size=(_pair(kernel_size), sizes),
            strides=(_pair(strides), sizes),
            padding=(padding, validation.one_of("SAME", "VALID")),
            dtype=(dtype, validation.one_of(*validation.DTYPES)),
            lowering=(lowering, validation.one_of(*LOWERINGS)),
        )
        kernel_init = kernel_init or nnx.initializers.he_normal()
        bias_init = bias_init or nnx.initializers.zeros_init()
        shape = (*_pair(kernel_size), in_channels, out_channels)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, jnp.float32))
        self.bias = (
            nnx.Param(bias_init(rngs.params(), (out_channels,), jnp.float32)) if use_bias else None
        )
        self.strides = _pair(strides)
        self.padding = padding
        self.dtype = dtype
        self.lowering = lowering

    def __call__(
        self, images: Num[ArrayLike, "..."]
    ) -> Float[Array, "batch out_height out_width out_channels"]:
        """Convolves images; see `convolve`."""
        outputs = convolve(
            as_float(images).astype(self.dtype),
            self.kernel[...].astype(self.dtype),
            strides=self.strides,
            padding=self.padding,
            lowering=self.lowering,
        )
        if self.bias is None:
            return outputs
        return outputs + self.bias[...].astype(self.dtype)


def _pair(value: Any) -> tuple[int, int]:
    """Values for height and width, given once for both or for each."""
    pair = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"{value}: must be one number, or two for height and width")
    return pair
