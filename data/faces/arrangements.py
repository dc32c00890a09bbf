"""Arrangements of the parts of a face over its slots: faces, scrambles and their controls.

An arrangement says for each slot, in the order of the parts that belong there (left eye, right
eye, nose, mouth), what lies in it: a part, nothing, or clutter. Scrambles are the 12 of the 24
permutations that move nose and mouth and do not leave the eyes, swapped or not, where they were.
A face's two eyes are the same, so the permutations come in pairs that show the same image: they
make 6 configurations. Of these three are the mirror images of the other three. So there are three
kinds of scrambles, and what is learnt of a kind is tested on a kind that is none of those learnt:
in fold k of a cross-validation, kind k is held out.
"""

import itertools

import numpy as np

from data.faces.parts import CLUTTER, LEFT_EYE, MOUTH, NOSE, NOTHING, RIGHT_EYE

HOME = np.arange(4)
EYE_SWAP = np.array([RIGHT_EYE, LEFT_EYE, NOSE, MOUTH])
EMPTY = np.full(4, NOTHING)
CLUTTERED = CLUTTER + np.arange(4)
FACELESS = np.stack([EMPTY, CLUTTERED])
# A face without its nose, and without its mouth.
MISSING = np.array([[0, 1, NOTHING, 3], [0, 1, 2, NOTHING]])
# A face with a second mouth for its nose, a second nose for its mouth, or an eye for either.
DOUBLED = np.array([[0, 1, 3, 3], [0, 1, 2, 2], [0, 1, 0, 3], [0, 1, 2, 0]])


def swap_eyes(contents: np.ndarray) -> np.ndarray:
    """Arrangements of parts with each eye for the other."""
    return EYE_SWAP[contents]


def only(part: int, contents: np.ndarray) -> np.ndarray:
    """Arrangements with one part left where it lies and nothing else."""
    return np.where(contents == part, part, NOTHING)


def cycle(contents: np.ndarray, count: int) -> np.ndarray:
    """`[count, ...]`: one arrangement for all images, or several of them, or of others, in turn."""
    several = np.atleast_2d(contents)
    return several[np.arange(count) % len(several)]


def _is_scramble(permutation: tuple[int, ...]) -> bool:
    eyes = {permutation[LEFT_EYE], permutation[RIGHT_EYE]}
    moved = permutation[NOSE] != NOSE and permutation[MOUTH] != MOUTH
    return moved and eyes != {LEFT_EYE, RIGHT_EYE}


SCRAMBLES = np.array([p for p in itertools.permutations(range(4)) if _is_scramble(p)])
_MOUTH_HIGH, _NOSE_LOW = SCRAMBLES[:, NOSE] == MOUTH, SCRAMBLES[:, MOUTH] == NOSE
# Each a configuration and its mirror image: the mouth where the nose belongs; the nose where the
# mouth belongs; both where eyes belong.
KINDS = (SCRAMBLES[_MOUTH_HIGH], SCRAMBLES[_NOSE_LOW], SCRAMBLES[~(_MOUTH_HIGH | _NOSE_LOW)])
# Of each pair of scrambles that show the same image the one whose left eye comes first.
CONFIGURATIONS = np.array(
    [p for p in SCRAMBLES if list(p).index(LEFT_EYE) < list(p).index(RIGHT_EYE)]
)


def held_out(fold: int) -> np.ndarray:
    """`[4, 4]`: the scrambles that a fold of the cross-validation holds out."""
    return KINDS[fold]


def trained(fold: int) -> np.ndarray:
    """`[8, 4]`: the scrambles that it trains on."""
    return np.concatenate([kind for k, kind in enumerate(KINDS) if k != fold])
