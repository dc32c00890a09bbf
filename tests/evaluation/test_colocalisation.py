import numpy as np
import pytest

from cnn.output import Warp
from data.dataset import Dataset, Split
from evaluation import suites
from evaluation.model import Predictor
from evaluation.results.quantities import shares
from evaluation.suites import NotApplicable
from evaluation.suites.transformers.colocalisation import overlap
from stn.sampling.grids import identity_grid
from stn.transforms import Affine, Translation

SUITE = suites.load("colocalisation")


def box(x0, y0, x1, y1):
    return np.array([[[x0, y0], [x1, y1]]], float)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (box(0, 0, 1, 1), 1.0),
        (box(0.5, 0, 1.5, 1), 1 / 3),
        (box(0, 0, 0.5, 0.5), 0.25),
        (box(1.5, 0, 2, 1), 0.0),
        (box(2, 2, 3, 3), 0.0),
    ],
)
def test_overlap_by_hand(second, expected):
    assert overlap(box(0, 0, 1, 1), second)[0] == pytest.approx(expected)
    assert overlap(second, box(0, 0, 1, 1))[0] == pytest.approx(expected)


def known_dataset(poses):
    """Image k holds the value k; its digit's frame has a third of the canvas's sides."""
    count = len(poses)
    images = np.broadcast_to(
        np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 4, 4, 1)
    )
    split = Split(np.ascontiguousarray(images), np.zeros(count, np.int32), poses)
    return Dataset("known", 10, split, split, split, Affine())


CENTRES = np.array([[0.0, 0.0], [0.5, -0.5], [-2 / 3, 2 / 3], [0.1, 0.6]], np.float32)
POSES = np.array([[[3.0, 0.0, -3.0 * x, 0.0, 3.0, -3.0 * y]] for x, y in CENTRES], np.float32)


def predictor(scale, shifts):
    """Windows of a scale, off the digits' centres by the shifts of each image."""

    def warp(images):
        number = np.round(255 * images[:, 0, 0, 0]).astype(int)
        grids = scale * identity_grid((6, 6)) + (CENTRES + shifts)[number][:, None, None]
        return Warp(np.zeros((len(images), 1, 6, 6, 1)), grids[:, None].astype(np.float32))

    return Predictor.of(lambda images: np.zeros((len(images), 10)), warp=warp)


@pytest.mark.parametrize(
    ("scale", "shift", "found"),
    [
        (1 / 3, 0.0, 1.0),
        (1 / 3 * 1.4, 0.0, 1.0),  # 1 / 1.96 of the area
        (1 / 3 * 1.45, 0.0, 0.5),  # too large, but for the two that the canvas's edge cuts off
        (1 / 3, 0.21, 1.0),  # 2/3 - 0.21 of 2/3 in common
        (1 / 3, 0.24, 0.25),  # too far off, but for the one that the edge cuts off
        (1 / 3, 0.3, 0.0),
        (1 / 3 * 0.72, 0.0, 1.0),
        (1 / 3 * 0.69, 0.0, 0.0),
    ],
)
def test_windows_of_known_overlap(scale, shift, found):
    shifts = np.zeros_like(CENTRES)
    shifts[:, 0] = shift
    result = SUITE.evaluate(predictor(scale, shifts), known_dataset(POSES), batch_size=3)
    assert result is not None
    assert (result.value, result.count) == (found, 4)
    assert result.details == shares(on_the_validation_images=found)


def test_each_image_is_judged_by_its_own_window():
    shifts = np.zeros_like(CENTRES)
    shifts[1:3] = 0.5
    result = SUITE.evaluate(predictor(1 / 3, shifts), known_dataset(POSES), batch_size=4)
    assert result is not None
    assert result.value == 0.5
    assert result.interval[0] < 0.5 < result.interval[1]


def test_it_does_not_apply_to_other_models_and_images():
    known = known_dataset(POSES)
    attends = predictor(1 / 3, np.zeros_like(CENTRES))
    with pytest.raises(NotApplicable, match="no `warp`"):
        suites.run(SUITE, attends.field("logits"), known, batch_size=4)
    without = Dataset("plain", 10, known.train, known.validation, known.test)
    with pytest.raises(NotApplicable, match="no affine poses"):
        suites.run(SUITE, attends, without, batch_size=4)
    shifted = Dataset("shifted", 10, known.train, known.validation, known.test, Translation())
    with pytest.raises(NotApplicable, match="no affine poses"):
        suites.run(SUITE, attends, shifted, batch_size=4)
