"""The spatial transformer: a layer that predicts a transform of its input and resamples it.

Section 3 of Jaderberg et al. (2015).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn.arrays import as_float
from stn.layers.localisation import Localisation
from stn.sampling.antialiasing import sample_supersampled
from stn.transforms import Transform


class Transformed(NamedTuple):
    """A batch of images resampled by a spatial transformer.

    Attributes:
        images: The resampled images.
        theta: The transform's parameters, as predicted.
        grid: Where each output pixel was read: (x, y), or (x, y, z) in volumes.
    """

    images: Float[Array, "batch *out channels"]
    theta: Float[Array, "batch parameters"]
    grid: Float[Array, "batch *out dims"]


class SpatialTransformer(nnx.Module):
    """Localisation network, regression to a transform's parameters, grid, sampler.

    The regression starts with zero weights and the identity as its bias, so that the layer starts
    as the identity for every image, or as another pose that it is given.

    The images may as well be feature maps in the middle of a network, with any number of channels:
    gradients reach them through what is read and through the prediction. A warp of feature maps
    cannot in general undo a warp of the network's input (Finnveden et al., 2020); for deep features
    to steer a warp of the input, see `stn.layers.shared`. They may be volumes too,
    `[batch, depth, height, width, channels]`, where localisation and transform are made for
    volumes.

    Args:
        localisation: From images to features; see `stn.layers.localisation`.
        transform: The family of transforms; see `stn.transforms`.
        initial: The transform's parameters for every image at the start; None is the identity.
        output_size: (height, width) or (depth, height, width) of the output; None keeps the
            input's.
        padding: What lies outside of the image; see `stn.sample`.
        align_corners: See `stn.sample`.
        supersampling: Reads along each side of an output pixel, averaged; more than 1 keeps an
            output that is smaller than its input from aliasing. See `stn.sample_supersampled`.
        rngs: Source of the initial values.

    Raises:
        ValueError: if `initial` has not as many values as the transform has parameters.
    """

    def __init__(
        self,
        localisation: Localisation,
        transform: Transform,
        *,
        initial: Sequence[float] | np.ndarray | None = None,
        output_size: tuple[int, ...] | None = None,
        padding: str = "zeros",
        align_corners: bool = False,
        supersampling: int = 1,
        rngs: nnx.Rngs,
    ):
        start = transform.identity if initial is None else np.asarray(initial)
        if start.shape != (transform.num_parameters,):
            raise ValueError(
                f"initial has the shape {start.shape}: {transform} has "
                f"{transform.num_parameters} parameters"
            )
        self.localisation = localisation
        self.regression = nnx.Linear(
            localisation.num_features,
            transform.num_parameters,
            kernel_init=nnx.initializers.zeros_init(),
            bias_init=lambda key, shape, dtype: jnp.asarray(start, dtype).reshape(shape),
            rngs=rngs,
        )
        self.transform = transform
        self.output_size = output_size
        self.padding = padding
        self.align_corners = align_corners
        self.supersampling = supersampling

    def __call__(self, images: Num[ArrayLike, "batch *spatial channels"]) -> Transformed:
        """Predicts a transform for each image and reads the image through it.

        Parameters, grid and weights are float32 whatever the images are.
        """
        return self.warp(images, self.predict(images))

    def predict(
        self, inputs: Num[ArrayLike, "batch *features"]
    ) -> Float[Array, "batch parameters"]:
        """Predicts the transform's parameters from the localisation network's input, in float32."""
        return self.regression(self.localisation(as_float(inputs)).astype(jnp.float32))

    def warp(
        self,
        images: Num[ArrayLike, "batch *spatial channels"],
        theta: Num[ArrayLike, "batch parameters"],
    ) -> Transformed:
        """Reads images through given parameters; nothing is predicted.

        Images whose parameters are not numbers are no numbers either.
        """
        images, theta = as_float(images), as_float(theta)
        size = self.output_size or images.shape[1:-1]
        grid = self.transform.grid(theta, size, align_corners=self.align_corners)
        resampled = sample_supersampled(
            images,
            grid,
            factor=self.supersampling,
            padding=self.padding,
            align_corners=self.align_corners,
        )
        return Transformed(without_unknown(resampled, theta), theta, grid)


def without_unknown(
    images: Float[Array, "batch *out channels"], theta: Float[Array, "batch parameters"]
) -> Float[Array, "batch *out channels"]:
    """NaN for images whose parameters have one; the sampler would read the padding for them."""
    unknown = jnp.any(jnp.isnan(theta), axis=-1).reshape(theta.shape[0], *[1] * (images.ndim - 1))
    return jnp.where(unknown, jnp.nan, images)
