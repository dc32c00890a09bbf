import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data.batches import (
    DeviceSplit,
    draw,
    draw_balanced,
    epoch_order,
    normalise,
    steps_per_epoch,
)
from data.distortions import AffineDistortion
from data.sources.load import DatasetConfig

KEY = jax.random.key(3)
# Image k is filled with the value k, so that a batch shows which images it holds.
SPLIT = DeviceSplit(
    jnp.broadcast_to(jnp.arange(50, dtype=jnp.uint8)[:, None, None, None], (50, 6, 6, 1)),
    jnp.arange(50, dtype=jnp.int32),
)


def batch(step, key=KEY, shift=0):
    epoch = step // steps_per_epoch(50, 8)
    order = epoch_order(key, jnp.asarray(epoch), 50)
    generate = DatasetConfig(shift=shift).generate
    return draw(SPLIT, order, key, jnp.asarray(step), batch_size=8, generate=generate)


def test_pixels_end_up_in_zero_to_one():
    pixels = normalise(jnp.array([0, 51, 255], jnp.uint8))
    np.testing.assert_allclose(pixels, [0.0, 0.2, 1.0], rtol=1e-6)
    assert pixels.dtype == jnp.float32


def test_images_keep_their_labels():
    drawn = batch(2)
    np.testing.assert_allclose(drawn.images[:, 3, 3, 0] * 255, drawn.labels, rtol=1e-5)


def test_an_epoch_visits_each_image_at_most_once():
    labels = np.concatenate([batch(step).labels for step in range(6)])
    assert len(set(labels.tolist())) == 48


def test_epochs_differ_in_their_order():
    assert not np.array_equal(batch(0).labels, batch(6).labels)


def test_a_batch_is_a_function_of_seed_and_step():
    for first, second in zip(batch(4, shift=2)[:2], batch(4, shift=2)[:2], strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(batch(4).labels, batch(4, key=jax.random.key(4)).labels)


def test_augmentation_changes_with_the_step_and_not_without_being_asked():
    first, second = batch(0, shift=2), batch(6, shift=2)
    assert not np.array_equal(first.images == 0, second.images == 0)
    assert np.all((batch(0).images > 0) | (batch(0).labels == 0)[:, None, None, None])


def test_classes_may_be_drawn_as_often():
    sizes = {3: 1, 7: 10, 40: 30}  # of classes, far apart
    labels = np.random.default_rng(0).permutation(np.repeat(list(sizes), list(sizes.values())))
    count = 30_000
    drawn = np.asarray(draw_balanced(KEY, jnp.asarray(labels, jnp.int32), count))
    images = np.bincount(drawn, minlength=len(labels))
    for label, size in sizes.items():
        expected = count / len(sizes) / size
        # Of a chi-squared distribution with as many degrees of freedom, or fewer.
        distance = np.sum((images[labels == label] - expected) ** 2) / expected
        assert distance < size + 6.0 * np.sqrt(2.0 * size)
    split = DeviceSplit(SPLIT.images[: len(labels)], jnp.asarray(labels, jnp.int32))
    generate = DatasetConfig(shift=0, balanced=True).generate
    batch = jax.jit(generate)(KEY, split, jnp.arange(16))
    numbers = np.rint(np.asarray(batch.images[:, 0, 0, 0]) * 255).astype(int)
    np.testing.assert_array_equal(batch.labels, labels[numbers])  # of the images that they show
    assert np.mean(batch.labels == 3) > 0.1  # of one image in 41


def test_training_images_may_be_distorted():
    distortion = AffineDistortion(smallest_scale=0.5, largest_scale=0.5)
    generate = DatasetConfig(shift=0, distortion=distortion).generate
    images = generate(KEY, SPLIT, jnp.array([20, 40])).images
    assert images.shape == (2, 6, 6, 1)
    # Images of one grey level shrink to half their size, in the middle.
    np.testing.assert_allclose(images[1, 2:4, 2:4], 40 / 255, rtol=1e-5)
    np.testing.assert_array_equal(images[:, 0], 0.0)


def test_only_bytes_are_brought_to_zero_to_one():
    """A second division would leave images nearly black."""
    np.testing.assert_array_equal(normalise(np.array([0, 255], np.uint8)), [0.0, 1.0])
    for dtype in (np.float32, np.int32, np.bool_):
        with pytest.raises(TypeError, match="only bytes"):
            # The check of types that tests add would refuse them before.
            normalise.__wrapped__(np.ones((2, 2), dtype))


@pytest.mark.parametrize("batch_size", [0, -1, 51])
def test_a_batch_has_no_more_images_than_the_split_and_at_least_one(batch_size):
    with pytest.raises(ValueError, match=rf"batch_size={batch_size}: .* 50 images"):
        steps_per_epoch(50, batch_size)
    with pytest.raises(ValueError, match=rf"batch_size={batch_size}: .* 50 images"):
        draw(SPLIT, jnp.arange(50), KEY, jnp.asarray(0), batch_size=batch_size, generate=pick)


def test_an_order_is_one_of_the_split():
    for count in (49, 51):
        with pytest.raises(ValueError, match=f"an order of {count} images for a split of 50"):
            draw(SPLIT, jnp.arange(count), KEY, jnp.asarray(0), batch_size=8, generate=pick)


def pick(key, split, chosen):
    return split.images[chosen], split.labels[chosen]


def test_a_batch_may_be_the_whole_split():
    drawn = draw(SPLIT, jnp.arange(50), KEY, jnp.asarray(7), batch_size=50, generate=pick)
    np.testing.assert_array_equal(drawn[1], np.arange(50))
