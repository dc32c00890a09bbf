import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from common.errors import UserError
from data.batches import DeviceSplit
from data.faces import arrangements
from data.faces.conditions import INVERT, cut_and_paste, renderer, small_moves, widened
from data.faces.parts import FACE_SLOTS, SQUARE_SLOTS, face_points, part_boxes, pose_of
from data.faces.tasks import FACE, OTHER, FacesConfig
from evaluation.statistics.intervals import auroc
from stn.transforms import Similarity

COUNT = 1000
LABELS = DeviceSplit(jnp.zeros((12, 1, 1, 1), jnp.uint8), jnp.arange(12) % 2)


# "presence" renders the faces of "relation"; only its labels are others.
SHOWN = {"HOME": arrangements.HOME} | dict(zip("ABC", arrangements.KINDS, strict=True))
GENERATORS = [("relation", 0), ("relation", 3), ("configuration", 0)]


@functools.cache
def shower(task, clutter=0):
    return renderer(FacesConfig(task, clutter=clutter), "test pairs", COUNT)


@functools.cache
def shown(task, clutter, name):
    return shower(task, clutter)(SHOWN[name])


@functools.cache
def known(task):
    """Labelled images and all that the generator knows of them."""
    config = FacesConfig(task)
    numbers = np.arange(300)
    labels = (numbers % config.num_classes).astype(np.int32)
    render = jax.jit(lambda n, labels: config.render_labels(config.keys("test", n), labels))
    return jax.device_get(render(numbers, labels))


def test_scrambles_are_the_twelve_permutations_that_leave_no_part_of_a_face():
    assert len(arrangements.SCRAMBLES) == 12
    for permutation in arrangements.SCRAMBLES:
        assert sorted(permutation) == [0, 1, 2, 3]
        assert permutation[2] != 2
        assert permutation[3] != 3
        assert set(permutation[:2]) != {0, 1}


def looks(permutations):
    """What an image shows: the eyes are alike."""
    return {tuple(np.where(p == 1, 0, p)) for p in permutations}


def mirrored(permutations):
    """What the mirror image of an image shows."""
    return {(right, left, nose, mouth) for left, right, nose, mouth in looks(permutations)}


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_held_out_scrambles_look_unlike_all_trained_ones(fold):
    held_out, trained = arrangements.held_out(fold), arrangements.trained(fold)
    assert (len(held_out), len(trained)) == (4, 8)
    assert looks(held_out) == mirrored(held_out)
    assert not looks(held_out) & looks(trained)
    assert looks(held_out) | looks(trained) == looks(arrangements.SCRAMBLES)


def test_every_kind_is_held_out_once():
    assert len(looks(arrangements.CONFIGURATIONS)) == len(arrangements.CONFIGURATIONS) == 6
    assert looks(arrangements.CONFIGURATIONS) == looks(arrangements.SCRAMBLES)
    held_out = np.concatenate([arrangements.held_out(fold) for fold in range(3)])
    assert sorted(map(tuple, held_out)) == sorted(map(tuple, arrangements.SCRAMBLES))
    # Those of before there were folds: the mouth where the nose belongs.
    assert {tuple(p) for p in arrangements.held_out(0)} == {
        tuple(p) for p in arrangements.SCRAMBLES if p[2] == 3
    }


def test_a_fold_trains_on_the_other_kinds():
    for fold in range(3):
        config = FacesConfig("relation", fold=fold)
        choices = (np.arange(8) + 0.5) / 8
        drawn = [config.arrangement(choice, np.int32(OTHER)) for choice in choices]
        assert sorted(map(tuple, np.array(drawn))) == sorted(map(tuple, arrangements.trained(fold)))
    names = [FacesConfig("relation", fold=fold).name for fold in range(3)]
    assert names == ["faces relation", "faces relation, fold 1", "faces relation, fold 2"]


