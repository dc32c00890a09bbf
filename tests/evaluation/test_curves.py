import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evaluation import suites
from evaluation.perturbations.curve import Curve, distort_all, measure, show
from evaluation.results.quantities import Axis
from evaluation.results.schema import result_to_json
from evaluation.suites import NotApplicable
from evaluation.suites.distortions import translation
from tests.evaluation.suites.digits import constant, dataset, random_network, some_digits

DISTORTIONS = (
    "affine",
    "brightness_and_contrast",
    "corruptions",
    "elastic",
    "perspective",
    "rotation",
    "scale",
    "shear",
    "spatial_adversary",
    "translation",
)
CURVES = (
    "brightness_and_contrast",
    "elastic",
    "perspective",
    "rotation",
    "scale",
    "shear",
    "translation",
)


def noisy(image, key, strength):
    return image + strength * jax.random.normal(key, image.shape)


SPREAD = Axis("spread", "levels", identity=0.0)
NOISE = Curve(noisy, {"kind": "noise"}, axis=SPREAD, strengths=(0.0, 0.1))


def evaluate(name, predict, data, batch_size=8):
    return suites.run(suites.load(name), predict, data, batch_size=batch_size)


@pytest.mark.parametrize("name", CURVES)
def test_the_identity_is_a_point_of_every_curve_and_equals_clean_exactly(name):
    inputs = []

    def predict(images):
        inputs.append(np.array(images))
        return random_network()(images)

    digits = some_digits()
    (clean,) = suites.load("clean").evaluate(predict, digits, batch_size=8)
    clean_images = np.concatenate(inputs)
    inputs.clear()
    results = evaluate(name, predict, digits)
    predicted = np.concatenate(inputs).reshape(-1, *clean_images.shape)
    conditions = {result.condition for result in results}
    identities = [r for r in results if r.axis and r.strength == r.axis.identity]
    # Smaller digits are other images at every shift.
    smaller = {condition for condition in conditions if translation.SMALLER in condition}
    assert {result.condition for result in identities} == conditions - smaller
    for result in identities:
        assert result.value == clean.value
        np.testing.assert_array_equal(result.outcomes, clean.outcomes)
    # Not only the same outcomes but the same images, to the last bit, predicted once for all.
    changed = [np.any(i != clean_images) for i in predicted]
    assert changed == [r not in identities for r in results if r not in identities[1:]]


@pytest.mark.parametrize("name", DISTORTIONS)
def test_results_define_their_measurement(name):
    digits = some_digits()
    results = evaluate(name, constant, digits)
    share = np.mean(digits.test.labels == 7)
    points = {(result.condition, result.strength) for result in results}
    assert len(points) == len(results)
    for result in results:
        # A constant classifier keeps its accuracy under all of them.
        assert result.value == share
        assert result.suite == name
        assert (result.count, result.data_checksum) == (24, digits.test.checksum)
        np.testing.assert_array_equal(result.outcomes, digits.test.labels == 7)
        assert (result.strength is None) == (result.axis is None)
        assert result.axis is None or (result.axis.name and result.axis.unit)
        assert result.definition["grey levels"] == "rounded to 1/255"
        stored = json.loads(json.dumps(result_to_json(result)))
        assert stored["definition"] == result.definition
        if name != "spatial_adversary":
            assert result.chance == 1 / 10


@pytest.mark.parametrize("name", DISTORTIONS)
def test_examples_are_images_in_range_and_blank_ones_give_no_nan(name):
    images = some_digits().test.images / np.float32(255.0)
    examples = suites.load(name).examples(images)
    for label, shown in examples.items():
        assert label.strip(" ,") == label != ""
        assert (shown.shape, shown.dtype) == (images.shape, np.float32)
        assert np.all((shown >= 0.0) & (shown <= 1.0)), label
        if name not in ("brightness_and_contrast", "corruptions"):
            assert not shown[12].any(), label  # the blank one


@pytest.mark.parametrize("name", DISTORTIONS)
def test_volumes_are_declined(name):
    volumes = dataset(np.zeros((3, 4, 28, 28, 1), np.uint8), [0, 1, 2])
    with pytest.raises(NotApplicable, match="has volumes, not images"):
        suites.run(suites.load(name), constant, volumes, batch_size=24)


