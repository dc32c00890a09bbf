import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from data.batches import normalise
from data.dataset import Split
from evaluation.attacks.adaptive import evade_all
from evaluation.attacks.gradient import attack_all, pgd
from tests.evaluation.suites.digits import some_digits
from tests.evaluation.suites.reconstructing import means, reconstructing

DIGITS = some_digits().test
IMAGES = np.asarray(normalise(jnp.asarray(DIGITS.images)))
MODEL = reconstructing()
SCALED = {"batch_size": 24, "name": "test"}


def evade(epsilon, weight, split=DIGITS, **options):
    return evade_all(MODEL.differentiable, split, epsilon, weight, **{**SCALED, **options})


def errors(images):
    reconstructed = means()[np.argmax(MODEL(images), axis=1)]
    return np.linalg.norm((images - reconstructed).reshape(len(images), -1), axis=1)


def test_without_room_nothing_changes():
    found = evade(0.0, 0.1)
    np.testing.assert_array_equal(found.images, IMAGES)
    np.testing.assert_array_equal(found.misled, np.argmax(MODEL(IMAGES), axis=1) != DIGITS.labels)


def test_changes_stay_in_the_ball_and_in_range():
    found = evade(0.1, 0.1)
    assert 0.09 < np.abs(found.images - IMAGES).max() <= 0.1 + 1e-6
    assert found.images.min() >= 0.0
    assert found.images.max() <= 1.0
    np.testing.assert_array_equal(
        found.misled, np.argmax(MODEL(found.images), axis=1) != DIGITS.labels
    )


def test_an_adaptive_attack_has_lower_reconstruction_errors():
    plain = attack_all(MODEL.differentiable, DIGITS, pgd("inf", "margin"), 0.1, **SCALED)
    adaptive = evade(0.1, 0.01)
    assert plain.misled.all()
    assert adaptive.misled.all()
    larger, smaller = errors(plain.images), errors(adaptive.images)
    assert np.all(smaller <= larger)
    assert np.mean(smaller) < 0.95 * np.mean(larger)


def test_the_best_image_on_the_way_is_kept():
    # Two steps of a fifth are the first two of four: more of the way cannot end worse.
    short, long = (evade(0.05, 0.01, steps=steps, relative_step=0.2) for steps in (2, 4))
    assert short.misled.any()
    assert np.all(long.misled >= short.misled)
    both = short.misled
    assert np.all(errors(long.images)[both] <= errors(short.images)[both] + 1e-5)
    assert np.any(errors(long.images)[both] < errors(short.images)[both] - 1e-3)


def test_an_image_is_attacked_alike_in_every_batch():
    few = evade(0.1, 0.01, Split(DIGITS.images[:7], DIGITS.labels[:7]), batch_size=5)
    np.testing.assert_allclose(few.images, evade(0.1, 0.01).images[:7], atol=1e-5)


def test_a_model_without_a_decoder_cannot_be_evaded():
    with pytest.raises(ValueError, match="no decoder"):
        evade_all(MODEL.differentiable._replace(reconstruction=None), DIGITS, 0.1, 1.0, **SCALED)


@pytest.mark.parametrize("spoilt", ["logits", "reconstruction"])
def test_an_undefined_output_is_no_evasion(spoilt):
    model = MODEL.differentiable
    function = getattr(model, spoilt)

    def undefined(variables, images):
        return function(variables, images) * jnp.where(jnp.max(images) > 2.0, 1.0, jnp.nan)

    with pytest.raises(UserError, match=r"test: .* NaN or infinite for 24 of 24 attacked images"):
        evade_all(model._replace(**{spoilt: undefined}), DIGITS, 0.1, 0.1, steps=1, **SCALED)
