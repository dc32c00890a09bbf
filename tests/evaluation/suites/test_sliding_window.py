import functools

import jax
import numpy as np
import pytest
from scipy import ndimage

from cnn import convolve, pool
from evaluation import suites
from evaluation.model import Predictor
from evaluation.results.quantities import shares
from evaluation.suites import NotApplicable
from evaluation.suites.shifts.sliding_window import compare
from tests.evaluation.suites.digits import constant, dataset, mnist

SUITE = suites.load("sliding_window")
SIZE = 14
FIRST, SECOND = (
    jax.random.normal(jax.random.key(number), (size, size, *channels)) / size
    for number, (size, channels) in enumerate([(3, (1, 4)), (6, (4, 10))])
)


@functools.partial(jax.jit, static_argnames="padding")
def scores(images, padding):
    """Ten scores of every place; without padding a window of 14x14 pixels has one place."""
    features = pool(jax.nn.relu(convolve(images, FIRST, padding=padding)), "max2")
    return convolve(features, SECOND, padding=padding)


def digits(count):
    """Digits cut to the middle 14 of their 28 pixels."""
    images = mnist("test")[0][:count, 7:-7, 7:-7]
    return dataset(images, np.zeros(count))


def found(padding, count=8):
    predictor = Predictor.of(
        constant, activations=lambda images: {"scores": scores(images, padding=padding)}
    )
    results = SUITE.evaluate(predictor, digits(count), batch_size=100)
    assert results is not None
    return {result.condition: result for result in results}


def test_dense_scores_are_the_scores_of_every_window_without_padding():
    canvas = digits(4).test.images.reshape(1, 28, 28, 1) / np.float32(255.0)
    dense = np.asarray(scores(canvas, padding="VALID"))
    assert dense.shape == (1, 8, 8, 10)
    corners = [(2 * y, 2 * x) for y in range(8) for x in range(8)]
    windows = np.concatenate([canvas[:, y : y + SIZE, x : x + SIZE] for y, x in corners])
    alone = np.asarray(scores(windows, padding="VALID"))
    np.testing.assert_allclose(alone.reshape(8, 8, 10), dense[0], atol=1e-5)
    assert np.ptp(dense) > 0.1


def test_the_suite_finds_no_difference_without_padding():
    for result in found("VALID").values():
        assert result.value < 1e-5
        assert result.details == shares(share_of_places_that_differ=0.0)


def test_the_suite_finds_what_padding_breaks():
    results = found("SAME")
    assert list(results) == ["scores, stride 2", "last layer"]
    for result in results.values():
        assert result.value > 0.05
        assert 0.3 < result.details["share of places that differ"].value < 1.0
        assert result.count == len(result.outcomes) == 2
        assert result.value == pytest.approx(np.mean(result.outcomes))


def test_padding_by_hand():
    def neighbours(images):
        """The number of pixels of the 3x3 around a pixel inside the image, which is all ones."""
        kernel = np.ones((1, 3, 3, 1))
        return {"sum": ndimage.correlate(images, kernel, mode="constant")}

    canvas = np.ones((1, 8, 8, 1))
    ((distance, broken),) = compare(neighbours, {"sum": 1}, canvas, (4, 4, 1)).values()
    # A window's own map: 9 at four places inside, 6 at eight on its edges, 4 at its corners; its
    # length is 26. On the large image's own edges a window has the same edge; inside it has none.
    corner, edge, middle = np.sqrt([69, 112, 172]) / 26
    np.testing.assert_allclose(distance, [(4 * corner + 4 * edge + middle) / 9])
    np.testing.assert_allclose(broken, [(4 * 7 + 4 * 10 + 12) / 9 / 16])


def test_canvases_have_every_image_once():
    inputs = []

    def activations(images):
        inputs.append(np.array(images))
        return {"identity": images}

    images = np.random.default_rng(0).integers(0, 256, (9, 6, 4, 3)).astype(np.uint8)
    data = dataset(images, np.zeros(9))
    SUITE.evaluate(Predictor.of(constant, activations=activations), data, batch_size=2)
    canvases = next(each for each in inputs if each.shape[1:] == (12, 8, 3))
    kept = data.test.sample(8).images / np.float32(255.0)
    np.testing.assert_allclose(canvases[1, :6, 4:], kept[5], rtol=1e-6)
    np.testing.assert_allclose(canvases[1, 6:, :4], kept[6], rtol=1e-6)


def test_it_needs_maps_that_grow_and_four_images():
    def flat(images):
        return {"flat": np.asarray(images).sum(axis=(1, 2))}

    def identity(images):
        return {"identity": images}

    with pytest.raises(NotApplicable, match="no `activations`"):
        suites.run(SUITE, constant, digits(4), batch_size=4)
    with pytest.raises(NotApplicable, match="known stride"):
        suites.run(SUITE, Predictor.of(constant, activations=flat), digits(4), batch_size=4)
    few = Predictor.of(constant, activations=identity)
    with pytest.raises(NotApplicable, match="3 test images"):
        suites.run(SUITE, few, digits(3), batch_size=4)
