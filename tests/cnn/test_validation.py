"""Checks of configurations that no network of its own tests: parts, and networks inside of them."""

import re

import pytest

from capsnet.networks.trunks import SabourTrunk, Trunk
from cnn import validation
from cnn.networks.plain import ConvolutionalNetworkConfig


@pytest.mark.parametrize("value", [3, "sabour_trunk", SabourTrunk, ConvolutionalNetworkConfig()])
def test_a_part_of_another_type_is_named_with_the_type_that_it_needs(value):
    expected = "must be of a type that derives from capsnet.networks.trunks.Trunk"
    with pytest.raises(ValueError, match=rf"^trunk=.*: {re.escape(expected)}$") as raised:
        validation.check_part("trunk", value, Trunk)
    assert len(str(raised.value)) < 200


def test_a_part_is_checked_by_itself():
    validation.check_part("trunk", SabourTrunk(types=2), Trunk)
    with pytest.raises(ValueError, match=r"^types=0: must be at least 1$"):
        validation.check_part("trunk", SabourTrunk(types=0), Trunk)


def test_a_network_is_what_can_be_built():
    assert validation.network(ConvolutionalNetworkConfig()) is None
    for value in (3, None, "cnn"):
        assert validation.network(value) == "must be the configuration of a network"
