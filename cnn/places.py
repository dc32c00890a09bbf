"""Places of a feature map on the image: the centres of what they see."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True)
class Places:
    """Places of a feature map, as the centres of their receptive fields on an image.

    Attributes:
        image_size: Height and width of the image, in pixels.
        size: Height and width of the map.
        first: Row and column of the first place's centre, in pixels from the first pixel's.
        step: From a place to the next along both sides, in pixels.
    """

    image_size: tuple[int, int]
    size: tuple[int, int]
    first: tuple[float, float] = (0.0, 0.0)
    step: int = 1

    @classmethod
    def of_image(cls, image_shape: Sequence[int]) -> "Places":
        """The pixels of an image of height, width and channels."""
        size = (image_shape[0], image_shape[1])
        return cls(size, size)

    def behind(self, kernel_size: int, stride: int = 1, padding: str = "VALID") -> "Places":
        """The places of the map that a convolution makes of this one.

        Args:
            kernel_size: Of the convolution, along both sides.
            stride: Likewise.
            padding: "VALID" (none), or "SAME" (zeros, of which the odd one is on the far side).
        """
        size, first = [], []
        for side, start in zip(self.size, self.first, strict=True):
            added = max((-(-side // stride) - 1) * stride + kernel_size - side, 0)
            added = added if padding == "SAME" else 0
            size.append((side + added - kernel_size) // stride + 1)
            first.append(start + self.step * ((kernel_size - 1) / 2 - added // 2))
        return Places(self.image_size, (size[0], size[1]), (first[0], first[1]), self.step * stride)

    def centres(self) -> Float[np.ndarray, "height width 2"]:
        """(x, y) of each place, in [-1, 1] from edge to edge of the image."""
        rows, columns = (
            (2.0 * (start + self.step * np.arange(count)) + 1.0) / side - 1.0
            for start, count, side in zip(self.first, self.size, self.image_size, strict=True)
        )
        return np.stack(np.meshgrid(columns, rows), axis=-1).astype(np.float32)
