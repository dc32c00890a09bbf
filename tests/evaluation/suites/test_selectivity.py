import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evaluation import suites
from evaluation.model import Predictor
from evaluation.perturbations.curve import distort_all
from evaluation.suites import NotApplicable
from evaluation.suites.representation import selectivity
from tests.evaluation.suites.digits import constant, linear_classifier, some_digits


def by_name(results):
    return {(result.metric.name, result.condition): result for result in results}


def evaluate(predict, data):
    return by_name(selectivity.evaluate(predict, data, batch_size=24))


@pytest.mark.parametrize("side", [2, 4])
def test_every_block_moves_and_none_is_lost(side):
    size = 28 // side
    numbers = np.kron(np.arange(side**2).reshape(side, side), np.ones((size, size)))
    for key in jax.random.split(jax.random.key(0), 5):
        scrambled = selectivity.scramble(jnp.asarray(numbers)[..., None], key, side)[..., 0]
        blocks = np.asarray(scrambled).reshape(side, size, side, size).swapaxes(1, 2)
        blocks = blocks.reshape(side**2, -1)
        np.testing.assert_array_equal(blocks.min(axis=1), blocks.max(axis=1))
        assert sorted(blocks[:, 0].tolist()) == list(range(side**2))
        assert np.all(blocks[:, 0] != np.arange(side**2))


def test_blocks_keep_their_content_and_edges_that_do_not_divide_stay():
    image = jnp.arange(5.0 * 7 * 2).reshape(5, 7, 2)
    scrambled = np.asarray(selectivity.scramble(image, jax.random.key(0), 2))
    np.testing.assert_array_equal(scrambled[4:], image[4:])
    np.testing.assert_array_equal(scrambled[:, 6:], image[:, 6:])
    corners = {tuple(np.ravel(image[y : y + 2, x : x + 3])) for y in (0, 2) for x in (0, 3)}
    found = {tuple(np.ravel(scrambled[y : y + 2, x : x + 3])) for y in (0, 2) for x in (0, 3)}
    assert found == corners


def test_numbers_are_those_of_a_slow_reference():
    data, predict = some_digits(), linear_classifier()
    found = evaluate(predict, data)

    def probabilities(images):
        logits = predict(images.astype(np.float32) / 255.0)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    before = probabilities(data.test.images)
    distances = {}
    for name, change in selectivity.CHANGES.items():
        after = probabilities(distort_all(change, data.test.images, None))
        distances[name] = np.abs(after - before).sum(axis=1) / 2.0
        changed = found["predictions changed", name]
        np.testing.assert_array_equal(changed.outcomes, after.argmax(1) != before.argmax(1))
        assert changed.value == np.mean(changed.outcomes)
        result = found["change of the probabilities", name]
        np.testing.assert_allclose(result.outcomes, distances[name], atol=1e-5)
        assert result.interval[0] < result.value < result.interval[1]
    for name in selectivity.SCRAMBLES:
        expected = distances[name].mean() / distances[selectivity.SMALL].mean()
        result = found["selectivity", name]
        assert result.value == pytest.approx(expected, rel=1e-3)
        assert result.interval[0] < expected < result.interval[1]
        assert result.flags == ()
        (confusions,) = found["predictions changed", name].artifacts
        np.testing.assert_array_equal(
            confusions.counts.sum(axis=1), np.bincount(data.test.labels, minlength=10)
        )
    assert not found["predictions changed", selectivity.SMALL].artifacts


def test_a_constant_classifier_has_none_and_is_flagged():
    found = evaluate(constant, some_digits())
    for name in selectivity.SCRAMBLES:
        result = found["selectivity", name]
        assert (result.value, result.interval) == (0.0, (0.0, 0.0))
        (flag,) = result.flags
        assert flag == "no image changes the predictions: a selectivity of 0 stands for none"
        assert found["predictions changed", name].value == 0.0


def test_a_classifier_that_only_a_scramble_changes_is_flagged():
    def one_of_the_quadrants(images):
        # A bright pixel in the left upper corner, which a shift by a pixel leaves there.
        bright = np.any(np.asarray(images)[:, :14, :14] > 0.5, axis=(1, 2, 3))
        return np.eye(10)[bright.astype(int)] * 100.0

    images = np.zeros((24, 28, 28, 1), np.uint8)
    images[:, 5:9, 5:9] = 255
    data = some_digits()
    marked = type(data.test)(images, data.test.labels)
    result = evaluate(one_of_the_quadrants, type(data)("marks", 10, marked, marked, marked))
    assert result["selectivity", "quadrants"].value > 1e5
    assert result["selectivity", "quadrants"].flags == ("the small map changes nothing: no ratio",)
    assert result["predictions changed", "quadrants"].value == 1.0
    assert result["predictions changed", selectivity.SMALL].value == 0.0


def test_a_models_own_confidences_are_brought_to_shares():
    data = some_digits()
    lengths = iter(np.array([[0.2, 0.2], [0.2, 0.2], [0.9, 0.3], [0.0, 0.0]]))
    model = Predictor.of(
        lambda images: np.zeros((len(images), 2)),
        probabilities=lambda images: np.tile(next(lengths), (len(images), 1)),
    )
    found = evaluate(model, data)
    assert found["change of the probabilities", "small map"].value == 0.0
    # From one half each to three quarters and one.
    assert found["change of the probabilities", "quadrants"].value == pytest.approx(0.25)
    assert found["change of the probabilities", "blocks"].value == pytest.approx(0.5)


def test_it_does_not_apply_to_images_without_blocks():
    data = some_digits()
    tiny = type(data.test)(data.test.images[:, :3, :3], data.test.labels)
    tiny = type(data)("tiny", 10, tiny, tiny, tiny)
    with pytest.raises(NotApplicable, match="fewer than 4 pixels"):
        suites.run(selectivity, constant, tiny, batch_size=24)
