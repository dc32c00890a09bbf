import jax.numpy as jnp
import numpy as np
import pytest

from cnn.output import Warp
from data.dataset import Dataset, Split
from evaluation import warps
from stn.transforms import Affine

COUNT = 10
# Zoomed in, turned by 90 degrees, and moved to the right.
THETA = jnp.array([[0.0, -0.5, 0.25, 0.5, 0.0, 0.0]] * COUNT)


def dataset(channels=1, poses=None):
    images = np.random.default_rng(0).integers(0, 256, (COUNT, 12, 12, channels), np.uint8)
    split = Split(images, np.zeros(COUNT, np.int32), poses)
    source = Split(np.zeros((1, 12, 12, 1), np.uint8), np.zeros(1, np.int32))
    return Dataset("images", 10, source, split, split, Affine() if poses is not None else None)


def warp_of(theta, transformers=1):
    grids = np.stack([np.asarray(Affine().grid(theta, (12, 12)))] * transformers, axis=1)

    def warp(images):
        count = len(images)
        outputs = np.stack([images / 255.0] * transformers, axis=1)
        return Warp(outputs, grids[:count])

    return warp


def measure(warp, data):
    return warps.measure(warp(data.validation.images), data)


def test_the_numbers_are_those_of_the_warp():
    numbers = measure(warp_of(THETA), dataset())
    assert numbers["rotation"] == pytest.approx(90.0, abs=1e-3)
    assert numbers["scale"] == pytest.approx(0.5, abs=1e-5)
    assert numbers["shift_x"] == pytest.approx(0.25, abs=1e-5)
    assert numbers["shift_y"] == pytest.approx(0.0, abs=1e-5)
    assert numbers["coverage"] == pytest.approx(1.0)
    assert numbers["scale_spread"] == pytest.approx(0.0, abs=1e-5)
    assert "pose_error" not in numbers


def test_the_pose_error_comes_with_known_poses():
    poses = np.asarray(Affine().inverse(THETA))[:, None]
    numbers = measure(warp_of(THETA), dataset(poses=poses))
    assert numbers["pose_error"] == pytest.approx(0.0, abs=1e-3)


def test_several_transformers_are_numbered():
    numbers = measure(warp_of(THETA, 2), dataset(2))
    assert numbers["rotation_0"] == numbers["rotation_1"]


@pytest.mark.parametrize(("channels", "transformers"), [(1, 1), (2, 2), (3, 1)])
def test_a_picture_is_drawn(channels, transformers, tmp_path):
    path = tmp_path / "figures" / "warps.png"
    images = dataset(channels).validation.images
    warps.draw(path, images, warp_of(THETA, transformers)(images))
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 3000


def test_the_frame_is_drawn_where_the_warp_reads(tmp_path):
    from PIL import Image

    grey = np.full((1, 12, 12, 1), 128, np.uint8)
    warp = warp_of(THETA[:1])(grey)
    path = tmp_path / "warps.png"
    warps.draw(path, grey, warp)
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    upper = pixels[: len(pixels) // 2]
    orange = upper[..., 0] - upper[..., 2] > 60
    inside = np.all(upper == 128, axis=-1)
    # The label's letters have pixels of this grey too, but few.
    columns, rows = (np.nonzero(inside.sum(axis=axis) > 20)[0] for axis in (0, 1))
    size = columns.max() - columns.min() + 1
    # The frame reaches from -0.25 to 0.75 of [-1, 1] in x: 3/8 to 7/8 of the width.
    found = np.nonzero(orange.any(axis=0))[0][[0, -1]] - columns.min()
    np.testing.assert_allclose(found / size, [3 / 8, 7 / 8], atol=0.04)
    down = np.nonzero(orange.any(axis=1))[0][[0, -1]] - rows.min()
    np.testing.assert_allclose(down / size, [2 / 8, 6 / 8], atol=0.04)
