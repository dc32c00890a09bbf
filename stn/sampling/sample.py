"""Sampling images at the coordinates of a grid.

Images are `[batch, height, width, channels]` or, for volumes, `[batch, depth, height, width,
channels]`. Grids hold normalised coordinates, (x, y) or (x, y, z), in [-1, 1]: with
`align_corners` the centres of the first and last pixel are at -1 and 1, without it their outer
edges are. The grid's function and the sampler must be given the same `align_corners`.

The values are those of equation 5 of Jaderberg et al. (2015): `stn.sampling.taps` has the weights,
`stn.sampling.lowerings` the ways to sum them.
"""

import functools
import math

import jax
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn.arrays import as_float
from cnn.backends import by_backend
from stn.sampling import lowerings
from stn.sampling.taps import METHODS, PADDINGS, axis_taps

LOWERINGS = ("auto", "gather", "packed", "matmul")
# Above it the dense weights of a TPU's matrix products cost more than its slow gathers.
_LARGEST_MATMUL = 64**2


def sample(
    images: Num[ArrayLike, "batch *spatial channels"],
    grid: Num[ArrayLike, "batch *out dims"],
    *,
    method: str = "bilinear",
    padding: str = "zeros",
    align_corners: bool = False,
    lowering: str = "auto",
) -> Float[Array, "batch *out channels"]:
    """Reads an image at every point of a grid.

    Args:
        images: Two or three spatial axes; any size, any number of channels.
        grid: Normalised coordinates of each output pixel in the input, the last axis first: (x, y)
            or (x, y, z). The output has the grid's size.
        method: "nearest", "bilinear" (trilinear in volumes) or "bicubic" (images only).
        padding: What lies outside: "zeros" (fading in over the last pixel), "border" (the nearest
            edge) or "reflection" (about the edge pixels' centres with `align_corners`, about their
            outer edges without).
        align_corners: See the module.
        lowering: How it is computed; all give the same. "gather" (one read for each neighbour),
            "packed" (neighbours side by side in memory and one read for each point; "bilinear"
            only), "matmul" (dense weights times pixels: no scatter in the backward pass, memory in
            proportion to points times columns; a pixel that is not finite spoils its image), or
            "auto": by the backend for which the program is lowered, matmul on TPUs for images of
            at most 64 x 64 pixels, gather elsewhere, and for the derivatives of bilinear images of
            few channels on CPUs packed. All but matmul keep a pixel that is not finite to the
            points that have it among their taps, if with weight 0; for gather the edge's pixel is
            a tap of every point outside.

    Returns:
        The grid's spatial size and the images' channels, in the images' type if that is a float,
        else in float32. A coordinate that is not a number counts as outside.

    Raises:
        ValueError: if shapes do not fit together or a name is unknown.
    """
    values, grid = as_float(images), as_float(grid)
    _check(values, grid, method, padding, lowering)
    spatial = values.shape[1:-1]
    # Split, for unlike that of indexing its transpose fuses with that of the grid's own assembly.
    coordinates = lax.split(grid, (1,) * len(spatial), axis=grid.ndim - 1)[::-1]
    axes = [
        axis_taps(along[..., 0], size, method=method, padding=padding, align_corners=align_corners)
        for along, size in zip(coordinates, spatial, strict=True)
    ]
    if lowering == "auto":
        return _fastest_on_device(values, axes, method)
    return _lowered(values, axes, lowering)


def _fastest(images, axes, method):
    """Samples by the fastest lowering for images of this shape on each backend, by measurement.

    Measured with `python -m benchmarks.sampling` on two CPU cores: the gradients of images of up to
    four channels take about half the time packed, those of more as long or longer; values alone
    are two to four times faster gathered. Matrix products take 30 to 180 times as long there. On
    TPUs gathers are reported to be 30 times slower than matrix products at the sizes of these
    images (jax issue 10378); no GPU or TPU was measured.
    """
    if method == "bilinear" and images.shape[-1] <= lowerings.FEW_CHANNELS:
        return _of_few_channels(images, axes)
    return _of_any_channels(images, axes)


# Also outside of jit the backend is that of the arrays, which need not be the default one.
_fastest_on_device = jax.jit(_fastest, static_argnames="method", inline=True)


@jax.custom_jvp
def _of_few_channels(images, axes):
    """Samples bilinearly, by one lowering for values alone and by another for derivatives."""
    return _of_any_channels(images, axes)


@_of_few_channels.defjvp
def _derivative(primals, tangents):
    return jax.jvp(functools.partial(_of_any_channels, on_cpu="packed"), primals, tangents)


def _of_any_channels(images, axes, on_cpu="gather"):
    choose = functools.partial(_choose, images.shape[1:-1], on_cpu)
    return by_backend(choose, _lowered, images, axes)


def _choose(spatial, on_cpu, backend):
    if backend == "cpu":
        return on_cpu
    pixels = math.prod(spatial)
    # A symbolic number of pixels has no bound.
    small = isinstance(pixels, int) and pixels <= _LARGEST_MATMUL
    return "matmul" if backend == "tpu" and small else "gather"


def _lowered(images, axes, lowering):
    return getattr(lowerings, lowering)(images, axes)


def _check(images, grid, method, padding, lowering):
    dims = images.ndim - 2
    if not all(images.shape[1:-1]):
        raise ValueError(f"images of shape {images.shape} have no pixel that could be read")
    if (
        dims not in (2, 3)
        or grid.ndim < 2
        or grid.shape[-1] != dims
        or grid.shape[0] != images.shape[0]
    ):
        raise ValueError(
            f"images {images.shape} and grid {grid.shape} do not fit together: a grid is "
            "[batch, ..., 2] for [batch, height, width, channels] and [batch, ..., 3] for volumes"
        )
    if method not in METHODS:
        raise ValueError(f"method={method!r}: choose one of {', '.join(METHODS)}")
    if method == "bicubic" and dims == 3:
        raise ValueError("method='bicubic' is for images; take 'bilinear' or 'nearest' for volumes")
    if padding not in PADDINGS:
        raise ValueError(f"padding={padding!r}: choose one of {', '.join(PADDINGS)}")
    if lowering not in LOWERINGS:
        raise ValueError(f"lowering={lowering!r}: choose one of {', '.join(LOWERINGS)}")
    if lowering == "packed" and method != "bilinear":
        raise ValueError(
            f"lowering='packed' is for method='bilinear'; take 'gather' for method={method!r}"
        )
