import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow_datasets as tfds

from common.errors import UserError
from data.augmentation import random_brightness_and_contrast
from data.batches import DeviceSplit
from data.sources import preparation
from data.tasks import solids, toys, viewpoints
from data.tasks.solids import Camera, Solids, placed
from data.tasks.viewpoints import PROTOCOLS, ViewpointsConfig, make_views
from tests.data.stored import CLASSES, COUNT, numbers, pixels, prepare, refusal

KEY = jax.random.key(3)
INF = float("inf")
ENTER = {
    "ellipsoids": solids.enter_sphere,
    "boxes": solids.enter_box,
    "cylinders": solids.enter_cylinder,
}
RAYS = 12


def entered(kind, origin, towards):
    """Distance and unit normal of one ray."""
    origin, towards = (np.asarray(each, np.float32) for each in (origin, towards))
    found = ENTER[kind](origin, [np.full((1, 1), step) for step in towards])
    normal = np.array([float(each[0, 0]) for each in found.normal])
    return float(found.distance[0, 0]), normal / np.linalg.norm(normal)


@pytest.mark.parametrize(
    ("kind", "origin", "towards", "distance", "normal"),
    [
        ("ellipsoids", (3, 0, 0), (-1, 0, 0), 2.0, (1, 0, 0)),
        ("ellipsoids", (3, 0, 0), (-2, 0, 0), 1.0, (1, 0, 0)),
        ("ellipsoids", (3, 0.6, 0), (-1, 0, 0), 2.2, (0.8, 0.6, 0)),
        ("ellipsoids", (3, 0, 0), (1, 0, 0), INF, None),
        ("ellipsoids", (3, 1.1, 0), (-1, 0, 0), INF, None),
        ("boxes", (3, 0.9, -0.9), (-1, 0, 0), 2.0, (1, 0, 0)),
        ("boxes", (0.5, 4, 0), (0, -2, 0), 1.5, (0, 1, 0)),
        ("boxes", (3, 1.1, 0), (-1, 0, 0), INF, None),
        ("cylinders", (3, 0.6, 0.9), (-1, 0, 0), 2.2, (0.8, 0.6, 0)),
        ("cylinders", (0.5, 0.5, 5), (0, 0, -1), 4.0, (0, 0, 1)),
        ("cylinders", (3, 0, 3), (-1, 0, -1), 2.0, None),  # at the edge
        ("cylinders", (0.9, 0.9, 5), (0, 0, -1), INF, None),
        ("cylinders", (3, 0, 1.1), (-1, 0, 0), INF, None),
    ],
)
def test_rays_enter_unit_solids_where_a_hand_finds(kind, origin, towards, distance, normal):
    found, at = entered(kind, origin, towards)
    assert found == pytest.approx(distance, abs=1e-5)
    if normal is not None:
        np.testing.assert_allclose(at, normal, atol=1e-5)


def is_within(kind, points):
    if kind == "ellipsoids":
        return np.sum(points**2, axis=-1) <= 1.0
    if kind == "boxes":
        return np.max(np.abs(points), axis=-1) <= 1.0
    return (np.sum(points[..., :2] ** 2, axis=-1) <= 1.0) & (np.abs(points[..., 2]) <= 1.0)


@pytest.mark.parametrize("kind", Solids._fields)
def test_rays_enter_solids_where_small_steps_along_them_do(kind):
    """A slow march in float64 through stretched, turned and moved solids."""
    random, steps = np.random.default_rng(0), np.arange(0.0, 6.0, 1e-3)
    met = 0
    for _ in range(30):
        axes = np.linalg.qr(random.normal(size=(3, 3)))[0]
        each = placed(random.normal(size=3) * 0.2, random.uniform(0.4, 1.0, 3), axes)
        origin = 3.0 * (start := random.normal(size=3)) / np.linalg.norm(start)
        towards = -origin / 3.0 + 0.25 * random.normal(size=3)
        inside = is_within(kind, (origin + steps[:, None] * towards) @ each[:, :3].T + each[:, 3])
        found, _ = entered(kind, each[:, :3] @ origin + each[:, 3], each[:, :3] @ towards)
        expected = steps[np.argmax(inside)] if inside.any() else INF
        assert found == pytest.approx(expected, abs=2e-3) or inside.sum() < 5
        met += bool(inside.any())
    assert 5 < met < 30