def test_a_pose_moves_turns_and_scales():
    # The point (3, 0) of a face twice as large, turned by 90 degrees clockwise, moved by (1, 2).
    pose = pose_of(1.0, 2.0, np.pi / 2, np.log(2.0))
    point = Similarity().inverse(pose[None])
    image = Similarity().apply(point, jnp.array([[[3.0, 0.0]]]) / 16) * 16
    np.testing.assert_allclose(image[0, 0], [1.0, 8.0], atol=1e-5)
    points = face_points(pose_of(0.0, 0.0, 0.0, 0.0)).reshape(2, 32, 32)
    np.testing.assert_allclose(points[:, 0, 0], [-15.5, -15.5])
    np.testing.assert_allclose(points[:, 0, 31], [15.5, -15.5], atol=1e-5)


def test_a_part_does_not_change_the_mean():
    blobs = np.asarray(jax.jit(FacesConfig().draw)(jax.random.key(0)).blobs)
    volume = blobs[..., 2] * blobs[..., 3] * blobs[..., 4]
    assert blobs.shape == (9, 4, 5)
    np.testing.assert_allclose(volume.sum(axis=1), 0.0, atol=1e-6)
    assert np.all(np.abs(volume).max(axis=1)[np.arange(9) != 4] > 0.1)


def test_half_of_the_faces_show_their_parts_in_the_negative():
    config = FacesConfig()
    draw = jax.jit(jax.vmap(lambda n: config.draw(config.keys("test", n[None])[0]).blobs))
    mouths = draw(np.arange(400))[:, 3, 0, 4]
    assert 0.4 < np.mean(mouths < 0) < 0.6


def test_eye_swap_and_sham_change_nothing():
    for task in ("relation", "configuration"):
        show, whole = shower(task), shown(task, 0, "HOME")
        np.testing.assert_array_equal(cut_and_paste(show), whole)
        swapped = show(arrangements.EYE_SWAP)
        # The order of a sum is another: a rounding to the next grey level at the most.
        assert np.max(np.abs(swapped.astype(int) - whole)) <= 1
        assert np.mean(swapped != whole) < 1e-4


def test_parts_slide_from_home_to_their_slots():
    show = shower("relation")
    home, scrambled = (shown("relation", 0, name) for name in ("HOME", "A"))
    start = show(arrangements.KINDS[0], progress=0.0).astype(int)
    assert np.max(np.abs(start - home)) <= 1
    middle = show(arrangements.KINDS[0], progress=0.5)
    for end in (home, scrambled):
        assert np.mean(middle != end) > 0.05


def test_an_inverted_face_is_the_image_turned():
    show = renderer(FacesConfig("relation", shift=0.0, noise=0.0), "test pairs", 4)
    upright, inverted = show(arrangements.HOME), show(arrangements.HOME, change=INVERT)
    np.testing.assert_allclose(inverted.astype(int), upright[:, ::-1, ::-1], atol=1)


def test_a_small_move_and_a_wide_pose_keep_the_face():
    config = FacesConfig("relation", noise=0.0)
    moves = small_moves(8)
    assert len({tuple(move) for move in moves.tolist()}) > 4
    scales = np.hypot(moves[:, 0], moves[:, 1])
    np.testing.assert_allclose(np.abs(np.log(scales)), 0.05, atol=1e-6)
    np.testing.assert_allclose(
        np.abs(np.arctan2(moves[:, 1], moves[:, 0])), np.deg2rad(5), atol=1e-6
    )
    wide = widened(config)
    assert (wide.shift, wide.rotation) == (6.0, 43.5)
    key = jax.random.key(0)
    near, far = (jax.jit(each.draw)(key) for each in (config, wide))
    np.testing.assert_array_equal(near.blobs, far.blobs)
    np.testing.assert_array_equal(near.slots, far.slots)
    assert not np.allclose(near.pose, far.pose)


