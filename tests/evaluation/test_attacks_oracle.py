"""FGSM and PGD agree with foolbox, and Auto-PGD is as strong, where it is installed."""

import jax.numpy as jnp
import numpy as np
import pytest

from evaluation.attacks.apgd import AutoPGD
from evaluation.attacks.gradient import Attack, attack_all, fgsm
from tests.evaluation.suites.digits import some_digits
from tests.evaluation.suites.reconstructing import reconstructing

foolbox = pytest.importorskip("foolbox", reason="the extra 'oracles' is not installed")

DIGITS = some_digits().test
MODEL = reconstructing().differentiable
PGD = Attack("inf", "cross-entropy", steps=40, relative_step=1 / 30, random_start=False)


@pytest.mark.parametrize("epsilon", [0.05, 0.3])
@pytest.mark.parametrize(
    ("ours", "name", "options"),
    [
        (fgsm("cross-entropy"), "FGSM", {}),
        (PGD, "LinfPGD", {"rel_stepsize": 1 / 30, "steps": 40, "random_start": False}),
    ],
)
def test_attacks_are_those_of_foolbox(ours, name, options, epsilon):
    theirs = foolbox.models.JAXModel(
        lambda images: MODEL.logits(MODEL.variables, images), bounds=(0.0, 1.0)
    )
    images = jnp.asarray(DIGITS.images / np.float32(255.0))
    attack = getattr(foolbox.attacks, name)(**options)
    _, expected, misled = attack(theirs, images, jnp.asarray(DIGITS.labels), epsilons=epsilon)
    found = attack_all(MODEL, DIGITS, ours, epsilon, batch_size=24, name="test")
    np.testing.assert_array_equal(found.misled, misled)
    # A gradient so small that its sign is a matter of rounding may take a pixel elsewhere.
    assert np.mean(np.abs(found.images - expected) > 1e-5) < 1e-3


@pytest.mark.parametrize(
    ("norm", "name", "epsilon"), [("inf", "LinfPGD", 0.02), ("2", "L2PGD", 0.3)]
)
@pytest.mark.parametrize("loss", ["cross-entropy", "DLR"])
def test_auto_pgd_is_as_strong_as_pgd_of_foolbox(norm, name, epsilon, loss):
    theirs = foolbox.models.JAXModel(
        lambda images: MODEL.logits(MODEL.variables, images), bounds=(0.0, 1.0)
    )
    images = jnp.asarray(DIGITS.images / np.float32(255.0))
    attack = getattr(foolbox.attacks, name)(steps=40)
    _, _, misled = attack(theirs, images, jnp.asarray(DIGITS.labels), epsilons=epsilon)
    found = AutoPGD(norm, loss, 40)(MODEL, DIGITS, epsilon=epsilon, batch_size=24, name="test")
    assert found.misled.sum() >= np.sum(misled)
    assert 0 < np.sum(misled) < len(DIGITS)
