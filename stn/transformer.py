"""The spatial transformer: a layer that looks at an image and resamples it.

Section 3 of Jaderberg et al. (2015).
"""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from stn.localisation import Localisation
from stn.sampling import sample
from stn.transforms import Transform


class Transformed(NamedTuple):
    """What a spatial transformer did to a batch.

    Attributes:
        images: The resampled images.
        theta: The transform's parameters, as predicted.
        grid: Where each output pixel was read.
    """

    images: Float[Array, "batch out_height out_width channels"]
    theta: Float[Array, "batch parameters"]
    grid: Float[Array, "batch out_height out_width 2"]


class SpatialTransformer(nnx.Module):
    """Localisation network, regression to a transform's parameters, grid, sampler.

    The regression starts with zero weights and the identity as its bias, so that the layer starts
    as the identity for every image.

    Args:
        localisation: From images to features; see `stn.localisation`.
        transform: The family of transforms; see `stn.transforms`.
        output_size: (height, width) of the output; None keeps the input's.
        padding: What lies outside of the image; see `stn.sample`.
        align_corners: See `stn.sample`.
        rngs: Source of the initial values.
    """

    def __init__(
        self,
        localisation: Localisation,
        transform: Transform,
        *,
        output_size: tuple[int, int] | None = None,
        padding: str = "zeros",
        align_corners: bool = False,
        rngs: nnx.Rngs,
    ):
        identity = transform.identity
        self.localisation = localisation
        self.regression = nnx.Linear(
            localisation.num_features,
            transform.num_parameters,
            kernel_init=nnx.initializers.zeros_init(),
            bias_init=lambda key, shape, dtype: jnp.asarray(identity, dtype).reshape(shape),
            rngs=rngs,
        )
        self.transform = transform
        self.output_size = output_size
        self.padding = padding
        self.align_corners = align_corners

    def __call__(self, images: Float[Array, "batch height width channels"]) -> Transformed:
        """Predicts a transform for each image and reads the image through it.

        Parameters, grid and weights are float32 whatever the images are.
        """
        theta = self.regression(self.localisation(images).astype(jnp.float32))
        size = self.output_size or images.shape[1:3]
        grid = self.transform.grid(theta, size, align_corners=self.align_corners)
        resampled = sample(images, grid, padding=self.padding, align_corners=self.align_corners)
        return Transformed(resampled, theta, grid)
