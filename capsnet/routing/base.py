"""Result of every routing between capsule layers.

Axes, here and in every caller: b batch, i input capsule, j output capsule, d pose. A routing is a
function of votes `[b, i, j, d]` that returns a `Routing`; a model takes any such function.
"""

from typing import NamedTuple

from jaxtyping import Array, Float


class Routing(NamedTuple):
    """Poses and coupling coefficients that a routing decides.

    Attributes:
        poses: Output capsules, squashed.
        couplings: Share of each input capsule that went to each output capsule in the last
            iteration; they sum to one over `out`, or to less with a leak.
    """

    poses: Float[Array, "batch out dim"]
    couplings: Float[Array, "batch in out"]
