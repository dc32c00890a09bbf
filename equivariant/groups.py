"""Groups of rotations, and of rotations with reflections, that act on images about their middle.

p4 and p4m of Cohen and Welling, "Group equivariant convolutional networks" (2016), are these with
the translations of the plane beside them.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float, Int

from cnn import validation

MAX_ROTATIONS = 64
_QUARTERS = 4


@dataclasses.dataclass(frozen=True)
class Group:
    """Rotations by multiples of 360 / `rotations` degrees, with `mirrors` reflections too.

    The cyclic group C_n, or the dihedral group D_n. Element `mirrored * rotations + turns` first
    mirrors an image left to right if `mirrored` is 1, then turns it by `turns` steps,
    counter-clockwise as displayed; element 0 leaves it as it is.

    Attributes:
        rotations: n, from 1 to 64.
        mirrors: Whether reflections belong to it.

    Raises:
        ValueError: if the number of rotations is beyond the limits.
    """

    rotations: int
    mirrors: bool = False

    def __post_init__(self) -> None:
        """Checks the number of rotations."""
        validation.check(
            self, rotations=validation.whole(1, MAX_ROTATIONS), mirrors=validation.flag
        )

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.rotations * (2 if self.mirrors else 1)

    @property
    def is_exact(self) -> bool:
        """True if every element takes pixels to pixels, as quarter turns and reflections do."""
        return _QUARTERS % self.rotations == 0

    def product(self, first: int, second: int) -> int:
        """The element that does the second, then the first."""
        mirrored, turns = divmod(first, self.rotations)
        also_mirrored, further = divmod(second, self.rotations)
        # Behind a mirror, turns go the other way.
        total = (turns + (-further if mirrored else further)) % self.rotations
        return (mirrored ^ also_mirrored) * self.rotations + total

    def inverse(self, element: int) -> int:
        """The element that undoes one."""
        mirrored, turns = divmod(element, self.rotations)
        return element if mirrored else -turns % self.rotations

    def matrix(self, element: int) -> Float[np.ndarray, "2 2"]:
        """The map of points (x, y), x to the right and y down, that an element is."""
        mirrored, turns = divmod(element, self.rotations)
        angle = 2.0 * np.pi * turns / self.rotations
        cos, sin = np.cos(angle), np.sin(angle)
        return np.array([[cos, sin], [-sin, cos]]) @ np.diag([-1.0 if mirrored else 1.0, 1.0])


@functools.cache
def left_quotients(group: Group) -> Int[np.ndarray, "elements elements"]:
    """Numbers of the elements g^-1 h, `[g, h]`: the rows that a filter turned by g reads."""
    elements = range(group.size)
    return np.array(
        [[group.product(group.inverse(one), other) for other in elements] for one in elements]
    )


TRIVIAL = Group(1)
"""The identity alone, over which a group convolution is an ordinary one."""
P4 = Group(4)
"""Quarter turns."""
P4M = Group(4, mirrors=True)
"""Quarter turns and reflections."""
C8 = Group(8)
"""Turns by 45 degrees."""
C16 = Group(16)
"""Turns by 22.5 degrees."""