def picture(body, light=(0.0, 0.0, 1.0), size=8, **how):
    camera = Camera(jnp.array([0.0, -4.0, 0.0]), 0.3)
    return np.asarray(solids.shade(body, camera, jnp.asarray(light), size, **how))


def body(**kinds):
    none = np.zeros((0, 3, 4))
    return Solids(**{kind: np.array(kinds.get(kind, none)) for kind in Solids._fields})


def test_surfaces_are_as_bright_as_they_face_the_light():
    wall = body(boxes=[placed((0, 0, 0), (5, 1, 5))])
    for light, cosine in (((0, -1, 0), 1.0), ((0, -0.6, 0.8), 0.6), ((0, 1, 0), 0.0)):
        expected = solids.AMBIENT + solids.DIFFUSE * cosine
        np.testing.assert_allclose(picture(wall, light), expected, atol=1e-4)


def test_what_is_nearer_hides_what_is_behind_and_nothing_is_the_background():
    light = (0.0, -1.0, 0.0)
    turned = toys.turn_about_z(30)  # a face that is 30 degrees off the light
    plate = [placed((0, 3, 0), (5, 0.5, 5), turned)]
    pebble = [placed((0, 0, 0), (0.4, 0.4, 0.4))]
    one = picture(body(boxes=plate), light)
    np.testing.assert_allclose(one, solids.AMBIENT + solids.DIFFUSE * np.cos(np.pi / 6), atol=1e-4)
    both = picture(body(boxes=plate, ellipsoids=pebble), light)
    assert np.all(np.abs(both - one)[3:5, 3:5] > 0.01)
    np.testing.assert_allclose(both[0], one[0])
    hidden = [placed((0, 6, 0), (0.4, 0.4, 0.4))]
    np.testing.assert_allclose(picture(body(boxes=plate, ellipsoids=hidden), light), one)
    alone = picture(body(ellipsoids=pebble), light)
    np.testing.assert_allclose(alone[0], solids.BACKGROUND)
    np.testing.assert_allclose(alone, alone[:, ::-1], atol=1e-5)


def test_up_is_up_and_right_is_right():
    above = picture(body(ellipsoids=[placed((0, 0, 0.8), (0.2, 0.2, 0.2))]))
    right = picture(body(ellipsoids=[placed((0.8, 0, 0), (0.2, 0.2, 0.2))]))
    for image, places in ((above, np.s_[:4, :]), (right, np.s_[:, 4:])):
        seen = image != image[-1, 0]
        assert seen.any()
        assert seen.sum() == seen[places].sum()


def test_room_without_a_primitive_changes_nothing():
    few, many = (
        body(boxes=[placed((0.1 * k, 0, 0), (0.2, 0.2, 0.2)) for k in range(n)]) for n in (1, 3)
    )
    padded = Solids(*(field[0] for field in solids.stacked([few, many])))
    assert len(padded.boxes) == 3
    np.testing.assert_allclose(picture(padded), picture(few), atol=1e-6)


@pytest.mark.parametrize("category", toys.CATEGORIES)
def test_toys_are_of_one_size_and_all_different(category):
    def corners(toy):
        maps = np.concatenate(list(toy))
        linear, shift = maps[..., :3], maps[..., 3:]
        inverse = np.linalg.inv(linear)
        signs = np.stack(np.meshgrid(*[[-0.9, 0.9]] * 3), axis=-1).reshape(-1, 3, 1)
        return (inverse[:, None] @ (signs - shift[:, None]))[..., 0].reshape(-1, 3)

    first, again, other, reseeded = (
        toys.make_toy(category, *given) for given in ((0,), (0,), (1,), (0, 5))
    )
    points = corners(first)
    assert np.linalg.norm(points, axis=1).max() == pytest.approx(toys.RADIUS)
    np.testing.assert_allclose(points.max(axis=0), -points.min(axis=0), atol=1e-9)
    assert str(first) == str(again)
    assert len({str(first), str(other), str(reseeded)}) == 3


