import pytest
from flax import nnx

from cnn import count_parameters, match_width


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
