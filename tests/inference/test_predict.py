"""Image files through trained runs: by the command, and from Python."""

import dataclasses
import json
import shutil
from typing import Any

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

import configs
import inference
from capsnet import CapsNetConfig
from cnn.decoder import DenseDecoder
from cnn.output import Warp
from common.errors import UserError
from configs import _prediction
from data.sources.load import DatasetConfig
from evaluation.model import Predictor
from inference import image_files, pictures
from inference.predict import predict_files
from inference.trained_model import TrainedModel
from tests.conftest import ROOT
from tests.pages import python_blocks
from tests.test_commands import assert_one_line
from training import loop
from training.experiment import Experiment
from training.run import signature
from training.run.directory import RunDirectory
from training.run.signature import Signature

RANDOM = np.random.default_rng(0)
NAMES = ("$cow", "Käfer", "bird")
SHAPE = (12, 14, 3)
EXPERIMENT = Experiment(
    model=CapsNetConfig(
        convolution_channels=2,
        kernel_size=3,
        primary_types=1,
        primary_dim=2,
        class_dim=4,
        decoder=DenseDecoder(widths=(8,)),
    ),
    steps=2,
    batch_size=8,
    dataset=DatasetConfig(shift=0),
    validate_every=2,
    suites=(),
    monitors=(),
)


def pixels(*shape):
    return RANDOM.integers(0, 256, shape, np.uint8)


