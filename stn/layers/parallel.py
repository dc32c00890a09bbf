"""Several spatial transformers side by side on one image.

Appendix A.1 of Jaderberg et al. (2015) adds two digits so: every transformer receives all channels
and warps all channels, and the results are stacked along the channels.
"""

from collections.abc import Iterable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from stn.layers.iterated import IteratedTransformed, IteratedTransformer
from stn.layers.transformer import SpatialTransformer, Transformed
from stn.sampling.grids import axis_coordinates


class ParallelTransformed(NamedTuple):
    """A batch of images resampled by parallel spatial transformers.

    Attributes:
        images: The resampled images of all transformers, one after the other.
        each: Images, parameters and grid of every transformer.
    """

    images: Float[Array, "batch out_height out_width all_channels"]
    each: tuple[Transformed | IteratedTransformed, ...]


class ParallelTransformers(nnx.Module):
    """Spatial transformers that receive and warp the same image, each on its own.

    Transformers of the same start differ only by the initial values of their localisation networks,
    so each needs its own. Different starting poses separate them from the first step
    on; the paper's bird classifiers (appendix A.6) let theirs tile the image: see `tiled_poses`.

    Args:
        transformers: One or more, of the same output size; their transforms may differ.

    Raises:
        ValueError: if there is none, or their output sizes differ.
    """

    def __init__(self, transformers: Iterable[SpatialTransformer | IteratedTransformer]):
        self.transformers = nnx.List(transformers)
        sizes = {transformer.output_size for transformer in self.transformers}
        if len(sizes) != 1:
            raise ValueError(
                f"{len(self.transformers)} transformers have the output sizes {sizes}: there must "
                "be at least one transformer, and one size"
            )

    def __call__(
        self, images: Num[ArrayLike, "batch height width channels"]
    ) -> ParallelTransformed:
        """Warps the images by every transformer."""
        each = tuple(transformer(images) for transformer in self.transformers)
        return ParallelTransformed(jnp.concatenate([one.images for one in each], axis=-1), each)


def tiled_poses(rows: int, columns: int) -> np.ndarray:
    """Starting poses that read one tile of the image each and all of it together.

    Args:
        rows: Tiles from top to bottom.
        columns: Tiles from left to right.

    Returns:
        `[rows * columns, 6]`, the parameters of `Affine` for the tiles, row by row from the top
        left. Entries 0, 2 and 5 are those of `Attention` if rows and columns are equal; entries 2
        and 5 are those of `Translation`, which keeps the image's own scale.

    Raises:
        ValueError: if either is below 1.
    """
    side = validation.whole()
    validation.check_values(rows=(rows, side), columns=(columns, side))
    return np.array(
        [
            [1.0 / columns, 0.0, x, 0.0, 1.0 / rows, y]
            for y in axis_coordinates(rows)
            for x in axis_coordinates(columns)
        ]
    )
