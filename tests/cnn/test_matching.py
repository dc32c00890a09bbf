import itertools

import pytest
from flax import nnx

from cnn import count_parameters, match_width, parameter_budget


def linear(width):
    return nnx.Linear(10, width, rngs=nnx.Rngs(0))


def test_counts_weights_and_biases():
    assert count_parameters(lambda: linear(3)) == 33


# Each unit has 11 parameters.
@pytest.mark.parametrize(
    ("parameters", "width"), [(11, 1), (16, 1), (17, 2), (110, 10), (115, 10), (117, 11)]
)
def test_the_nearest_width_is_found(parameters, width):
    assert match_width(linear, parameters) == width


def test_a_number_out_of_reach_is_refused():
    with pytest.raises(ValueError, match=r"parameters=5: the narrowest .* has 11"):
        match_width(linear, 5)


def counted(monkeypatch, family):
    """Makes a network's number of parameters that of a formula; returns the widths asked for."""
    asked = []

    def count(build):
        asked.append(build())
        return family(asked[-1])

    monkeypatch.setattr(parameter_budget, "count_parameters", count)
    return asked


FAMILIES = {
    "squares": lambda width: 7 * width**2 + 50 * width + 9,
    "lines": lambda width: 11 * width,
    "cubes": lambda width: width**3 + 2,
    "steps": lambda width: 100 * (width // 10) + width,
    "doublings": lambda width: 2 ** min(width, 60) + width,
}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_nearest_width_of_any_family_is_found(monkeypatch, family):
    asked = counted(monkeypatch, family)
    for parameters in {1000, *(family(width) + more for width in (3, 77, 500) for more in (0, 5))}:
        if parameters > parameter_budget.MAX_PARAMETERS:
            continue
        asked.clear()
        nearest = itertools.count(1)
        above = next(width for width in nearest if family(width) >= parameters)
        wanted = min((max(above - 1, 1), above), key=lambda w: abs(family(w) - parameters))
        assert match_width(lambda width: width, parameters) == wanted
        assert len(asked) <= 45


def test_few_networks_are_counted(monkeypatch):
    asked = counted(monkeypatch, FAMILIES["squares"])
    match_width(lambda width: width, 400_000)
    assert len(asked) <= 6


def test_a_number_that_no_width_reaches_is_refused(monkeypatch):
    counted(monkeypatch, lambda width: 10 + width)
    with pytest.raises(ValueError, match="no network of a width up to 65536 has them"):
        match_width(lambda width: width, 10**6)