@pytest.mark.parametrize("batch_size", [1, 7, 24, 50])
def test_an_image_is_distorted_the_same_in_every_batch(batch_size):
    inputs = []

    def predict(images):
        inputs.append(np.array(images))
        return constant(images)

    digits = some_digits()
    _, result = measure("noise", [NOISE], predict, digits, batch_size=batch_size)
    images = np.concatenate(inputs[len(inputs) // 2 :])[:24]
    expected = distort_all(noisy, digits.test.images, 0.1)
    np.testing.assert_array_equal(np.round(255.0 * images), expected)
    assert result.strength == 0.1


def test_an_image_keeps_its_own_noise():
    images = some_digits().test.images
    whole = distort_all(noisy, images, 0.1)
    chosen = np.array([17, 3])
    part = distort_all(noisy, images[chosen], 0.1, numbers=chosen)
    np.testing.assert_array_equal(part, whole[chosen])
    grey = distort_all(noisy, np.full((300, 5, 5, 1), 128, np.uint8), 0.1).reshape(300, -1)
    assert len(np.unique(grey, axis=0)) == 300
    assert np.std(grey / 255.0) == pytest.approx(0.1, rel=0.03)


def test_strengths_may_differ_between_images():
    images = some_digits().test.images[:3]
    mixed = distort_all(noisy, images, np.array([0.0, 0.1, 0.2]))
    for k, strength in enumerate((0.0, 0.1, 0.2)):
        np.testing.assert_array_equal(mixed[k], distort_all(noisy, images, strength)[k])


def test_a_curve_compiles_once():
    traced = []

    def distort(image, key, strength):
        traced.append(image.shape)
        return image * strength

    curve = Curve(
        distort, {}, axis=Axis("factor", "times", identity=1.0), strengths=(0.0, 0.5, 1.0)
    )
    for batch_size in (5, 8):
        measure("fade", [curve], constant, some_digits(), batch_size=batch_size)
    assert len(traced) == 1


def test_values_are_rounded_and_clipped():
    image = np.array([[[[0], [100], [255]]]], np.uint8)
    shifted = distort_all(lambda i, key, amount: i + amount, image, 0.5)
    np.testing.assert_array_equal(shifted.reshape(-1), [128, 228, 255])  # 127.5 goes to the even
    lowered = distort_all(lambda i, key, amount: i - amount, image, 0.5)
    np.testing.assert_array_equal(lowered.reshape(-1), [0, 0, 128])


def test_labels_name_condition_and_strength():
    curve = Curve(noisy, {}, condition="dots", axis=SPREAD, strengths=(0.25,))
    assert list(show([curve], np.zeros((1, 5, 5, 1)))) == ["dots, 0.25 levels"]
    assert list(show([NOISE], np.zeros((1, 5, 5, 1)))) == ["0 levels", "0.1 levels"]
    assert Curve(noisy, {}, condition="dots").label(None) == "dots"


@pytest.mark.parametrize("name", ["affine", "elastic", "perspective"])
def test_frames_that_are_not_square_and_several_channels_work(name):
    generator = np.random.default_rng(0)
    images = np.zeros((4, 20, 26, 2), np.uint8)
    images[:, 6:14, 8:18, 0] = generator.integers(1, 256, (4, 8, 10))
    images[..., 1] = images[..., 0] // 2
    examples = suites.load(name).examples(images / np.float32(255.0))
    for shown in examples.values():
        assert shown.shape == images.shape
        # Both channels go the same way.
        np.testing.assert_allclose(shown[..., 1], shown[..., 0] / 2.0, atol=1.01 / 255.0)
    assert any(np.any(shown != images / np.float32(255.0)) for shown in examples.values())


def test_the_model_may_be_any_function():
    def predict(images):
        assert isinstance(images, np.ndarray)
        return np.stack([images.mean(axis=(1, 2, 3)), jnp.full(len(images), 0.2)], axis=1)

    assert evaluate("rotation", predict, some_digits())


def test_all_together_take_a_bounded_number_of_passes_over_the_test_images():
    """Each picture but those of the adversary's grid stands for one pass."""
    images = some_digits().test.images / np.float32(255.0)
    passes = sum(len(suites.load(name).examples(images)) for name in DISTORTIONS)
    assert passes - 2 <= 125
