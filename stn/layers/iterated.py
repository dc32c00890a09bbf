"""One spatial transformer applied again and again, each time to its own result.

Lin and Lucey (2017), arXiv 1612.03897. Several small steps reach what one large prediction misses,
and because the warps are composed rather than the images resampled in turn, the result is read off
the original image once: it does not blur, and what had left the frame can come back.
"""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn.arrays import as_float
from stn.layers.localisation import Localisation
from stn.layers.transformer import SpatialTransformer
from stn.transforms import ComposableTransform, Transform


class IteratedTransformed(NamedTuple):
    """A batch of images resampled by an iterated spatial transformer.

    Attributes:
        images: The images, resampled once through the last warp.
        theta: The parameters of the last warp.
        grid: Where each output pixel was read.
        path: The parameters after each step; the last are `theta`.
    """

    images: Float[Array, "batch out_height out_width channels"]
    theta: Float[Array, "batch parameters"]
    grid: Float[Array, "batch out_height out_width 2"]
    path: Float[Array, "steps batch parameters"]


class IteratedTransformer(nnx.Module):
    """A number of steps with one shared localisation network and regression.

    Every step receives the image as it is warped so far and predicts an update. All maps go from
    output to input, so if W is the warp so far and U the update, the next image has at p what the
    present one has at U(p), which is the original at W(U(p)): the new warp is U first, then W.

    Args:
        localisation: From images of the output's size to features; see `stn.layers.localisation`.
        transform: A family that is closed under composition, such as `Affine` or `Projective`.
        steps: How many updates, at least 1. The paper has 4.
        output_size: (height, width) of the output; None keeps the input's.
        padding: What lies outside of the image; see `stn.sample`.
        align_corners: See `stn.sample`.
        rngs: Source of the initial values.

    Raises:
        ValueError: if the transform cannot be composed, or there is no step.
    """

    def __init__(
        self,
        localisation: Localisation,
        transform: Transform,
        *,
        steps: int = 4,
        output_size: tuple[int, int] | None = None,
        padding: str = "zeros",
        align_corners: bool = False,
        rngs: nnx.Rngs,
    ):
        if not isinstance(transform, ComposableTransform):
            raise ValueError(
                f"{transform} cannot be iterated: it has no `compose`, as Translation, Attention, "
                "Similarity, Affine and Projective have"
            )
        if steps < 1:
            raise ValueError(f"steps={steps}: must be at least 1")
        self.transform = transform
        self.steps = steps
        self.output_size = output_size
        self.step = SpatialTransformer(
            localisation,
            transform,
            output_size=output_size,
            padding=padding,
            align_corners=align_corners,
            rngs=rngs,
        )

    def __call__(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> IteratedTransformed:
        """Predicts and composes the updates of each image, and reads it through all of them."""
        identity = jnp.asarray(self.transform.identity, jnp.float32)
        images = as_float(images)
        theta = jnp.broadcast_to(identity, (images.shape[0], identity.size))
        warped = self.step.warp(images, theta)
        path = []
        for _ in range(self.steps):
            update = self.step.predict(warped.images)
            theta = self.transform.compose(update, theta)
            warped = self.step.warp(images, theta)
            path.append(theta)
        return IteratedTransformed(warped.images, theta, warped.grid, jnp.stack(path))