def save(path, image):
    PIL.Image.fromarray(image.squeeze()).save(path)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run on colour images, which are gone, and its model with them."""
    root = tmp_path_factory.mktemp("predict")
    for name in NAMES:
        (root / "images" / name).mkdir(parents=True)
        for k in range(10):
            save(root / "images" / name / f"{k}.png", pixels(*SHAPE))
    dataset = dataclasses.replace(EXPERIMENT.dataset, name=f"folder:{root / 'images'}")
    experiment = dataclasses.replace(EXPERIMENT, dataset=dataset)
    loop.run(experiment, name="capsnet_mnist", workdir=str(root / "run"))
    (block,) = python_blocks(ROOT / "docs" / "runs.md")  # its two lines that restore a run
    found: dict[str, Any] = {}
    exec(block.replace("runs/capsnet_mnist", str(root / "run")), found)
    with_images = found["run"].predictor
    shutil.rmtree(root / "images")
    return root / "run", with_images


@pytest.fixture(scope="module")
def model(run):
    return inference.load_model(run[0])


def made_up(logits, shape=SHAPE, dataset=EXPERIMENT.dataset, names=(), several=1, **fields):
    """A model that returns the same for every image."""

    logits = np.asarray(logits, np.float32)
    return TrainedModel(
        "made_up",
        dataclasses.replace(EXPERIMENT, dataset=dataset),
        7,
        Signature(shape, logits.shape[-1], names, several),
        Predictor.of(lambda images: np.stack([logits] * len(images)), **fields),
    )


def test_the_page_on_prediction_has_three_lines_that_predict(run, model):
    (block,) = python_blocks(ROOT / "docs" / "prediction.md")
    found: dict[str, Any] = {"images": RANDOM.random((3, *SHAPE))}
    exec(block.replace("runs/capsnet_mnist", str(run[0])), found)
    assert found["predictions"].classes == model(found["images"]).classes


def test_a_model_is_loaded_and_predicts_without_the_images_that_it_learnt_from(run, model):
    images = RANDOM.random((5, *SHAPE), np.float32)
    found = model(images)
    expected = run[1].outputs(images, "lengths", "reconstruction")
    np.testing.assert_allclose(found.lengths, expected["lengths"], rtol=1e-5)
    np.testing.assert_allclose(found.probabilities, expected["lengths"], rtol=1e-5)
    np.testing.assert_allclose(found.reconstruction, expected["reconstruction"], rtol=1e-5)
    winners = expected["lengths"].argmax(axis=1)
    assert found.labels.tolist() == winners.tolist()
    assert found.classes == tuple(NAMES[winner] for winner in winners)
    np.testing.assert_allclose(found.confidences, expected["lengths"].max(axis=1), rtol=1e-5)
    assert found.warp is None
    assert model.describe() == "capsnet_mnist at step 2, of 12x14x3 images, 3 classes"
    # Bytes are what their share of 255 is.
    levels = np.round(255.0 * images).astype(np.uint8)
    np.testing.assert_allclose(
        model(levels).lengths, model(levels / np.float32(255.0)).lengths, rtol=1e-5
    )


def test_the_probabilities_of_a_model_without_its_own_are_the_softmax_of_its_logits():
    found = made_up([0.0, np.log(3.0), np.log(4.0)], names=("a", "b", "c"))(np.zeros((2, *SHAPE)))
    np.testing.assert_allclose(found.probabilities, [[1 / 8, 3 / 8, 4 / 8]] * 2, rtol=1e-6)
    assert found.classes == ("c", "c")
    np.testing.assert_allclose(found.confidences, [0.5, 0.5], rtol=1e-6)


def test_several_classes_of_an_image_are_named_side_by_side():
    images = np.zeros((1, *SHAPE), np.uint8)
    both = made_up([0.0, np.log(3.0), np.log(4.0)], several=2)(images)
    assert (both.classes, both.labels.tolist()) == ((("1", "2"),), [[1, 2]])
    np.testing.assert_allclose(both.confidences, [[3 / 8, 4 / 8]], rtol=1e-6)
    heads = made_up(np.log([[1.0, 3.0], [4.0, 1.0]]))(images)
    assert (heads.classes, heads.labels.tolist()) == ((("1", "0"),), [[1, 0]])
    np.testing.assert_allclose(heads.confidences, [[3 / 4, 4 / 5]], rtol=1e-6)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros(SHAPE), r"images of shape \(12, 14, 3\): must be \[count, 12, 14, 3\]"),
        (np.zeros((0, *SHAPE)), "must be .count"),
        (np.full((1, *SHAPE), 7), "images of type int64: must be uint8 or floating-point"),
        (np.full((1, *SHAPE), 7.5), r"images from 7.5 to 7.5: must be in \[0, 1\], or uint8"),
        (np.full((1, *SHAPE), np.nan), "images from nan to nan"),
    ],
)
def test_images_that_a_model_cannot_take(images, message):
    with pytest.raises(ValueError, match=message):
        made_up([0.0, 1.0])(images)


def test_files_are_brought_to_the_size_and_channels_of_the_model(tmp_path):
    coloured, grey = made_up([0.0, 1.0]), made_up([0.0, 1.0], (12, 14, 1))
    image = pixels(*SHAPE)
    same = save(tmp_path / "same.png", image)
    np.testing.assert_array_equal(image_files.read(same, coloured), image)
    # As high as the model's, so that the middle is cut out and nothing is resized.
    wide = pixels(12, 35, 1)
    path = save(tmp_path / "wide.png", wide)
    np.testing.assert_array_equal(image_files.read(path, grey), wide[:, 10:24])
    np.testing.assert_array_equal(
        image_files.read(path, coloured), np.repeat(wide[:, 10:24], 3, axis=-1)
    )
    # Of a single colour every size is the same; grey is 0.299 R + 0.587 G + 0.114 B.
    path = save(tmp_path / "orange.png", np.full((31, 17, 3), (200, 100, 0), np.uint8))
    assert np.unique(image_files.read(path, grey)).tolist() == [round(0.299 * 200 + 0.587 * 100)]
    assert image_files.read(path, coloured).shape == SHAPE


def test_a_file_is_framed_as_the_training_images_were(tmp_path):
    framed = made_up([0.0, 1.0], (12, 14, 1), DatasetConfig(pad=3))
    inner = pixels(6, 8, 1)
    found = image_files.read(save(tmp_path / "small.png", inner), framed)
    np.testing.assert_array_equal(found[3:-3, 3:-3], inner)
    assert found.sum(dtype=int) == inner.sum(dtype=int)
    whole = pixels(12, 14, 1)
    path = save(tmp_path / "whole.png", whole)
    np.testing.assert_array_equal(image_files.read(path, framed), whole)


def test_the_command_predicts_what_it_can_and_names_the_rest(command, tmp_path, run, model):
    images = np.stack([pixels(*SHAPE) for _ in range(2)])
    files = [save(tmp_path / f"{k}.png", image) for k, image in enumerate(images)]
    (tmp_path / "no.png").write_text("no image")
    asked = ["predict.py", run[0], files[0], tmp_path / "no.png", files[1], tmp_path / "gone.png"]
    out = tmp_path / "new" / "out.png"
    finished = command(*asked, "--json", f"--picture={out}")
    assert_one_line(finished, f"{tmp_path / 'no.png'} is no PNG", "; and 1 more, above")
    assert finished.stderr.startswith(
        f"importing JAX\n{run[0]}: reading its checkpoint, to predict 4 images\n"
    )
    assert f"failed: {tmp_path / 'gone.png'}: there is no such file\n" in finished.stderr
    expected = model(images)
    lines = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [line["image"] for line in lines] == list(map(str, files))
    for place, line in enumerate(lines):
        assert line["class"] == expected.classes[place]
        assert line["label"] == expected.labels[place]
        assert tuple(line["lengths"]) == tuple(line["probabilities"]) == NAMES
        found = list(line["lengths"].values())
        np.testing.assert_allclose(found, expected.lengths[place], rtol=1e-4)
        assert line["confidence"] == max(line["probabilities"].values())
    drawn = "2 images, reconstruction, winner's couplings, runner-up's couplings"
    assert f"wrote {out}: {drawn}\n" in finished.stderr
    with PIL.Image.open(out) as picture:
        picture.verify()


def test_text_has_the_likeliest_classes_first(tmp_path, capsys):
    file = save(tmp_path / "a.png", pixels(*SHAPE))
    model = made_up(np.log([1.0, 6.0, 3.0]), names=NAMES)
    predict_files(model, [str(file)], run="run").end()
    assert capsys.readouterr().out == (
        f"{file}: Käfer (60.0 %)\n    probabilities: Käfer 0.6000, bird 0.3000, $cow 0.1000\n"
    )


@pytest.mark.parametrize("own", [True, False])
def test_only_lengths_that_are_the_probabilities_are_printed_as_lengths(tmp_path, capsys, own):
    file, lengths = save(tmp_path / "a.png", pixels(*SHAPE)), [0.1, 0.6, 0.5]

    def of_capsules(images):
        return np.stack([np.float32(lengths)] * len(images))

    fields = {"lengths": of_capsules} | ({"probabilities": of_capsules} if own else {})
    predict_files(made_up(np.log(lengths), names=NAMES, **fields), [str(file)], run="run").end()
    expected = "lengths of capsules: Käfer 0.6000" if own else "probabilities: Käfer 0.5000"
    assert expected in capsys.readouterr().out


def test_a_picture_shows_what_spatial_transformers_do(tmp_path):
    grid = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 6), np.linspace(-0.5, 0.5, 5)), axis=-1)
    outputs, grids = np.full((2, 5, 6, 3), 0.5, np.float32), np.stack([grid, grid / 2.0])

    def warp(images):
        return Warp(*(jnp.stack([each] * len(images)) for each in (outputs, grids)))

    model = made_up([0.0, 1.0], warp=warp)
    out = tmp_path / "out.png"
    names = [f"{k}.png" for k in range(9)]
    said = pictures.draw(out, model, names, pixels(9, *SHAPE))
    assert said == f"wrote {out}: the first 8 of 9 images, warped"
    with PIL.Image.open(out) as picture:
        assert picture.width > 1000


def parse(*arguments):
    _prediction._GIVEN.unparse_flags()
    return configs.parse_prediction(["predict.py", *map(str, arguments)], "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a run and at least one image, as in: python predict.py runs/caps"),
        (["run"], "name a run and at least one image"),
        (["run", "a.png", "--picture=a.jpg"], "--picture=a.jpg: is written as PNG"),
        (["run", "a.png", "--checkpoint=first"], "first"),
        (["run", "a.png", "--jsom"], "--jsom: there is no such flag; did you mean --json?"),
        (["run", "a.png", "--code=nonsense"], "--code=nonsense: name a file"),
    ],
)
def test_mistakes_on_the_command_line(arguments, message):
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        parse(*arguments)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((12, 14, 2), "images of 2 channels, 12x14x2"), ((8, 8, 8, 1), "volumes, 8x8x8x1")],
)
def test_models_of_what_no_file_holds(shape, kind):
    with pytest.raises(UserError, match=f"run: its model takes {kind}, which no image file is"):
        predict_files(made_up([0.0, 1.0], shape), ["a.png"], run="run")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"image_shape": [12, 14]}, "image_shape is none of images"),
        ({"image_shape": [12, 14, -3]}, "image_shape is none of images"),
        ({"image_shape": [10**9, 10**9, 3]}, "image_shape is none of images"),
        ({"image_shape": "12x14"}, "image_shape is none of images"),
        ({"num_classes": 0}, "num_classes or labels_per_image is no number"),
        ({"labels_per_image": True}, "num_classes or labels_per_image is no number"),
        ({"class_names": ["bird"]}, "class_names are no names of its classes"),
        ({"class_names": ["a", "b", "\x1b[2J"]}, "class_names are no names of its classes"),
        ({"code": "import os"}, "it has not the fields image_shape, num_classes"),
    ],
)
def test_a_signature_may_come_from_a_stranger(run, tmp_path, changes, fault):
    directory = RunDirectory(shutil.copytree(run[0], tmp_path / "run"))
    file = directory.path / "signature.json"
    stored = json.loads(file.read_text())
    assert signature.from_json(stored) == directory.read_signature()
    file.write_text(json.dumps(stored | changes))
    with pytest.raises(UserError, match=r"signature\.json: it is not the signature") as caught:
        inference.load_model(directory.path)
    assert fault in str(caught.value)


def test_a_run_that_is_older_than_signatures_needs_its_images(run, tmp_path):
    folder = shutil.copytree(run[0], tmp_path / "run")
    (folder / "signature.json").unlink()
    with pytest.raises(UserError, match=r"dataset\.name=folder:.*there is no"):
        inference.load_model(folder)


def test_a_folder_without_a_checkpoint(run, tmp_path):
    folder = shutil.copytree(run[0], tmp_path / "run")
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(UserError, match="has no checkpoint yet"):
        inference.load_model(folder)
