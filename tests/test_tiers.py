"""Tests that stand for others are there, and no table speaks of one that is not."""

import pytest

from tests.conftest import COLLECTED
from tests.tiers import REPRESENTATIVES, is_left_to_exhaustive


def test_cases_that_are_not_named_are_left_out():
    test, cases = next((test, cases) for test, cases in REPRESENTATIVES.items() if cases)
    assert not is_left_to_exhaustive(f"{test}[{cases[0]}]")
    assert is_left_to_exhaustive(f"{test}[another]")
    assert is_left_to_exhaustive(next(test for test, cases in REPRESENTATIVES.items() if not cases))
    assert not is_left_to_exhaustive("test_tiers.py::test_cases_that_are_not_named_are_left_out")


@pytest.mark.parametrize("test", REPRESENTATIVES)
def test_every_name_is_that_of_a_test(test, request):
    file = test.partition("::")[0]
    if any("::" in argument for argument in request.config.args):
        pytest.skip("parts of files are collected")
    found = [name for name in request.config.stash[COLLECTED] if name.startswith(f"{file}::")]
    if not found:
        pytest.skip(f"{file} is not collected")
    cases = REPRESENTATIVES[test]
    assert {f"{test}[{case}]" for case in cases} <= set(found)
    assert sum(name.partition("[")[0] == test for name in found) > len(cases)
