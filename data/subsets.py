"""Small training sets: the first so many images of one fixed, stratified order.

A subset of fewer images lies within every subset of more, so that a learning curve shows what more
images add and not what other images do.
"""

import numpy as np
from jaxtyping import Int

from common.errors import UserError

_SEED = 0


def stratified_order(
    labels: Int[np.ndarray, "count"], seed: int = _SEED
) -> Int[np.ndarray, "count"]:
    """An order of images every beginning of which has each class in its share, to about one image.

    Each class is shuffled and spread evenly over the order.

    Args:
        labels: Of the images.
        seed: Of the shuffling.

    Returns:
        Numbers of the images, the same ones every time.

    Raises:
        TypeError: if the labels are no whole numbers.
    """
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{labels.dtype} labels: classes are whole numbers")
    random = np.random.default_rng(seed)
    places = np.empty(len(labels))
    for label in np.unique(labels):
        (members,) = np.nonzero(labels == label)
        places[random.permutation(members)] = (np.arange(len(members)) + 0.5) / len(members)
    return np.argsort(places, kind="stable")


def first_images(labels: Int[np.ndarray, "count"], wanted: int) -> Int[np.ndarray, "wanted"]:
    """Positions of the images of a small training set, in the order in which they are stored.

    Kept in that order, the set of all images is the training split itself, batch by batch.

    Args:
        labels: Of all training images.
        wanted: How many to take.

    Raises:
        UserError: if there are fewer, or none is wanted.
    """
    if wanted < 1:
        raise UserError(f"dataset.train_images={wanted}: must be at least 1")
    if wanted > len(labels):
        raise UserError(f"dataset.train_images={wanted}: there are {len(labels)} training images")
    return np.sort(stratified_order(labels)[:wanted])
