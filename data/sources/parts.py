"""Training, validation and test images out of what a user's own data has of these."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from common.errors import UserError
from data.dataset import ROLES
from data.subsets import stratified_order

WHOLE = "whole"
"""In place of the names of splits: data that has none."""
# Shares of each class.
_TEST, _VALIDATION = 0.2, 0.1

Labels = Int[np.ndarray, "count"]


class Chosen(NamedTuple):
    """Images of a role: the split that they are of, and their places in it."""

    split: str
    places: Int[np.ndarray, "chosen"]


def in_roles(
    labels: Mapping[str, Labels], seed: int, name_of: Callable[[int], str]
) -> dict[str, Chosen]:
    """Gives every image a role, the same one every time.

    Data without splits gives a fifth of each class to test and a tenth to validation; data with
    training and test images gives a tenth of each class of the first to validation. Every class
    gives at least one image, and keeps one to learn from. Each role is in a stratified order, so
    that any beginning of it has all classes in their shares.

    Args:
        labels: Of the images of each split, "train" and "test" and perhaps "validation", or `WHOLE`
            alone.
        seed: Decides which images are given.
        name_of: From a label to what messages call the class.

    Raises:
        UserError: if a class has too few images.
    """
    if WHOLE in labels:
        shares = {"test": _TEST, "validation": _VALIDATION}
        found = _carved(labels[WHOLE], shares, seed, name_of)
        return {role: Chosen(WHOLE, found[role]) for role in ROLES}
    shares = {} if "validation" in labels else {"validation": _VALIDATION}
    found = _carved(labels["train"], shares, seed, name_of)
    chosen = {role: Chosen("train", places) for role, places in found.items()}
    others = {split: stratified_order(labels[split], seed) for split in labels if split != "train"}
    return chosen | {split: Chosen(split, places) for split, places in others.items()}


def _carved(
    labels: Labels, shares: Mapping[str, float], seed: int, name_of: Callable[[int], str]
) -> dict[str, np.ndarray]:
    """Places of the images of each share, and of the rest as "train"."""
    order = stratified_order(labels, seed)
    roles = np.full(len(labels), "train", object)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        if len(members) <= len(shares):
            raise UserError(
                f"{name_of(int(label))} has {len(members)} "
                f"image{'s' * (len(members) != 1)}, and needs at least {len(shares) + 1}: to learn "
                f"from, and for {' and '.join(shares)}"
            )
        start = 0
        for role, share in shares.items():
            stop = start + max(1, int(share * len(members) + 0.5))
            roles[members[start:stop]] = role
            start = stop
    return {role: order[roles[order] == role] for role in ("train", *shares)}
