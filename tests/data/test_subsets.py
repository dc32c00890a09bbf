import dataclasses

import numpy as np
import pytest

from common.errors import UserError
from data.sources import DatasetConfig, Split, load
from data.subsets import first_images, stratified_order

# Three classes of very different size, in no order.
LABELS = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], [500, 90, 10]))


SMALL = DatasetConfig(train="train[:600]", validation="train[600:610]", test="test[:10]")


def test_every_image_is_in_the_order_once():
    np.testing.assert_array_equal(np.sort(stratified_order(LABELS)), np.arange(600))
    np.testing.assert_array_equal(stratified_order(LABELS), stratified_order(LABELS.copy()))


def test_every_beginning_of_the_order_has_the_classes_in_their_shares():
    seen = np.cumsum(np.eye(3)[LABELS[stratified_order(LABELS)]], axis=0)
    shares = np.array([500, 90, 10]) / 600
    expected = np.arange(1, 601)[:, None] * shares
    # Each class is within half an image of where the order stands, which itself may be half an
    # image a class off.
    assert np.max(np.abs(seen - expected)) <= 0.5 + 0.5 * 3 * shares.max()


def test_classes_are_shuffled_within_themselves():
    (first,) = np.nonzero(LABELS == 0)
    order = stratified_order(LABELS)
    drawn = order[LABELS[order] == 0]
    assert not np.array_equal(drawn, first)
    assert abs(np.corrcoef(drawn, np.arange(500))[0, 1]) < 0.15


def test_subsets_are_nested_and_keep_the_order_of_the_images():
    sizes = (1, 30, 31, 300, 600)
    chosen = [first_images(LABELS, size) for size in sizes]
    for size, few, many in zip(sizes, chosen, chosen[1:], strict=False):
        assert len(few) == size
        assert np.all(np.diff(few) > 0)
        assert set(few) < set(many)
    np.testing.assert_array_equal(chosen[-1], np.arange(600))


def test_a_run_on_all_images_is_the_standard_one(data_dir):
    standard = load(SMALL, data_dir)
    everything = load(dataclasses.replace(SMALL, train_images=600), data_dir)
    # Of the same arrays, every batch is the same (see `data.batches`).
    assert everything.train.checksum == standard.train.checksum


def test_few_training_images_leave_the_other_splits_alone(data_dir):
    standard = load(SMALL, data_dir)
    few = load(dataclasses.replace(SMALL, train_images=50), data_dir)
    assert few.validation.checksum == standard.validation.checksum
    assert few.test.checksum == standard.test.checksum
    numbers = first_images(standard.train.labels, 50)
    np.testing.assert_array_equal(few.train.images, standard.train.images[numbers])
    np.testing.assert_array_equal(few.train.labels, standard.train.labels[numbers])


def test_more_images_than_there_are_cannot_be_had():
    with pytest.raises(UserError, match="train_images=601: there are 600 training images"):
        first_images(LABELS, 601)
    with pytest.raises(UserError, match="train_images=-1: must be at least 0"):
        DatasetConfig(train_images=-1).check()


@pytest.mark.parametrize("wanted", [0, -1])
def test_at_least_one_image_is_taken(wanted):
    with pytest.raises(UserError, match=f"train_images={wanted}: must be at least 1"):
        first_images(LABELS, wanted)
    split = Split(np.zeros((3, 2, 2, 1), np.uint8), np.zeros(3, np.int32))
    with pytest.raises(ValueError, match=f"count={wanted}"):
        split.sample(wanted)


def test_classes_are_whole_numbers():
    with pytest.raises(TypeError, match="float64 labels"):
        stratified_order(np.array([0.0, np.nan, 1.0]))
