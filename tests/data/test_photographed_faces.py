"""Cut and paste of photographs: 100 real faces, too few to train on, and made-up ones."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from data.batches import DeviceSplit
from data.dataset import Dataset
from data.faces import arrangements, photographs
from data.faces.conditions import INVERT, renderer, small_moves, widened
from data.faces.parts import NOTHING, pose_of
from data.faces.photographed import PhotographedFaces, PhotographedFacesConfig, paste
from data.faces.tasks import FACE
from data.sources import preparation
from evaluation.statistics.intervals import auroc
from evaluation.suites.representation import faces as suite
from tests.data.test_faces import cues
from tests.data.test_sources import mocked  # noqa: F401

COUNT = 400
SHOWN = {"HOME": arrangements.HOME} | dict(zip("ABC", arrangements.KINDS, strict=True))
KEEP_POSE = np.asarray(pose_of(0.0, 0.0, 0.0, 0.0))[None]
# Where parts lie in the 25x25 pixels of scikit-image's faces, with the frame that they get here.
FRAME = 12
SUBSET = photographs.Layout(
    parts=((18.5, 20.2), (26.8, 20.2), (22.8, 25.8), (22.8, 29.8)), splits=("", "", "")
)


@pytest.fixture(autouse=True, scope="module")
def known_layouts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(photographs.LAYOUTS, "subset", SUBSET)
        patch.setitem(photographs.LAYOUTS, "made_up", photographs.LAYOUTS["lfw"])
        yield


@functools.cache
def real(task):
    data = pytest.importorskip("skimage.data")
    pixels = np.round(data.lfw_subset()[:100] * 255.0).astype(np.uint8)  # the others are no faces
    framed = np.pad(pixels, ((0, 0), (FRAME, FRAME), (FRAME, FRAME)), mode="edge")
    crops = np.stack([photographs.crop(SUBSET)(photograph) for photograph in framed])
    faces = photographs.with_parts_cut(crops, SUBSET.homes)
    return PhotographedFaces(PhotographedFacesConfig(task, name="subset"), faces, faces)


@functools.cache
def shown(task, name):
    return renderer(real(task), "test pairs", COUNT)(SHOWN[name])


def grey(value, count=2):
    return np.full((count, 48, 48), value, np.uint8)


def made_up(faces):
    homes = photographs.LAYOUTS["made_up"].homes
    faces = photographs.with_parts_cut(faces, homes)
    config = PhotographedFacesConfig("relation", layout_noise=0.0, name="made_up")
    return PhotographedFaces(config, faces, faces)


@pytest.mark.parametrize("name", ["lfw", "celeb_a"])
def test_eyes_come_to_lie_where_rendered_faces_have_them(name):
    layout = photographs.LAYOUTS[name]
    np.testing.assert_allclose(layout.homes[:2], [[-5.5, -5.0], [5.5, -5.0]], atol=1e-5)
    assert np.all(np.diff(layout.homes[[0, 2, 3], 1]) > 4)
    height, width = {"lfw": (250, 250), "celeb_a": (218, 178)}[name]
    (x, y), half = layout.middle, 24 * layout.scale
    assert x - half >= 0
    assert x + half <= width
    assert y - half >= 0
    assert y + half <= height


def test_a_mark_on_a_photograph_is_found_where_its_part_belongs():
    layout = photographs.LAYOUTS["lfw"]
    photograph = np.zeros((250, 250, 3), np.uint8)
    x, y = map(int, layout.parts[3])
    photograph[y - 6 : y + 6, x - 6 : x + 6] = 255
    face = photographs.crop(layout)(photograph).astype(np.float64)
    along = np.arange(48) - 23.5
    middle = np.array([(face.sum(0) * along).sum(), (face.sum(1) * along).sum()]) / face.sum()
    np.testing.assert_allclose(middle, layout.homes[3], atol=0.1)


def test_nothing_is_left_of_parts_that_are_cut():
    face = grey(100)
    homes = photographs.LAYOUTS["lfw"].homes
    face[:, 30:33, 22:26] = 250  # a mouth
    cut = photographs.with_parts_cut(face, homes)
    np.testing.assert_array_equal(cut[..., 0], face)
    assert cut[:, 30:33, 22:26, 1].max() < 160
    outside = np.ones((48, 48), bool)
    outside[12:40, 8:40] = False
    np.testing.assert_array_equal(cut[:, outside, 1], face[:, outside])


def test_a_part_is_pasted_with_the_mean_of_what_it_covers():
    random = np.random.default_rng(0)
    faces = random.uniform(0.4, 0.6, (3, 48, 48, 2)).astype(np.float32)
    faces[..., 1] = 0.5
    places = np.zeros((9, 2), np.float32)
    places[3] = 0.5, 8.0  # so that pixels of the mouth fall on pixels of the image
    centres = np.broadcast_to(np.float32([-5.5, -5.0]), (3, 4, 2))
    contents = np.array([[3, NOTHING, NOTHING, NOTHING]] * 3)
    pose = np.broadcast_to(KEEP_POSE, (3, 4))
    image = np.asarray(jax.jit(paste)(faces, contents, places, centres, pose))[..., 0]
    rows, columns = np.nonzero(np.abs(image[0] - 0.5) > 1e-6)
    assert (rows.min(), rows.max()) == (7, 14)  # a patch 6 high about 11, and its edge
    assert (columns.min(), columns.max()) == (6, 14)  # one 8 wide about 10.5
    np.testing.assert_allclose(image.mean(axis=(1, 2)), 0.5, atol=1e-4)
    inner = image[:, 9:13, 7:14], faces[:, 30:34, 21:28, 0]
    shift = inner[0] - inner[1]
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1, :1], shift.shape), atol=1e-6)


def test_arrangements_show_what_they_say():
    # Each part has a grey of its own beside a black pixel, which means cannot hide.
    face = grey(128, 1)
    homes = np.round(photographs.LAYOUTS["made_up"].homes).astype(int) + 24
    for part, (x, y) in enumerate(homes):
        face[0, y - 1 : y + 1, x - 1 - (part == 0) : x + 1 + (part == 3)] = 20 + 40 * part
    show = renderer(made_up(face), "test pairs", 1)
    home, other = show(arrangements.HOME), show(arrangements.KINDS[0][0])
    assert np.abs(home.astype(int) - show.whole()).max() <= 40
    assert np.abs(home.astype(int) - other).max() > 20
    start = show(arrangements.KINDS[0][0], progress=0.0)
    assert np.mean(np.abs(start.astype(int) - home)) < 0.1  # edges overlap in another order
    np.testing.assert_array_equal(show.sham(), home)


def test_a_sham_is_close_to_the_photograph_and_a_scramble_is_not():
    show = renderer(real("relation"), "test pairs", 100)
    whole, sham = show.whole().astype(int), show.sham().astype(int)
    scrambled = shown("relation", "A")[:100].astype(int)
    errors = [np.mean(np.abs(images - whole)) for images in (sham, scrambled)]
    assert errors[0] < 3.0  # of 255 grey levels; parts lie up to half a pixel off
    assert errors[1] > 1.5 * errors[0]


def test_wide_poses_and_moves_keep_what_is_pasted():
    faces = real("relation")
    assert widened(faces).config.rotation == 1.5 * faces.config.rotation
    assert widened(faces).config.name == "subset"
    show = renderer(faces, "test pairs", 4)
    whole = show(arrangements.HOME)
    for changed in (
        show(arrangements.HOME, change=INVERT),
        show(arrangements.HOME, change=small_moves(4)),
        renderer(widened(faces), "test pairs", 4)(arrangements.HOME),
    ):
        assert changed.shape == whole.shape == (4, 32, 32, 1)
        assert not np.array_equal(changed, whole)


@pytest.mark.parametrize("scrambles", "ABC")
def test_low_level_cues_tell_little(scrambles):
    whole, scrambled = (cues(shown("relation", name)) for name in ("HOME", scrambles))
    for name in whole:
        # 100 photographs leave 0.08 to chance on either side of a half.
        assert 0.42 <= auroc(whole[name], scrambled[name]) <= 0.58, name


def test_no_weighing_of_pixels_tells_much():
    pixels = [shown("relation", n).reshape(COUNT, -1) / 255.0 for n in ("HOME", "A")]
    # The photographs come in turns of 100: those of the test are none of the training.
    of_training = np.arange(COUNT) % 100 < 60
    train = np.concatenate([p[of_training] for p in pixels])
    answers = np.repeat([1.0, -1.0], of_training.sum())
    centred = train - train.mean(axis=0)
    weights = np.linalg.solve(centred.T @ centred + 10.0 * np.eye(1024), centred.T @ answers)
    assert auroc(*(p[~of_training] @ weights for p in pixels)) <= 0.72


@pytest.mark.parametrize(("task", "labels"), [("relation", 2), ("configuration", 6)])
def test_training_pastes_every_photograph_anew(task, labels):
    faces = real(task)
    split = DeviceSplit(jnp.asarray(faces.test), jnp.zeros(100, jnp.int32))
    generate = jax.jit(faces.config.generate)
    chosen = jnp.arange(60)
    first, again, other = (generate(jax.random.key(k), split, chosen) for k in (0, 0, 1))
    np.testing.assert_array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)
    assert set(np.asarray(first.labels).tolist()) == set(range(labels))
    assert first.images.shape == (60, 32, 32, 1)
    assert float(first.images.min()) >= 0.0
    assert float(first.images.max()) <= 1.0


@pytest.mark.parametrize("task", ["relation", "configuration"])
def test_labels_are_those_of_the_arrangements(task):
    faces, count = real(task), 12
    images = faces.split("test", count).images
    keys = faces.config.keys("test", jnp.arange(count))
    look = jax.jit(faces.config.draw)(keys)

    @jax.jit
    def arrange(contents):
        several = jnp.broadcast_to(contents, (count, 4))
        photographs = jnp.asarray(faces.test[:count] / np.float32(255.0))
        places = jnp.asarray(faces.config.places)
        return 255.0 * paste(photographs, several, places, look.slots, look.pose)

    def error(contents):
        return np.mean(np.abs(np.asarray(arrange(contents)) - images), axis=(1, 2, 3))

    classes = [[c] for c in arrangements.CONFIGURATIONS]
    if task == "relation":
        classes = [arrangements.trained(0), [arrangements.HOME]]
    errors = np.array([np.min([error(c) for c in several], axis=0) for several in classes])
    np.testing.assert_array_equal(np.argmin(errors, axis=0), np.arange(count) % len(classes))
    assert errors.min(axis=0).max() < 0.3  # of grey levels: the images are rounded


def brightness(images):
    """Logits by the mean grey, which an arrangement does not change."""
    means = np.mean(images, axis=(1, 2, 3))
    return np.stack([means, -means], axis=1)


def dataset_of(faces, task, count=24):
    return Dataset(
        f"subset {task}",
        faces.config.num_classes,
        train=faces.split("test", count),
        validation=faces.split("validation", count),
        test=faces.split("test", count),
        generator=faces,
    )


def test_the_suite_measures_photographs_too():
    dataset = dataset_of(real("relation"), "relation")
    results = suite.evaluate(brightness, dataset, batch_size=24)
    names = ("false-positive rate", "classified as a face")
    rates = {r.condition: r.value for r in results if r.metric.name in names}
    assert {"intact", "sham", "held-out permutations", "wide poses", "clutter"} <= set(rates)
    assert all(r.definition["name"] == "subset" for r in results)
    effect = {r.condition: r.value for r in results if r.metric.name == "AUROC"}
    assert 0.4 < effect["held-out permutations"] < 0.6
    scenes = suite.scenes(dataset, 3)
    assert scenes["sham"].shape == (3, 32, 32, 1)
    assert {"trained permutations", "displacement, 0.5 of the way"} <= set(scenes)


def test_splits_are_fixed_and_balanced():
    faces = real("configuration")
    first, again = (faces.split("test", 18) for _ in range(2))
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(np.bincount(first.labels), [3] * 6)
    assert not np.array_equal(first.images, faces.split("validation", 18).images)


@pytest.mark.parametrize("name", ["lfw", "celeb_a"])
def test_public_photographs(mocked, tmp_path, name):  # noqa: F811
    config = PhotographedFacesConfig(
        "presence", train_images=7, validation_images=5, test_images=30, name=name
    )
    dataset = config.load(str(tmp_path))
    assert dataset.name == f"{name} presence"
    assert dataset.train.images.shape == (7, 48, 48, 2)
    assert dataset.validation.images.shape == (5, 32, 32, 1)
    assert len(dataset.test) == 30
    assert len(dataset.generator.test) == 20  # all that there are, in turn
    np.testing.assert_array_equal(np.bincount(dataset.test.labels), [15, 15])
    assert dataset.test.labels[1] == FACE
    assert dataset.image_shape == (32, 32, 1)


class Prepared:
    """Prepared data of some splits without an example."""

    def __init__(self, *splits):
        none = types.SimpleNamespace(num_examples=0)
        self.info = types.SimpleNamespace(
            splits=dict.fromkeys(splits, none), features={"image": None}
        )


@pytest.mark.parametrize(
    ("prepared", "message"),
    [(Prepared("train"), "nothing in train"), (Prepared("test"), "no train")],
)
def test_data_without_photographs_or_splits_is_named(monkeypatch, tmp_path, prepared, message):
    monkeypatch.setattr(preparation, "find_prepared", lambda name, folder: prepared)
    with pytest.raises(UserError, match=f"dataset.name='celeb_a': .* has {message}"):
        PhotographedFacesConfig(name="celeb_a").load(str(tmp_path))


@pytest.mark.parametrize(
    "photograph",
    [
        np.zeros((200, 250, 3), np.uint8),  # rows are missing below the chin
        np.zeros((250, 250, 2), np.uint8),
        np.zeros((250, 250, 3), np.float32),
        np.zeros((1, 250, 250), np.uint8),
    ],
)
def test_photographs_that_no_face_can_be_cut_from_are_named(photograph):
    with pytest.raises(ValueError, match=r"photograph of shape .* is not one to cut"):
        photographs.crop(photographs.LAYOUTS["lfw"])(photograph)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "lfv"}, "dataset.name='lfv': choose one of celeb_a, lfw"),
        ({"task": "presense"}, "dataset.task='presense': choose one of presence, relation"),
        ({"shift": -1.0}, "dataset.shift=-1.0: must be at least 0"),
        ({"test_images": 0}, "dataset.test_images=0: must be at least 1"),
    ],
)
def test_impossible_fields_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        PhotographedFacesConfig(**fields).check()


def test_without_the_extra_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(preparation.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"'lfw' is not prepared in .*\.\[train,tfds\]"):
        PhotographedFacesConfig().load(str(tmp_path))
