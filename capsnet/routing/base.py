"""What every routing between capsule layers takes and gives.

Axes, here and in every caller: b batch, i input capsule, j output capsule, d pose. A routing is a
frozen dataclass that derives from `Routing`, so that a configuration holds it and a command line
chooses it; one without weights is called itself, one with weights builds a module that is.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from flax import nnx
from jaxtyping import Array, Float

from capsnet.vectors import length
from cnn import validation


class Capsules(NamedTuple):
    """Capsules of one layer.

    Attributes:
        poses: Pose vectors; matrices row by row.
        activations: How far each capsule is active, in [0, 1]; the lengths of its pose where the
            layer below has no others.
    """

    poses: Float[Array, "*places capsules dim"]
    activations: Float[Array, "*places capsules"]


class Routed(NamedTuple):
    """Poses and coupling coefficients that a routing decides.

    Attributes:
        poses: Output capsules.
        couplings: Share of each input capsule that went to each output capsule in the last
            iteration.
        activations: How far each output capsule is active, in [0, 1]; None where that is the
            length of its pose.
    """

    poses: Float[Array, "batch out dim"]
    couplings: Float[Array, "batch in out"]
    activations: Float[Array, "batch out"] | None = None

    def with_activations(self) -> "Routed":
        """The same, with the lengths of the poses for activations that are None."""
        if self.activations is not None:
            return self
        return self._replace(activations=length(self.poses))


class Sizes(NamedTuple):
    """Sizes of the two layers that a routing is between.

    Attributes:
        in_capsules: Input capsules that vote for an output capsule.
        in_dim: Components of their poses.
        out_capsules: Output capsules.
        out_dim: Components of their poses, and of a vote.
    """

    in_capsules: int
    in_dim: int
    out_capsules: int
    out_dim: int


Route = Callable[..., Routed]
"""(votes `[b, i, j, d]`, input `Capsules`) to a `Routed`.

Some take a `bias` `[j, d]`, a `softmax` of logits `[b, i, j]`, or poses `previous` `[b, j, d]` of
output capsules, besides.
"""


@dataclasses.dataclass(frozen=True)
class Routing:
    """A routing, as a configuration describes it.

    A subclass is a frozen dataclass too, so that networks with equal routings share compiled
    programs. It is called with votes and input capsules and returns a `Routed`, or it overrides
    `build` and leaves that to a module with weights of its own.

    Attributes:
        over_places: Whether output capsules of all places of a map compete for an input capsule.
            Such a routing takes an argument `softmax`, which goes over all of them; a layer without
            places gives it the one over `out`.
        activates: Whether output capsules have activations in [0, 1], be it the lengths of their
            poses, that a classifier can take for the classes' scores.
        takes_bias: Whether a call takes an argument `bias`, `[out, dim]`, that it adds to poses
            before their squash.
        averages: Whether poses depend on the votes by their mean over input capsules alone, and all
            couplings are alike. A layer may then give the routing one vote of each output capsule,
            that mean, which takes a fraction of the time and memory of all votes.
    """

    over_places: ClassVar[bool] = False
    activates: ClassVar[bool] = True
    takes_bias: ClassVar[bool] = False
    averages: ClassVar[bool] = False

    def build(self, sizes: Sizes, rngs: nnx.Rngs) -> Route:
        """Makes the function that routes; here the dataclass itself, which has no weights.

        Args:
            sizes: Of the layers that it is between.
            rngs: Source of the initial values.
        """
        del sizes, rngs
        if not callable(self):
            raise TypeError(f"{type(self).__name__} has neither __call__ nor build")
        return self

    def check(self) -> None:
        """Raises a `ValueError` for a field that no routing can have."""


def check_routing(routing: object) -> None:
    """Checks what a layer or a configuration was given as its routing.

    Raises:
        ValueError: if it is no routing, or has a field that no routing has.
    """
    validation.check_part("routing", routing, Routing)


def check_class_routing(routing: object) -> None:
    """Checks the routing of a layer whose activations are the classes' scores.

    Raises:
        ValueError: as `check_routing`, or if its capsules have no activations.
    """
    check_routing(routing)
    if not (isinstance(routing, Routing) and routing.activates):
        raise ValueError(
            f"routing={routing!r}: gives poses without activations, which cannot be the scores of "
            "classes; choose another"
        )
