import numpy as np
import pytest

from evaluation.metrics.probes import (
    explained,
    fit_probe,
    fit_probes_within,
    fit_projection,
    predict_within,
)

RANDOM = np.random.default_rng(0)
COUNT = 400
FEATURES = RANDOM.normal(size=(2 * COUNT, 12)) * np.geomspace(0.01, 100.0, 12) + 5.0
TARGETS = FEATURES @ RANDOM.normal(size=(12, 2)) / np.geomspace(0.01, 100.0, 2) + [3.0, -7.0]


def r2(probe, features=FEATURES, targets=TARGETS):
    return explained(targets[COUNT:], probe(features[COUNT:])).mean(axis=0)


def test_linear_targets_are_predicted_whatever_the_scales():
    probe = fit_probe(FEATURES[:COUNT], TARGETS[:COUNT])
    np.testing.assert_allclose(probe(FEATURES[COUNT:]), TARGETS[COUNT:], rtol=1e-3)
    assert np.all(r2(probe) > 0.9999)


def test_r2_is_the_textbooks():
    truth = np.array([[1.0], [2.0], [3.0], [6.0]])
    np.testing.assert_allclose(explained(truth, truth), 1.0)
    # Their mean, 3, explains nothing: 4 + 1 + 0 + 9 is left of as much.
    assert explained(truth, np.full((4, 1), 3.0)).mean() == pytest.approx(0.0)
    assert explained(truth, truth + 1.0).mean() == pytest.approx(1.0 - 4.0 / 14.0)


@pytest.mark.parametrize("width", [2, 12, 350])
def test_of_shuffled_targets_nothing_is_predicted(width):
    features = RANDOM.normal(size=(2 * COUNT, width))
    target = features @ RANDOM.normal(size=(width, 1))
    shuffled = np.hstack([RANDOM.permutation(target[:COUNT]) for _ in range(100)])
    probe = fit_probe(features[:COUNT], shuffled)
    found = r2(probe, features, np.tile(target, 100))
    # One may be above 0 by chance; on average they are at most 0, to the error of their mean, and
    # the strongest penalty keeps them from being far below.
    assert found.mean() <= 3.0 * found.std() / 10.0
    assert -0.2 < found.mean() < 0.02


def test_noisy_targets_are_predicted_as_far_as_they_can_be():
    signal = FEATURES[:, :1] / FEATURES[:, :1].std()
    noisy = signal + RANDOM.normal(size=signal.shape)
    (found,) = r2(fit_probe(FEATURES[:COUNT], noisy[:COUNT]), FEATURES, noisy)
    assert found == pytest.approx(0.5, abs=0.1)


def test_one_strength_is_the_normal_equations():
    # With a single strength left, the choice cannot matter.
    from evaluation.metrics import probes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "_STRENGTHS", (0.1,))
        probe = fit_probe(FEATURES[:COUNT], TARGETS[:COUNT])
    deviation = FEATURES[:COUNT].std(axis=0)
    scale = np.maximum(deviation, 0.1 * np.sqrt(np.mean(deviation**2)))
    standard = (FEATURES[:COUNT] - FEATURES[:COUNT].mean(axis=0)) / scale
    gram = standard.T @ standard + 0.1 * COUNT * np.eye(12)
    weights = np.linalg.solve(gram, standard.T @ (TARGETS[:COUNT] - TARGETS[:COUNT].mean(axis=0)))
    expected = weights / scale[:, None]
    np.testing.assert_allclose(probe.weights, expected, rtol=1e-6)


def test_dead_features_do_no_harm():
    dead = np.concatenate([FEATURES, np.full((2 * COUNT, 3), 0.7)], axis=1)
    assert np.all(r2(fit_probe(dead[:COUNT], TARGETS[:COUNT]), dead) > 0.9999)
    nothing = np.ones((2 * COUNT, 4))
    found = r2(fit_probe(nothing[:COUNT], TARGETS[:COUNT]), nothing)
    assert np.all((found <= 0.0) & (found > -0.05))


def test_features_that_are_hardly_ever_on_do_no_harm():
    rare = np.zeros((2 * COUNT, 1))
    rare[3], rare[COUNT + 5] = 1e-3, 10.0
    both = np.hstack([FEATURES[:, -3:], rare])
    targets = FEATURES[:, -3:] @ np.ones((3, 1)) + RANDOM.normal(size=(2 * COUNT, 1))
    assert r2(fit_probe(both[:COUNT], targets[:COUNT]), both, targets) > 0.99


def test_classes_with_coordinates_of_their_own_need_a_probe_each():
    classes = np.arange(2 * COUNT) % 2
    signs = np.where(classes == 0, 1.0, -1.0)[:, None]
    features = RANDOM.normal(size=(2 * COUNT, 3))
    targets = signs * features
    shared = fit_probe(features[:COUNT], targets[:COUNT])
    assert np.all(r2(shared, features, targets) < 0.1)
    within = fit_probes_within(classes[:COUNT], features[:COUNT], targets[:COUNT])
    predicted = predict_within(within, shared, classes[COUNT:], features[COUNT:])
    assert np.all(explained(targets[COUNT:], predicted) > 0.999)
    # A class of few images is left to the probe of all.
    rare = predict_within(within, shared, np.full(COUNT, 7), features[COUNT:])
    np.testing.assert_array_equal(rare, shared(features[COUNT:]))
    assert set(fit_probes_within(np.repeat([0, 1], [9, 391]), features[:400], targets[:400])) == {1}


@pytest.mark.parametrize(("images", "features"), [(60, 12), (12, 40)])
def test_components_are_those_of_the_singular_values(images, features):
    values = np.random.default_rng(0).normal(size=(images, features)) * np.arange(1, features + 1)
    project = fit_projection(values, 5)
    centred = values - values.mean(axis=0)
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :5] * singular[:5]
    found = project(values)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-8)
    np.testing.assert_allclose(project.components.T @ project.components, np.eye(5), atol=1e-10)
    # Other images are projected along the same directions.
    other = np.ones((1, features))
    np.testing.assert_allclose(
        np.abs(project(other)), np.abs((other - values.mean(axis=0)) @ right[:5].T), atol=1e-8
    )
