"""Errors, coverage and power of contrasts in simulated rows whose truth is known."""

import dataclasses

import numpy as np
import pytest

from evaluation.comparison.simulation import (
    APART,
    LEADS,
    NULLS,
    UNEVEN,
    World,
    draw,
    simulate,
    table,
)

ROWS = 600
# Of so many rows, a rate of 5 % is found as 2.7 to 7.3 % with 99 % probability.
NOISE = 2.6 * np.sqrt(0.05 * 0.95 / ROWS)


def test_rows_have_the_accuracies_that_they_are_asked_for():
    random = np.random.default_rng(0)
    world = World((0.9, 0.9), trainings=40, deviation=1.0, images=4000)
    first, second = draw(world, random)
    assert first.mean() == pytest.approx(0.9, abs=0.012)
    near_one = draw(World((0.995, 0.995), 40, 0.1, images=4000), random)[1]
    assert near_one.mean() == pytest.approx(0.995, abs=0.002)
    assert second.mean() == pytest.approx(first.mean(), abs=0.01)
    spread = np.std(first.mean(axis=1), ddof=1)
    assert spread == pytest.approx(0.01, rel=0.3)
    dead = draw(dataclasses.replace(world, dead=2), random)[1].mean(axis=1)
    assert np.all(dead[:2] < 0.2)
    assert np.all(dead[2:] > 0.8)


@pytest.mark.slow
@pytest.mark.parametrize("world", [*NULLS, *UNEVEN], ids=str)
def test_equal_arms_are_found_to_differ_as_often_as_stated(world):
    found = simulate(world, ROWS, seed=3)
    assert found.found <= 0.06 + NOISE
    assert found.found >= 0.01 or world.heavy
    assert 0.94 - NOISE <= found.coverage <= 0.99
    assert found.found_by_holm <= found.found


@pytest.mark.slow
@pytest.mark.parametrize("world", APART, ids=str)
def test_arms_at_the_margin_are_rarely_equivalent(world):
    assert simulate(world, ROWS, seed=4).equivalent <= 0.06 + NOISE


def test_arms_that_train_unevenly_rarely_differ():
    # Trainings of an arm that deviates three times as much, pooled with others: 18 %.
    world = World((0.9,) * 6, 3, 0.5, unevenness=3.0)
    found = simulate(world, 300, seed=1)
    assert found.found <= 0.08
    assert found.coverage >= 0.92


@pytest.mark.parametrize(("trainings", "accuracy", "deviation"), [(3, 0.9, 1.0), (5, 0.995, 0.1)])
def test_equal_arms_rarely_differ(trainings, accuracy, deviation):
    found = simulate(World((accuracy,) * 3, trainings, deviation), 300, seed=1)
    assert 0.02 <= found.found <= 0.07
    assert 0.93 <= found.coverage <= 0.98


@pytest.mark.parametrize(("trainings", "least"), [(5, 0.2), (10, 0.65)])
def test_a_lead_of_two_points_is_found(trainings, least):
    (world,) = [
        each for each in LEADS if each.trainings == trainings and not each.dead and not each.heavy
    ]
    assert (world.accuracies[:2], len(world.accuracies), world.deviation) == ((0.92, 0.9), 6, 1.0)
    assert simulate(world, 200, seed=2).found_by_holm >= least


def test_a_dead_training_does_not_hide_a_lead_of_five_points():
    (world,) = [each for each in LEADS if each.dead]
    assert world.accuracies[0] - world.accuracies[1] == pytest.approx(0.05)
    found = simulate(world, 200)
    assert found.found_by_holm >= 0.95
    assert found.coverage >= 0.9


def test_the_table_has_a_line_for_each_world():
    assert table(NULLS[:2], 5).count("\n") == 3