@pytest.mark.parametrize(
    ("protocol", "train", "familiar", "novel"),
    [
        ("full", 24_300, 24_300, 0),
        ("novel_azimuth", 8_100, 8_100, 16_200),
        ("novel_elevation", 8_100, 8_100, 16_200),
    ],
)
def test_protocols_have_the_published_numbers_of_images(protocol, train, familiar, novel):
    views = make_views(tuple(range(5)), viewpoints.AZIMUTHS, viewpoints.ELEVATIONS)
    seen = views.seen_from(*PROTOCOLS[protocol])
    counts = (len(make_views(tuple(range(5)), *PROTOCOLS[protocol]).toy), seen.sum(), (~seen).sum())
    assert counts == (train, familiar, novel)
    azimuths, elevations = (set(views.take(~seen)[k].tolist()) for k in (2, 3))
    if protocol == "novel_azimuth":
        assert azimuths == set(range(60, 281, 20))
    if protocol == "novel_elevation":
        assert elevations == {45, 50, 55, 60, 65, 70}
    combinations = set(zip(*(field.tolist() for field in views), strict=True))
    assert len(combinations) == len(views.toy) == 24_300


SMALL = ViewpointsConfig(protocol="novel_elevation", size=RAYS, crop=8, toys=1)


@pytest.fixture(scope="module")
def small():
    """Few viewpoints and lights: images of two seeds, and those of the test toy again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(viewpoints, "_RAYS", RAYS)
        patch.setattr(viewpoints, "_VALIDATION_TOYS", 1)
        patch.setattr(viewpoints, "LIGHTS", viewpoints.LIGHTS[:2])
        patch.setattr(viewpoints, "AZIMUTHS", azimuths := (0, 100))
        patch.setitem(viewpoints.PROTOCOLS, "novel_elevation", (azimuths, (30, 35, 40)))
        found = [dataclasses.replace(SMALL, seed=seed).load(None) for seed in (0, 1)]
        views = make_views((1,), azimuths, (30, 35, 40))
        images = viewpoints.render(viewpoints.make_toys(3, 0), views, RAYS, 2)
    viewpoints._render_grid.cache_clear()
    return *found, images


def test_splits_have_toys_and_viewpoints_of_their_own(small):
    dataset, other, _ = small
    sizes = [len(getattr(dataset, s)) for s in ("train", "validation", "test", "novel")]
    assert sizes == [60, 60, 60, 120]
    assert dataset.train.images.shape[1:] == (RAYS, RAYS, 2)
    assert dataset.image_shape == dataset.novel.images.shape[1:] == (8, 8, 2)
    splits = (dataset.train, dataset.validation, dataset.test)
    assert len({tuple(np.unique(split.factors["toy"])) for split in splits}) == 3
    assert set(dataset.test.factors["elevation"].tolist()) == {30, 35, 40}
    assert set(dataset.novel.factors["elevation"].tolist()) == {45, 50, 55, 60, 65, 70}
    for split in (*splits, dataset.novel):
        assert np.ptp(np.bincount(split.labels)) == 0
    # Cameras, toys and seeds differ; every image shows something.
    images = dataset.test.images
    assert np.any(images[..., 0] != images[..., 1])
    assert np.all(np.ptp(images.reshape(len(images), -1), axis=1) > 30)
    assert other.test.checksum != dataset.test.checksum
    few = dataset.novel.sample(7)
    assert {len(few.factors[name]) for name in few.factors} == {7}


def test_images_are_the_same_for_everyone(small):
    dataset, _, images = small
    np.testing.assert_array_equal(images[:, 2:10, 2:10], dataset.test.images)


def test_batches_are_cut_out_at_random_and_follow_from_their_key(small):
    dataset, *_ = small
    split = DeviceSplit(jnp.asarray(dataset.train.images), jnp.asarray(dataset.train.labels))
    plain = dataclasses.replace(SMALL, brightness=0.0, contrast=0.0)
    chosen = jnp.arange(60)
    cut = np.asarray(plain.generate(KEY, split, chosen).images)
    whole = dataset.train.images / np.float32(255)
    places = set()
    for image, source in zip(cut, whole, strict=True):
        places |= {
            (y, x)
            for y in range(5)
            for x in range(5)
            if np.allclose(source[y : y + 8, x : x + 8], image, atol=1e-6)
        }
    assert len(places) > 15
    first, again, other = (
        SMALL.generate(key, split, chosen) for key in (KEY, KEY, jax.random.key(4))
    )
    np.testing.assert_array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)
    assert float(first.images.min()) >= 0.0
    assert float(first.images.max()) <= 1.0


def test_light_and_contrast_are_what_a_slow_reference_makes_of_the_same_numbers():
    images = np.random.default_rng(0).uniform(0.2, 0.6, (50, 4, 4, 2)).astype(np.float32)
    changed = np.asarray(random_brightness_and_contrast(KEY, jnp.asarray(images), 0.1, 0.3))
    means = images.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    # Both are found again from the means and the spreads of the images.
    added = changed.mean(axis=(1, 2), keepdims=True, dtype=np.float64) - means
    factor = changed.std(axis=(1, 2), keepdims=True) / images.std(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(changed, means + factor * (images - means) + added, atol=1e-5)
    assert np.abs(added).max() <= 0.1 + 1e-6
    assert (factor.min() >= 0.7 - 1e-4, factor.max() <= 1.3 + 1e-4) == (True, True)
    assert (np.ptp(added) > 0.15, np.ptp(factor) > 0.4) == (True, True)


@pytest.fixture
def prepared(monkeypatch):
    """Finds what `prepare` made, in a version that TFDS does not have."""

    def find(name, folder):
        return tfds.builder_from_directory(folder / name / "1.0.0")

    monkeypatch.setattr(preparation, "find_prepared", find)


def norb(folder):
    """A smallNORB of 20 pairs, which are training and test split at once."""
    values = np.arange(COUNT)
    fields = {
        "instance": values % 2,
        "label_azimuth": values % 18,
        "label_elevation": values % 9,
        "label_lighting": values % 6,
    }
    features = {"image": pixels(96, 96, 1), "image2": pixels(96, 96, 1)}
    features |= {name: numbers(values=each.tolist()) for name, each in fields.items()}
    features["label_category"] = tfds.features.ClassLabel(num_classes=5), (values % 5).tolist()
    prepare(folder, features, name="smallnorb")


def test_smallnorb_is_read_by_the_same_protocols(tmp_path, monkeypatch, prepared):
    norb(tmp_path)
    assert "no split test" in refusal(lambda: ViewpointsConfig("smallnorb").load(str(tmp_path)))
    viewpoints._read.cache_clear()
    read = viewpoints.norb.read
    monkeypatch.setattr(
        viewpoints.norb, "read", lambda folder, _, size: read(folder, "train", size)
    )
    config = ViewpointsConfig("smallnorb", "novel_azimuth", size=24, crop=16)
    dataset = config.load(str(tmp_path))
    viewpoints._read.cache_clear()
    numbers_of = np.arange(COUNT) % 18
    familiar = np.isin(20 * numbers_of, PROTOCOLS["novel_azimuth"][0])
    assert len(dataset.test) == familiar.sum() == len(dataset.train) + len(dataset.validation)
    assert len(dataset.validation) == 1
    np.testing.assert_array_equal(dataset.novel.labels, (np.arange(COUNT) % 5)[~familiar])
    np.testing.assert_array_equal(dataset.novel.factors["azimuth"], 20 * numbers_of[~familiar])
    assert dataset.image_shape == (16, 16, 2)
    one = dataclasses.replace(config, cameras=1, toys=1).load(str(tmp_path))
    viewpoints._read.cache_clear()
    assert one.image_shape == (16, 16, 1)
    assert set(one.novel.factors["toy"].tolist()) == {0}


def test_other_data_of_that_name_is_one_line(tmp_path, prepared):
    prepare(tmp_path, {"image": pixels(6, 6, 1), "label": (CLASSES, [0] * COUNT)}, name="smallnorb")
    with pytest.raises(UserError, match="has no image2, label_category, instance") as caught:
        ViewpointsConfig("smallnorb").load(str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "norb"}, "dataset.name='norb': choose one of viewpoints, smallnorb"),
        ({"protocol": "none"}, "dataset.protocol='none': choose one of full, novel_azimuth"),
        ({"cameras": 3}, "dataset.cameras=3: must be at most 2"),
        ({"crop": 49}, "dataset.crop=49: must be at most 48"),
        ({"size": 97}, "dataset.size=97: must be at most 96"),
        ({"contrast": 1.0}, "dataset.contrast=1.0: must be less than 1"),
        ({"name": "smallnorb", "toys": 6}, "dataset.toys=6: must be at most 5"),
        ({"toys": 1000, "size": 96}, "dataset.toys=1000: images of shape"),
    ],
)
def test_what_no_run_can_have_is_one_line(fields, message):
    with pytest.raises(UserError, match=re.escape(message)):
        dataclasses.replace(ViewpointsConfig(), **fields).check()
