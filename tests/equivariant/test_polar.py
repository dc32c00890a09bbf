import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnn import count_parameters
from cnn.output import in_mode
from data.batches import Batch
from equivariant.networks.polar import PolarNetworkConfig, large, small
from equivariant.polar import centroid, log_polar, log_polar_grid, pad_angles

SMALL = PolarNetworkConfig((4, 6), (1, 2), origin_channels=3)
IMAGES = np.random.default_rng(0).uniform(size=(2, 16, 16, 1)).astype(np.float32)
MIDDLE = np.zeros((2, 2), np.float32)


@functools.cache
def network() -> tuple:
    """A small one, and one program for its output."""
    model = nnx.jit(lambda: SMALL.build((16, 16, 1), 4, nnx.Rngs(0)))()
    return model, nnx.jit(lambda model, images: model(images))


def evaluated():
    model, output = network()
    return lambda images: output(in_mode(model, training=False), images)


def rendered(image, origin, size, largest):
    """A log-polar map in loops and float64, with the radius as the authors' code has it."""
    height, width = image.shape
    found = np.zeros(size)
    for row, column in np.ndindex(size):
        angle = 2.0 * np.pi * row / size[0]
        radius = np.exp(column / (size[1] - 1) * np.log(largest))
        radius = (radius - 1.0) / (largest - 1.0) * largest
        # Pixels of the image, whose first centre is 0.
        x = (origin[0] + 1.0) * width / 2.0 - 0.5 + radius * np.cos(angle)
        y = (origin[1] + 1.0) * height / 2.0 - 0.5 + radius * np.sin(angle)
        for i, j in np.ndindex(height, width):
            weight = max(0.0, 1.0 - abs(y - i)) * max(0.0, 1.0 - abs(x - j))
            found[row, column] += weight * image[i, j]
    return found


@jax.jit
def polar(images, origins):
    return log_polar(images, log_polar_grid(origins, (16, 12), (16, 16), max_radius=0.6))


def test_the_map_is_that_of_plain_loops():
    origins = np.array([[0.2, -0.3], [0.0, 0.0]], np.float32)
    expected = rendered(IMAGES[0, ..., 0], origins[0], (16, 12), 0.6 * 16)
    np.testing.assert_allclose(polar(IMAGES, origins)[0, ..., 0], expected, atol=1e-5)


