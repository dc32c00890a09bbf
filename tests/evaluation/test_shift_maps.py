import numpy as np

from evaluation.results.shift_maps import changes, is_of_map, read_shifts, shift_details


def test_maps_are_read_as_they_were_written():
    first = np.arange(9.0).reshape(3, 3) / 8
    second = np.eye(5)
    details = {**shift_details("all images", first), **shift_details("image 1, a 7,", second)}
    assert details["all images shifted by 1, -1"] == first[0, 2]
    found = read_shifts({"pixels": 7.0, **details})
    assert list(found) == ["all images", "image 1, a 7,"]
    np.testing.assert_array_equal(found["all images"], first)
    np.testing.assert_array_equal(found["image 1, a 7,"], second)
    assert read_shifts({"pixels": 7.0}) == {}


def test_numbers_of_their_own_are_told_apart():
    assert is_of_map("all images shifted by -6, 0")
    assert not is_of_map("images shifted")


def test_changes_between_neighbours_by_hand():
    right = np.zeros((3, 3, 3), bool)
    right[1, 1, 1] = True  # differs from its four neighbours; there are twelve pairs
    right[2, :, 0] = True  # a column: three pairs
    np.testing.assert_allclose(changes(right), [0, 4 / 12, 3 / 12])
