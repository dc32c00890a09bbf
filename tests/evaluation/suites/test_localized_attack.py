import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data.dataset import Dataset, Split
from data.faces.parts import NOSE
from data.faces.tasks import FacesConfig
from evaluation import suites
from evaluation.attacks.gradient import attack_all, pgd
from evaluation.model import Predictor
from evaluation.suites import NotApplicable
from evaluation.suites.adversarial import localized_attack
from tests.evaluation.suites.digits import constant, some_digits
from tests.evaluation.suites.reconstructing import reconstructing

DIGITS = some_digits()
COUNT = len(DIGITS.test)
FACES = FacesConfig("configuration", test_images=12, validation_images=1)


@jax.jit
def where(labels):
    rendered = FACES.render_labels(FACES.keys("test", jnp.arange(12)), labels)
    return rendered.boxes, rendered.poses


@functools.cache
def faces():
    """The boxes of twelve faces, and a dataset that has all of them but the images."""
    labels = np.arange(12, dtype=np.int32) % 6
    boxes, poses = map(np.asarray, where(labels))
    noise = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 1)).astype(np.uint8)
    split = Split(noise, labels, poses[:, None])
    return boxes, Dataset("faces", 6, split, split, split, generator=FACES)


def test_squares_by_hand():
    mask = localized_attack.squares((10, 20), 8.0)  # 16 of 200 pixels: four of 2 x 2
    expected = np.zeros((10, 20), bool)
    for top in (2, 6):
        for left in (5, 13):
            expected[top : top + 2, left : left + 2] = True
    np.testing.assert_array_equal(mask, expected)
    assert not localized_attack.squares((28, 28), 0.0).any()


@pytest.mark.parametrize("area", localized_attack.AREAS)
def test_squares_have_about_their_area(area):
    mask = localized_attack.squares((28, 28), area)
    assert 100 * mask.mean() == pytest.approx(area, rel=0.2)
    np.testing.assert_array_equal(mask, mask.T)


def test_noise_stays_in_the_mask():
    mask = localized_attack.squares((28, 28), 10.0)
    shown = localized_attack.with_noise(DIGITS.test.images, mask)
    np.testing.assert_array_equal(shown[:, ~mask], DIGITS.test.images[:, ~mask])
    assert len(np.unique(shown[:, mask])) > 200


def test_accuracy_falls_from_the_clean_one(monkeypatch):
    monkeypatch.setattr(localized_attack, "AREAS", (0.0, 10.0))
    model = reconstructing()
    results = localized_attack.evaluate(model, DIGITS, batch_size=COUNT)
    found = {(each.condition, each.strength): each for each in results}
    clean = np.argmax(model(DIGITS.test.images / np.float32(255.0)), axis=1) == DIGITS.test.labels
    for condition in ("squares", "squares of noise"):
        np.testing.assert_array_equal(found[condition, 0.0].outcomes, clean)
    # No noise is worse than the attack, of whose two losses the worse counts.
    assert found["squares", 10.0].value < found["squares of noise", 10.0].value
    mask = localized_attack.squares((28, 28), 10.0)
    each = attack_all(
        model.differentiable,
        DIGITS.test,
        pgd("inf", "margin"),
        1.0,
        mask=mask,
        batch_size=COUNT,
        name="test",
    )
    assert found["squares", 10.0].value <= np.mean(~each.misled)
    (shown,) = found["squares", 10.0].artifacts
    assert shown.label == "squares, 10 %"
    changed = np.abs(shown.images * 255.0 - DIGITS.test.images[: len(shown.images)]) > 0.5
    assert changed.any()
    assert not changed[:, ~mask].any()
    assert found["squares", 10.0].details["share of pixels"].value == mask.mean()
    # Nothing may change.
    assert found["squares", 0.0].details["images without a gradient"].value == 1.0


def test_glasses_by_hand():
    boxes = np.array([[[1.0, 1.0, 4.0, 3.0], [8.0, 1.0, 11.0, 3.0]]])
    (mask,) = localized_attack.glasses(boxes, (5, 12))
    rows = [
        "............",
        ".##########.",
        ".##########.",
        "............",
        "............",
    ]
    np.testing.assert_array_equal(mask, [[pixel == "#" for pixel in row] for row in rows])
    tall = np.array([[[0.0, 0.0, 2.0, 5.0], [10.0, 0.0, 12.0, 5.0]]])
    (mask,) = localized_attack.glasses(tall, (5, 12))
    rows = [
        "##........##",
        "############",
        "############",
        "############",
        "##........##",
    ]
    np.testing.assert_array_equal(mask, [[pixel == "#" for pixel in row] for row in rows])


def test_glasses_lie_where_eyes_belong():
    rendered, dataset = faces()
    boxes = localized_attack.eye_boxes(dataset)
    np.testing.assert_allclose(boxes, rendered[:, :NOSE], atol=1e-4)
    some = dataclasses.replace(dataset, test=dataset.test.sample(5))
    numbers = [
        int(np.flatnonzero(np.all(dataset.test.images == image, axis=(1, 2, 3)))[0])
        for image in some.test.images
    ]
    np.testing.assert_array_equal(localized_attack.eye_boxes(some), boxes[numbers])


def test_glasses_are_for_the_generators_own_images():
    _, dataset = faces()
    other = Split(dataset.test.images, dataset.test.labels, dataset.test.poses + 0.1)
    assert localized_attack.eye_boxes(dataclasses.replace(dataset, test=other)) is None
    assert localized_attack.eye_boxes(DIGITS) is None


def test_faces_wear_glasses(monkeypatch):
    monkeypatch.setattr(localized_attack, "AREAS", (0.0,))
    digits = reconstructing().differentiable
    _, dataset = faces()

    def scores(variables, images):  # any six numbers of the middle 28 x 28 pixels
        return digits.logits(variables, images[:, 2:30, 2:30])[:, :6]

    model = Predictor.of(
        lambda images: np.asarray(scores(digits.variables, images)),
        differentiable=digits._replace(logits=scores),
    )
    found = {r.condition: r for r in localized_attack.evaluate(model, dataset, batch_size=12)}
    assert set(found) == {"squares", "squares of noise", "glasses", "glasses of noise"}
    assert found["glasses"].value <= found["squares"].value
    assert 0.05 < found["glasses"].details["share of pixels"].value < 0.25


def test_it_does_not_apply_to_predictions_alone():
    with pytest.raises(NotApplicable, match="no `differentiable`"):
        suites.run(localized_attack, constant, DIGITS, batch_size=COUNT)


def test_no_squares_are_measured_twice():
    assert localized_attack._distinct((28, 28)) == list(localized_attack.AREAS)
    # One pixel each is all that 2, 5 and 10 % of 64 pixels are.
    assert localized_attack._distinct((8, 8)) == [0.0, 2.0]
