import dataclasses

import numpy as np
import pytest

from data.dataset import Split
from evaluation import suites
from evaluation.model import Predictor
from evaluation.suites import NotApplicable
from evaluation.suites.representation import place_probe
from tests.evaluation.suites.digits import constant, dataset, mnist

IMAGES, LABELS = mnist("test")
FITTED, TESTED = 400, 200


def small_dataset():
    made = dataset(IMAGES[:TESTED], LABELS[:TESTED])
    validation = Split(IMAGES[-FITTED:], LABELS[-FITTED:].astype(np.int32))
    return dataclasses.replace(made, validation=validation)


def layers(images):
    """The centre of mass, many times over; the mass alone, which does not move; noise."""
    images = np.asarray(images)[..., 0]
    mass = images.sum(axis=(1, 2))
    y, x = np.mgrid[:28, :28] - 13.5
    centre = [(images * place).sum(axis=(1, 2)) / np.maximum(mass, 1e-6) for place in (x, y)]
    mix = np.random.default_rng(0).normal(size=(2, 3000))
    noise = np.random.default_rng(1).normal(size=(len(images), 40))
    return {
        "places": (np.stack(centre, axis=1) @ mix).reshape(len(images), 30, 100),
        "mass": mass[:, None],
        "a noise": noise,
    }


def test_a_place_is_found_in_the_layers_that_have_it():
    model = Predictor.of(constant, activations=layers)
    results = place_probe.evaluate(model, small_dataset(), batch_size=100)
    # In the order of the layers, not of the alphabet.
    assert [result.condition for result in results] == ["pixels", "places", "mass", "a noise"]
    pixels, places, mass, noise = results
    # The rest is that digits are not quite centred to begin with.
    assert places.value > 0.9
    assert mass.value < 0.1
    assert noise.value < 0.05
    assert places.value > pixels.value > 0.5
    for result in results:
        assert result.value == pytest.approx(result.outcomes.mean(), abs=1e-6)
        assert result.interval[0] <= result.value <= result.interval[1]
        assert -0.5 < result.details["shuffled targets"].value < 0.05
        assert result.count == TESTED


def test_sketches_are_signed_sums_in_which_everything_counts_once():
    small = np.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_array_equal(place_probe.sketch(small), small.reshape(2, 6))
    units = place_probe.sketch(np.eye(1000, dtype=np.float32))
    assert units.shape == (1000, 512)
    np.testing.assert_array_equal(np.abs(units).sum(axis=1), 1.0)
    assert set(np.unique(units)) == {-1.0, 0.0, 1.0}
    values = np.random.default_rng(0).normal(size=(5, 1000)).astype(np.float32)
    np.testing.assert_allclose(place_probe.sketch(values), values @ units, atol=1e-4)


def test_it_does_not_apply_to_models_that_name_no_layers():
    with pytest.raises(NotApplicable, match="no `activations`"):
        suites.run(place_probe, constant, small_dataset(), batch_size=100)
