"""Reconstruction of the image from the vector that a network has of one class."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Num

from cnn import validation
from cnn.arrays import alike, check_axes, flatten

Initializer = Callable[..., jax.Array]


class Decoder(nnx.Module):
    """Three dense layers from the vectors of all classes, but one of them masked, to an image.

    Section 4.1 and figure 2 of Sabour, Frosst and Hinton (2017), where the vectors are class
    capsules: widths 512 and 1024, ReLU, and a sigmoid over the pixels.

    Args:
        classes: Number of vectors.
        dim: Components of each.
        image_shape: Height, width and channels of the decoded image.
        widths: Of the hidden layers.
        kernel_init: Initialiser of the kernels; by default He's for the ReLU layers and LeCun's
            for the pixels.
        bias_init: Initialiser of the biases.
        dtype: Compute type; the pixels are float32.
        rngs: Source of the initial values.

    Raises:
        ValueError: if a size is below 1 or the type is unknown.
    """

    def __init__(
        self,
        classes: int,
        dim: int,
        image_shape: tuple[int, int, int],
        *,
        widths: Sequence[int] = (512, 1024),
        kernel_init: Initializer | None = None,
        bias_init: Initializer | None = None,
        dtype: str = "float32",
        rngs: nnx.Rngs,
    ):
        size = validation.whole()
        validation.check_shape(image_shape)
        validation.check_values(
            classes=(classes, size),
            dim=(dim, size),
            widths=(tuple(widths), validation.each(size)),
            dtype=(dtype, validation.one_of(*validation.DTYPES)),
        )
        height, width, channels = image_shape
        sizes = (classes * dim, *widths, height * width * channels)
        initializers = [kernel_init or nnx.initializers.he_normal()] * len(widths)
        initializers.append(kernel_init or nnx.initializers.lecun_normal())
        self.layers = nnx.List(
            nnx.Linear(
                sizes[layer],
                sizes[layer + 1],
                kernel_init=initializer,
                bias_init=bias_init or nnx.initializers.zeros_init(),
                dtype=jnp.dtype(dtype),
                rngs=rngs,
            )
            for layer, initializer in enumerate(initializers)
        )
        self.image_shape = image_shape

    def __call__(
        self,
        vectors: Num[ArrayLike, "batch classes dim"],
        mask: Num[ArrayLike, "..."],
    ) -> Float[Array, "batch height width channels"]:
        """Decodes the vectors that the mask keeps (1) and blanks (0); pixels are in (0, 1).

        Args:
            vectors: Of all classes.
            mask: `[batch, classes]`.

        Raises:
            ValueError: if the mask has another shape.
        """
        vectors, mask = alike(vectors, mask)
        check_axes("vectors", vectors, "batch classes dim")
        if mask.shape != vectors.shape[:2]:
            raise ValueError(
                f"mask of shape {mask.shape}: must be [batch, classes] = {vectors.shape[:2]}"
            )
        hidden = flatten(vectors * mask[..., None])
        for layer in list(self.layers)[:-1]:
            hidden = nnx.relu(layer(hidden))
        pixels = nnx.sigmoid(self.layers[-1](hidden).astype(jnp.float32))
        return pixels.reshape(pixels.shape[0], *self.image_shape)
