import jax
import numpy as np
import pytest

from evaluation import suites
from evaluation.metrics.lie_derivative import (
    GENERATORS,
    change,
    directional_derivatives,
    local_equivariance_errors,
    spectral_derivative,
)
from evaluation.model import Predictor
from evaluation.suites.representation.lie_derivative import CHANGE, EQUIVARIANCE
from tests.evaluation.suites.digits import constant, mnist, some_digits

SUITE = suites.load("lie_derivative")
FIELDS = {generator.unit: generator.field for generator in GENERATORS}
BLUR = np.array([0.25, 0.5, 0.25])


def smooth(count=6):
    """Digits with nothing near the Nyquist frequency, and blank edges."""
    images = mnist("test")[0][:count] / np.float32(255.0)
    images = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)))
    for axis in (1, 2) * 4:
        images = sum(
            weight * np.roll(images, by, axis) for weight, by in zip(BLUR, (-1, 0, 1), strict=True)
        )
    return images.astype(np.float32)


def errors(function, unit, images=None, stride=1):
    images, field = smooth() if images is None else images, FIELDS[unit]

    def layers(images):
        return {"layer": function(np.asarray(images, np.float64))}

    rates = directional_derivatives(layers, images, field)
    return local_equivariance_errors(layers(images), rates, {"layer": stride}, field)["layer"]


@pytest.mark.parametrize("size", [7, 8])
def test_the_derivative_of_waves_is_known(size):
    places = 2.0 * np.pi * np.arange(size) / size
    waves = 3.0 + np.sin(2.0 * places) + (np.cos(np.pi * np.arange(size)) if size == 8 else 0.0)
    slope = 2.0 * np.pi / size * 2.0 * np.cos(2.0 * places)
    np.testing.assert_allclose(spectral_derivative(waves, 0), slope, atol=1e-12)
    np.testing.assert_allclose(
        spectral_derivative(np.stack([waves] * 2, 1), 0)[:, 1], slope, atol=1e-12
    )


def test_a_move_is_the_derivative_of_a_moved_image():
    """A bump that is moved by formula, a little in each direction."""
    y, x = np.mgrid[:28, :28] - 13.5

    def bump(x, y):
        return np.exp(-((x - 3.0) ** 2 + (y + 2.0) ** 2 / 1.4) / 5.0)

    for unit, moved in {
        "a pixel along x": lambda t: bump(x - t, y),
        "a pixel along y": lambda t: bump(x, y - t),
        # To the second order of t, which central differences do not see.
        "a degree": lambda t: bump(x + t * y * np.pi / 180.0, y - t * x * np.pi / 180.0),
        "a percent of scale": lambda t: bump(x * (1.0 - t / 100.0), y * (1.0 - t / 100.0)),
        "a percent of shear": lambda t: bump(x - t * y / 100.0, y - t * x / 100.0),
    }.items():
        rate = (moved(1e-4) - moved(-1e-4)) / 2e-4
        found = change(bump(x, y)[None, ..., None], FIELDS[unit])[0, ..., 0]
        np.testing.assert_allclose(found, rate, atol=5e-5, err_msg=unit)


def test_layers_that_move_along_have_no_error():
    for unit in FIELDS:
        assert np.max(errors(lambda images: 2.0 * images, unit)) < 1e-4

    def blurred(images):
        return sum(np.roll(images, by, axis) for by in (-1, 0, 2) for axis in (1, 2))

    assert np.max(errors(blurred, "a pixel along x")) < 1e-4
    assert np.min(errors(blurred, "a degree")) > 5e-4


def test_a_mirror_moves_the_other_way():
    images = smooth()
    rate = change(images, FIELDS["a pixel along x"])
    expected = 2.0 * np.sqrt(np.sum(rate**2, (1, 2, 3)) / np.sum(images**2, (1, 2, 3)))
    found = errors(lambda images: images[:, :, ::-1], "a pixel along x")
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert np.max(errors(lambda images: images[:, :, ::-1], "a percent of scale")) < 1e-4


def test_vectors_are_compared_as_they_are():
    """The sum of an image grows by two percent with a percent of scale, and else stays."""

    def total(images):
        return images.sum(axis=(1, 2))

    for unit in FIELDS:
        expected = 0.02 if unit == "a percent of scale" else 0.0
        np.testing.assert_allclose(errors(total, unit, stride=None), expected, atol=2e-5)


def test_subsampling_counts_where_it_folds_frequencies():
    def halved(images):
        return images[:, ::2, ::2]

    rough = mnist("test")[0][:6] / np.float32(255.0)
    waves = np.fft.fft2(rough, axes=(1, 2))
    low = np.abs(np.fft.fftfreq(28)) < 0.24
    waves *= (low[:, None] & low)[..., None]
    slow = np.fft.ifft2(waves, axes=(1, 2)).real
    assert np.max(errors(halved, "a pixel along x", slow, stride=2)) < 1e-4
    assert np.min(errors(halved, "a pixel along x", rough, stride=2)) > 5e-2
    assert np.all(errors(lambda images: 0.0 * images, "a degree") == 0.0)


def linear(images):
    """Logits of a classifier of random weights."""
    flat = np.asarray(images).reshape(len(images), -1)
    return flat @ np.random.default_rng(0).normal(size=(flat.shape[1], 10)).astype(np.float32) / 5


def test_differences_are_derivatives():
    images, field = smooth(), FIELDS["a degree"]
    weights = linear(np.eye(images[0].size, dtype=np.float32))

    def classify(images):
        return jax.nn.softmax(images.reshape(len(images), -1) @ weights)

    _, expected = jax.jvp(classify, (images,), (change(images, field).astype(np.float32),))
    found = directional_derivatives(lambda images: {"p": classify(images)}, images, field)["p"]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.max(np.abs(expected)) > 1e-2


def test_a_model_without_layers_has_its_probabilities_measured():
    results = suites.run(SUITE, linear, some_digits(), batch_size=7)
    assert [result.condition for result in results] == list(FIELDS)
    assert all(result.metric == CHANGE and result.value > 1e-3 for result in results)
    assert all(result.value == pytest.approx(np.mean(result.outcomes)) for result in results)
    again = suites.run(SUITE, linear, some_digits(), batch_size=24)
    for one, other in zip(results, again, strict=True):
        np.testing.assert_allclose(one.outcomes, other.outcomes, rtol=1e-3)
    for result in suites.run(SUITE, constant, some_digits(), batch_size=24):
        assert result.value == 0.0


def test_layers_of_a_model_are_measured_by_their_strides():
    def layers(images):
        images = np.asarray(images)
        return {"identity": images, "halved": images[:, ::2, ::2], "sum": images.sum(axis=(1, 2))}

    model = Predictor.of(constant, activations=layers)
    found = {
        each.condition: each.value
        for each in suites.run(SUITE, model, some_digits(), batch_size=24)
        if each.metric == EQUIVARIANCE
    }
    assert len(found) == 4 * len(FIELDS)
    assert found["a pixel along x: identity"] < 1e-4 < found["a pixel along x: halved"]
    assert found["a percent of scale: sum"] == pytest.approx(0.02, abs=2e-3)
    assert found["a degree: last layer"] == found["a degree: sum"]
