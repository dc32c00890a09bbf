import numpy as np
import pytest
from scipy import ndimage

from playground.changes import RANGES, Changes, shuffled

IMAGES = np.random.default_rng(0).uniform(size=(2, 8, 8, 1)).astype(np.float32)


def test_nothing_asked_for_changes_nothing():
    np.testing.assert_allclose(Changes().apply(IMAGES), IMAGES, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"angle": 90}, np.rot90(IMAGES, axes=(1, 2))),
        ({"x": 0.25}, np.pad(IMAGES, ((0, 0), (0, 0), (2, 0), (0, 0)))[:, :, :8]),
        ({"y": -0.25}, np.pad(IMAGES, ((0, 0), (0, 2), (0, 0), (0, 0)))[:, 2:]),
    ],
)
def test_moves_are_those_of_their_names(given, expected):
    np.testing.assert_allclose(Changes.of(given).apply(IMAGES), expected, atol=1e-5)


def test_size_and_shear_are_about_the_middle():
    # Sampled at a row and a column of output pixel (r, c), counted from the middle.
    rows, columns = np.mgrid[0:8, 0:8] - 3.5
    for given, there in (
        ({"scale": 2.0}, (rows / 2, columns / 2)),
        ({"shear": 0.5}, (rows, columns - 0.5 * rows)),
    ):
        places = [place + 3.5 for place in there]
        # Blank pixels begin right outside.
        padded = np.pad(IMAGES[0, ..., 0], 2)
        expected = ndimage.map_coordinates(padded, [place + 2 for place in places], order=1)
        found = Changes.of(given).apply(IMAGES)[0, ..., 0]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_pieces_change_places_and_keep_their_pixels():
    image = IMAGES[0]
    for pieces in range(2, 9):
        found, size = shuffled(image, pieces), 8 // pieces
        whole = size * pieces
        np.testing.assert_array_equal(np.sort(found, axis=None), np.sort(image, axis=None))
        np.testing.assert_array_equal(found[whole:], image[whole:])

        def blocks(of, size=size, pieces=pieces):
            return [
                of[size * row :, size * column :][:size, :size].tobytes()
                for row in range(pieces)
                for column in range(pieces)
            ]

        before, after = blocks(image), blocks(found)
        assert sorted(before) == sorted(after)
        assert not any(one == other for one, other in zip(before, after, strict=True))
    np.testing.assert_array_equal(shuffled(image, 1), image)
    np.testing.assert_array_equal(shuffled(image[:3, :3], 4), image[:3, :3])


@pytest.mark.parametrize(
    "given",
    [
        [1],
        {"turn": 3},
        {"angle": "3"},
        {"angle": True},
        {"angle": 181},
        {"angle": float("nan")},
        {"pieces": 2.0},
        {"pieces": 0},
        {"scale": 0},
    ],
)
def test_what_no_slider_sends_is_refused(given):
    with pytest.raises(ValueError, match=r"changes are numbers by name|: must be from"):
        Changes.of(given)


def test_every_range_holds_what_changes_nothing():
    for name, (low, high) in RANGES.items():
        assert low <= getattr(Changes(), name) <= high