def seam(images, boxes):
    """Mean change of brightness across the edges of the parts' boxes, for each image."""
    middle, half = (boxes[..., 2:] + boxes[..., :2]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    along = np.linspace(-1, 1, 7)
    edges = [(s, a) for s in (-1, 1) for a in along] + [(a, s) for s in (-1, 1) for a in along]
    reads = []
    for grow in (-0.75, 0.75):
        points = middle[..., None, :] + (half[..., None, :] + grow) * np.array(edges)
        reads.append(
            [
                ndimage.map_coordinates(image[..., 0], (p[..., 1] - 0.5, p[..., 0] - 0.5), order=1)
                for image, p in zip(images, points, strict=True)
            ]
        )
    return np.mean(np.abs(np.subtract(*reads)), axis=(1, 2))


def cues(images):
    pixels = images[..., 0].astype(np.float64)
    gradient = sum(np.mean(np.abs(np.diff(pixels, axis=axis)), axis=(1, 2)) for axis in (1, 2))
    return {
        "mean": pixels.mean(axis=(1, 2)),
        "sd": pixels.std(axis=(1, 2)),
        "gradient": gradient,
    }


@pytest.mark.parametrize(("task", "clutter"), GENERATORS)
@pytest.mark.parametrize("scrambles", "ABC")
def test_low_level_cues_tell_nothing(task, clutter, scrambles):
    whole, scrambled = (cues(shown(task, clutter, name)) for name in ("HOME", scrambles))
    for name in whole:
        assert 0.45 <= auroc(whole[name], scrambled[name]) <= 0.55, name


@functools.cache
def boxes(task):
    config = FacesConfig(task)

    def one(number):
        face = config.draw(config.keys("test pairs", number[None])[0])
        return part_boxes(face, face.slots)

    return np.asarray(jax.jit(jax.vmap(one))(np.arange(COUNT)))


@pytest.mark.parametrize("task", ["relation", "configuration"])
@pytest.mark.parametrize("scrambles", "ABC")
def test_seams_tell_nothing(task, scrambles):
    whole, scrambled = (
        seam(shown(task, 0, name)[:600] / 255, boxes(task)[:600]) for name in ("HOME", scrambles)
    )
    assert 0.45 <= auroc(whole, scrambled) <= 0.55


@pytest.mark.parametrize(("task", "clutter"), GENERATORS)
@pytest.mark.parametrize("scrambles", "ABC")
def test_no_weighing_of_pixels_tells_a_scramble(task, clutter, scrambles):
    images = [shown(task, clutter, name) for name in ("HOME", scrambles)]
    pixels = [image.reshape(COUNT, -1).astype(np.float64) / 255 for image in images]
    train = np.concatenate([p[:700] for p in pixels])
    mean = train.mean(axis=0)
    answers = np.repeat([1.0, -1.0], 700)
    gram = (train - mean).T @ (train - mean)
    for ridge in (0.1, 30.0):
        weights = np.linalg.solve(gram + ridge * np.eye(1024), (train - mean).T @ answers)
        whole, scrambled = (p[700:] @ weights for p in pixels)
        assert auroc(whole, scrambled) <= 0.65


def places(rendered, slots):
    """Reads which slot each box lies in, from coordinates alone."""
    middles = (rendered.boxes[..., :2] + rendered.boxes[..., 2:]) / 2 / 16 - 1
    points = Similarity().apply(jnp.asarray(rendered.poses), jnp.asarray(middles)) * 16
    return np.argmin(np.linalg.norm(points[:, :, None] - slots, axis=-1), axis=-1), points


def test_coordinates_tell_a_face_from_its_scrambles():
    rendered = known("relation")
    _, points = places(rendered, FACE_SLOTS)
    of_part = np.argsort(rendered.contents, axis=1)
    heights = np.take_along_axis(np.asarray(points[..., 1]), of_part, axis=1)
    canonical = (heights[:, :2].max(axis=1) < heights[:, 2]) & (heights[:, 2] < heights[:, 3])
    np.testing.assert_array_equal(canonical, rendered.labels == FACE)


def test_coordinates_tell_the_configurations_apart():
    rendered = known("configuration")
    slot, _ = places(rendered, SQUARE_SLOTS)
    found = np.zeros((len(slot), 4), int)
    np.put_along_axis(found, slot, rendered.contents, axis=1)
    same = np.all(found[:, None] == arrangements.CONFIGURATIONS, axis=-1)
    np.testing.assert_array_equal(np.argmax(same, axis=1), rendered.labels)
    assert np.all(same.sum(axis=1) == 1)


def test_boxes_lie_around_their_parts():
    rendered = known("configuration")
    pixels = rendered.images[..., 0]
    skin = np.median(pixels, axis=(1, 2), keepdims=True)
    rows, columns = np.arange(32)[:, None] + 0.5, np.arange(32) + 0.5
    left, top, right, bottom = (rendered.boxes[..., k, None, None] for k in range(4))
    inside = np.any((columns > left) & (columns < right) & (rows > top) & (rows < bottom), axis=1)
    strength = np.abs(pixels - skin)
    # Outside there is the pixels' noise, of 0.03 on the mean 0.024, and the parts' soft ends.
    assert np.mean(strength[~inside]) < 0.03
    assert np.mean(strength[inside]) > 0.06


def test_values_stay_within_black_and_white():
    for task in ("relation", "configuration"):
        images = known(task).images
        assert images.min() >= 0.0
        assert images.max() <= 1.0
        assert np.mean((images <= 0.0) | (images >= 1.0)) < 2e-3  # clipping would shift the mean


def test_an_image_depends_on_its_own_key_alone():
    config = FacesConfig("relation")
    render = jax.jit(lambda n, labels: config.render_labels(config.keys("test", n), labels).images)
    few = render(np.arange(3, 6), np.array([1, 0, 1], np.int32))
    np.testing.assert_allclose(few, known("relation").images[3:6], atol=1e-6)


def test_training_images_never_repeat_or_are_so_many():
    chosen = jnp.array([5, 2])
    for count, repeats in ((0, False), (12, True)):
        generate = jax.jit(FacesConfig("relation", train_images=count).generate)
        first, again, other = (generate(jax.random.key(k), LABELS, chosen) for k in (0, 0, 1))
        np.testing.assert_array_equal(first.images, again.images)
        assert np.array_equal(first.images, other.images) == repeats
        np.testing.assert_array_equal(other.labels, [1, 0])


def test_splits_are_fixed_balanced_and_apart():
    config = FacesConfig("configuration", validation_images=12, test_images=18, train_images=24)
    dataset = config.load(None)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (24, 12, 18)
    assert dataset.generator is config
    assert dataset.image_shape == (32, 32, 1)
    np.testing.assert_array_equal(np.bincount(dataset.test.labels), [3] * 6)
    np.testing.assert_array_equal(
        np.round(known("configuration").images[:18] * 255), dataset.test.images
    )
    assert not np.array_equal(dataset.test.images[:12], dataset.validation.images)
    other = dataclasses.replace(config, seed=1)
    assert not np.array_equal(other.keys("test", np.arange(3)), config.keys("test", np.arange(3)))


def test_presence_is_whole_faces_against_none():
    config, labels = FacesConfig("presence"), np.arange(300) % 2
    arrange = jax.jit(
        lambda n: config.render_labels(config.keys("test", n), jnp.asarray(labels)).contents
    )
    contents = np.asarray(arrange(np.arange(300)))
    np.testing.assert_array_equal(contents[labels == FACE], np.tile(np.arange(4), (150, 1)))
    found, counts = np.unique(contents[labels != FACE], axis=0, return_counts=True)
    np.testing.assert_array_equal(found, arrangements.FACELESS)
    assert counts.min() > 50


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"task": "presense"}, "dataset.task='presense': choose one of presence, relation"),
        ({"noise": -0.1}, r"dataset.noise=-0.1: must be at least 0"),
        ({"test_images": 0}, "dataset.test_images=0: must be at least 1"),
    ],
)
def test_impossible_fields_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        FacesConfig(**fields).check()
