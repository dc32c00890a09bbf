"""Scores of the classes, and all that a network has beside them."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from capsnet.layers import DenseCapsules
from capsnet.vectors import length
from capsnet.votes import mean_squashed_votes
from cnn.output import log_probabilities


class Scores(NamedTuple):
    """The classes' scores, and what they come from.

    Attributes:
        logits: Log-probabilities up to a constant.
        activations: Of the classes, each in [0, 1] by itself.
        lengths: Of the class capsules, where the activations are those.
        features: Last hidden layer; None where that is the class capsule that wins.
        poses: Class capsules, or other vectors of the classes.
        couplings: Of the routing.
        vote_logits: As of `cnn.Output`.
    """

    logits: Float[Array, "batch classes"]
    activations: Float[Array, "batch classes"]
    lengths: Float[Array, "batch classes"] | None = None
    features: Float[Array, "batch features"] | None = None
    poses: Float[Array, "batch classes dim"] | None = None
    couplings: Float[Array, "batch capsules classes"] | None = None
    vote_logits: Float[Array, "batch classes"] | None = None

    def winners(self) -> Float[Array, "batch features"] | None:
        """The features; of a network without others, the class capsule that wins."""
        if self.features is not None or self.poses is None:
            return self.features
        return winning_poses(self.poses, self.logits)


def winning_poses(
    poses: Float[Array, "batch classes dim"], logits: Float[Array, "batch classes"]
) -> Float[Array, "batch dim"]:
    """The class capsule with the largest logit, of each image."""
    winners = jnp.argmax(logits, axis=-1)
    return jnp.take_along_axis(poses, winners[:, None, None], axis=1)[:, 0]


def capsule_scores(layer: DenseCapsules, primary: Float[Array, "batch capsules dim"]) -> Scores:
    """Scores that class capsules have by their lengths, or by the activations of their routing.

    Args:
        layer: The class capsules.
        primary: Its input.
    """
    poses, couplings, activations = layer.vote_and_route(primary)
    votes = layer.votes(primary)  # by compilers made once, or never where nothing reads them
    scores = length(poses) if activations is None else activations
    return Scores(
        log_probabilities(scores),
        scores,
        lengths=scores if activations is None else None,
        poses=poses,
        couplings=couplings,
        vote_logits=log_probabilities(length(mean_squashed_votes(votes))),
    )
