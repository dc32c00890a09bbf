"""Attacks that go on with what withstands: sizes of their batches, and what each image gets."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from data.dataset import Split
from evaluation.attacks.iterated import Found, IteratedAttack, goes_on
from evaluation.attacks.search import MIN_BATCH, fitting, in_batches, next_smaller
from evaluation.model import Differentiable

LOOKS, COUNT = 40, 150
# Looks after which each image misleads the model; those of more than LOOKS never do.
ENDURANCE = np.random.default_rng(0).permutation(np.linspace(1, 2 * LOOKS, COUNT).astype(int))
SPLIT = Split(np.zeros((COUNT, 1, 1, 1), np.uint8), np.arange(COUNT, dtype=np.int32))
MODEL = Differentiable(lambda variables, images: images, None)


class Countdown(NamedTuple):
    looks: Any
    images: Any
    misled: Any

    def found(self):
        no = np.zeros(len(self.misled), bool)
        return Found(self.images, self.misled, no, no, ~no)


class Waiting(IteratedAttack):
    """Adds one to an image at each look, up to the last that it endures; no model is asked."""

    def __init__(self):
        self.sizes = []

    @property
    def looks(self):
        return LOOKS

    def begin(self, images):
        return Countdown(np.int32(0), np.zeros_like(images), np.zeros(len(images), bool))

    def go_on(self, model, batch, state, epsilon):
        while goes_on(batch, state, self.looks):
            self.sizes.append(len(batch.labels))
            looked = state.images + ~state.misled[:, None, None, None]
            misled = state.misled | (state.looks + 1 >= ENDURANCE[batch.numbers])
            state = Countdown(np.int32(state.looks + 1), looked, misled)
        return state


def wait(numbers=None, batch_size=100):
    attack = Waiting()
    found = attack(
        MODEL, SPLIT, epsilon=1.0, numbers=numbers, batch_size=batch_size, name="waiting"
    )
    return attack.sizes, found


@pytest.mark.parametrize(
    ("numbers", "batch_size"),
    [(None, 100), (None, 20), (np.array([3]), 100), (np.arange(0, COUNT, 4), 37)],
)
def test_every_image_gets_its_looks_and_no_more(numbers, batch_size):
    _, found = wait(numbers, batch_size)
    expected = ENDURANCE if numbers is None else ENDURANCE[numbers]
    np.testing.assert_array_equal(found.images[:, 0, 0, 0], np.minimum(expected, LOOKS))
    np.testing.assert_array_equal(found.misled, expected <= LOOKS)


def test_work_is_in_proportion_to_what_withstands():
    sizes, _ = wait()
    assert set(sizes) == {100, 64, 32}
    needed = np.minimum(ENDURANCE, LOOKS).sum()
    assert needed <= sum(sizes) < 2 * needed
    # One image is attacked alone, but for those that fill the smallest batch.
    assert set(wait(np.array([3]))[0]) == {MIN_BATCH}


def test_images_that_fill_a_batch_do_not_keep_it_large():
    # 33 images need a batch of 64; without the one of most looks, they would fit into 32.
    numbers = np.argsort(ENDURANCE)[-33:]
    first = ENDURANCE[numbers].min()
    assert first > LOOKS
    order = np.append(np.argsort(ENDURANCE)[:1], numbers[1:])
    sizes, _ = wait(order)
    assert sizes == [64] * ENDURANCE.min() + [32] * (LOOKS - ENDURANCE.min())


def test_sizes_by_hand():
    sizes = [fitting(count, 250) for count in (1, 16, 17, 32, 33, 128, 129, 250)]
    assert sizes == [16, 16, 32, 32, 64, 128, 250, 250]
    assert [fitting(count, 10) for count in (1, 10)] == [10, 10]
    assert [next_smaller(size) for size in (250, 129, 128, 64, 32)] == [128, 128, 64, 32, 16]
    assert [next_smaller(size) for size in (24, 17, 16, 10, 1)] == [16, 16, 0, 0, 0]
    for size in range(1, 300):
        smaller = next_smaller(size)
        assert not smaller or fitting(smaller, size) == smaller < fitting(smaller + 1, size)


def test_the_last_batch_is_no_larger_than_it_must_be():
    sizes = []

    def function(images, labels, chosen):
        sizes.append(len(images))
        return (labels, chosen)

    labels, chosen = in_batches(function, SPLIT, np.arange(40, 140), batch_size=64, name="test")
    assert sizes == [64, 64]
    np.testing.assert_array_equal(labels, np.arange(40, 140))
    np.testing.assert_array_equal(chosen, labels)
    in_batches(function, SPLIT, np.arange(70), batch_size=64, name="test")
    assert sizes[2:] == [64, 16]