def test_pixels_need_not_fill_a_square():
    grid = log_polar_grid(MIDDLE[:1], (4, 2), (9, 12), max_radius=0.5)
    np.testing.assert_allclose(grid[0, :, 1, 0], [1.0, 0.0, -1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(grid[0, :, 1, 1], [0.0, 12 / 9, 0.0, -12 / 9], atol=1e-6)


def test_radii_by_hand():
    """Of 8 pixels a half is 4, which is 4^0, 4^(1/2) and 4^1 in three steps: 0, 4/3 and 4."""
    grid = log_polar_grid(MIDDLE[:1], (4, 3), (8, 8), max_radius=0.5)
    np.testing.assert_allclose(grid[0, 0, :, 0], [0.0, 1.0 / 3.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(grid[0, 1, :, 1], [0.0, 1.0 / 3.0, 1.0], atol=1e-6)  # down


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_quarter_turn_is_a_roll(turns):
    before = polar(IMAGES, MIDDLE)
    turned = polar(np.rot90(IMAGES, turns, axes=(1, 2)).copy(), MIDDLE)
    np.testing.assert_allclose(turned, np.roll(before, -4 * turns, axis=1), atol=1e-5)
    assert np.max(np.abs(turned - before)) > 0.1


def test_the_centroid_by_hand():
    heat = np.zeros((3, 2, 4))
    heat[0, 0, 3] = 2.0  # centre of the last pixel of the first row
    heat[1] = 1.0
    heat[2, 0, 0], heat[2, 1, 1] = 3.0, 1.0  # x: (3 * -.75 + 1 * -.25) / 4
    expected = [[0.75, -0.5], [0.0, 0.0], [-0.625, -0.25]]
    np.testing.assert_allclose(centroid(heat), expected, atol=1e-6)


def test_a_heat_map_that_cancels_has_finite_gradients():
    def total(heat):
        return jnp.sum(centroid(heat))

    heat = jnp.stack([jnp.zeros((4, 4)), jnp.tile(jnp.array([1.0, -1.0]), (4, 2))])
    value, gradient = jax.jit(jax.value_and_grad(total))(heat)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_padding_goes_around_the_angles():
    maps = np.arange(1.0, 7.0).reshape(1, 3, 2, 1)
    expected = [[0, 5, 6, 0], [0, 1, 2, 0], [0, 3, 4, 0], [0, 5, 6, 0], [0, 1, 2, 0]]
    np.testing.assert_array_equal(pad_angles(maps)[0, ..., 0], expected)


def test_parameters_of_the_paper():
    assert count_parameters(lambda: large().build((28, 28, 1), 10, nnx.Rngs(0))) == 131_959


def test_parts_of_the_parameters():
    origin = 9 * (1 * 20 + 2 * 20 * 20) + 3 * 3 * 20 + 21
    layers = 9 * (1 * 20 + 5 * 20 * 20) + 6 * 3 * 20
    found = count_parameters(lambda: small().build((28, 28, 1), 10, nnx.Rngs(0)))
    assert found == origin + layers + 9 * 20 * 10 + 10


def test_it_starts_in_the_middle_and_is_invariant_to_quarter_turns():
    output = evaluated()
    before = output(IMAGES)
    np.testing.assert_allclose(before.warp.grids[:, 0, :, 0], 0.0, atol=1e-6)
    assert before.warp.images.shape == (2, 1, 16, 16, 1)
    assert np.ptp(before.logits) > 1e-2
    after = output(np.ascontiguousarray(np.rot90(IMAGES, axes=(1, 2))))
    np.testing.assert_allclose(after.logits, before.logits, atol=1e-5)
    mirrored = output(np.ascontiguousarray(IMAGES[:, :, ::-1]))
    assert np.max(np.abs(mirrored.logits - before.logits)) > 1e-4


def test_the_origin_moves_in_training_alone():
    origin: Any = in_mode(network()[0].origin, training=True)
    draw = nnx.jit(lambda origin, images: origin(images))
    origins = np.stack([draw(origin, np.tile(IMAGES, (40, 1, 1, 1))) for _ in range(2)])
    assert np.all(np.abs(origins) <= 2.0 * 2.0 / 16 + 1e-5)  # two pixels of sixteen
    assert np.max(np.abs(origins)) > 0.2
    assert not np.allclose(*origins)


@pytest.mark.slow
def test_gradients_of_a_black_image_are_finite_and_origins_learn():
    model, _ = network()
    gradient = nnx.jit(nnx.grad(lambda model, batch: model.loss(batch)[0]))
    labels = jnp.arange(2)
    black, seen = (
        gradient(model, Batch(jnp.asarray(images), labels)) for images in (0.0 * IMAGES, IMAGES)
    )
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(black))
    assert np.any(seen["origin"]["heat"]["kernel"][...])


def test_activations_are_by_layer():
    model: Any = in_mode(network()[0], training=False)
    shapes = jax.eval_shape(lambda: model.activations(IMAGES))
    assert {name: leaf.shape[1:] for name, leaf in shapes.items()} == {
        "polar map": (16, 16, 1),
        "convolution 1": (16, 16, 4),
        "convolution 2": (8, 8, 6),
    }


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (PolarNetworkConfig(strides=(1,)), "strides=.*must be one for each of the 8"),
        (PolarNetworkConfig(max_radius=0.01), "max_radius=0.01: of 28x28 pixels is 0.28"),
        (PolarNetworkConfig(origin_jitter=-1.0), "origin_jitter=-1.0"),
    ],
)
def test_mistakes_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        config.build((28, 28, 1), 10, nnx.Rngs(0))
