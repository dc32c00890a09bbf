"""Exports: what is loaded without this project is what the network is."""

import dataclasses
import json
import os
import subprocess
import sys

import jax
import numpy as np
import PIL.Image
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

import configs
from cnn.output import fields_of, in_mode
from common.errors import UserError
from inference.export import check_folder, export_run
from inference.forward import PLATFORMS, forward, lower, named_weights, trained_network
from inference.restore import restore_run
from tests import pages
from tests.conftest import ROOT
from tests.test_commands import assert_one_line
from tests.test_modes import EXPORTED, NETWORKS, filled
from training import loop

# What no program that loads an export has.
FOREIGN = ("flax", "optax", "orbax", "capsnet", "cnn", "stn", "common", "inference", "training")
ALONE = f"""
import pathlib, sys

class Refuse:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in {FOREIGN}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
import jax, numpy

for folder in sorted(pathlib.Path("exports").iterdir()):
    forward = jax.export.deserialize(bytearray((folder / "forward.stablehlo").read_bytes()))
    assert forward.nr_devices == 1
    run = jax.jit(forward.call)
    numpy.savez(folder / "outputs.npz", **run(numpy.load(folder / "images.npy")))
try:
    import flax
except ModuleNotFoundError:
    print("alone")
"""


def network_of(name):
    """A network of random variables, and three images."""
    config, shape = NETWORKS[name]
    abstract = nnx.eval_shape(lambda: config.build(shape, 10, nnx.Rngs(0)))
    graph, state = nnx.split(abstract)
    random = np.random.default_rng(1)
    network = nnx.merge(graph, jax.tree.map(lambda leaf: filled(leaf, random), state))
    return network, random.uniform(size=(3, *shape)).astype(np.float32)


def expected_of(network, images):
    """The fields of its output that the network itself has for images."""
    evaluated = in_mode(network, training=False)
    graph, state = nnx.split(evaluated)
    run = jax.jit(lambda state, images: fields_of(nnx.merge(graph, state)(images)))
    return {name: jax.device_get(each) for name, each in run(state, images).items()}


def run_alone(folder):
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE],
        cwd=folder,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == "alone\n", done.stderr


@pytest.fixture(scope="module")
def families(request, tmp_path_factory):
    """What each network has for images, and what its program had in another process."""
    folder = tmp_path_factory.mktemp("families")
    cases = [item for item in request.session.items if "families" in item.fixturenames]
    networks = {}
    for name in (case.callspec.id for case in cases):
        network, images = network_of(name)
        place = folder / "exports" / name
        place.mkdir(parents=True)
        lowered = lower(forward(network), images.shape[1:])
        assert lowered.platforms == PLATFORMS
        (place / "forward.stablehlo").write_bytes(lowered.serialize())
        np.save(place / "images.npy", images)
        networks[name] = expected_of(network, images)
    run_alone(folder)
    return {
        name: (expected, dict(np.load(folder / "exports" / name / "outputs.npz")))
        for name, expected in networks.items()
    }


def close(found, expected):
    assert found.dtype == np.float32
    expected = np.asarray(expected, np.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", EXPORTED)
def test_a_program_computes_elsewhere_what_the_network_does_here(families, name):
    expected, found = families[name]
    assert np.ptp(found["logits"], axis=0).max() > 1e-4  # the images differ, and are seen
    shifted = expected["logits"] - expected["logits"].max(axis=-1, keepdims=True)
    softmax = np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)
    close(found.pop("probabilities"), expected.pop("probabilities", softmax))
    if "warp" in expected:
        close(found.pop("warped_images"), expected["warp"].images)
        close(found.pop("grids"), expected["warp"].grids)
    for field in found:
        close(found[field], expected[field])
    left_out = {"couplings", "vote_logits", "class_reconstructions", "warp"}
    assert expected.keys() - found.keys() <= left_out
    assert "logits" in found


def test_a_network_that_asks_for_the_number_of_images_is_named():
    with pytest.raises(UserError, match="cannot be lowered for any number of images"):
        lower(lambda images: {"logits": images if len(images) > 2 else -images}, (2, 2, 1))


def test_weights_come_back_bit_by_bit(tmp_path):
    network, _ = network_of("variational capsules")  # which has batch statistics
    before = named_weights(network)
    assert {type(leaf) for leaf in before.values()} == {np.ndarray}
    save_file(before, tmp_path / "weights.safetensors")
    after = load_file(tmp_path / "weights.safetensors")
    assert list(after) == list(before)
    other, _ = network_of("variational capsules")
    state = nnx.state(other, nnx.Not(nnx.RngState))
    for path, variable in nnx.to_flat_state(state):
        loaded, own = after[".".join(map(str, path))], np.asarray(variable.get_value())
        assert loaded.dtype == own.dtype
        np.testing.assert_array_equal(loaded, own)
        variable.set_value(np.zeros_like(own))
    assert any("mean" in name for name in after)


OWN = """
import dataclasses
import cnn
from data.sources.load import DatasetConfig
from training.experiment import Experiment

@dataclasses.dataclass
class Own(cnn.ConvolutionalNetworkConfig):
    pass

def get_config(folder):
    return Experiment(
        model=Own((2,), 3, "SAME", ("max2",), (3,)),
        dataset=DatasetConfig(name=f"folder:{folder}"),
        steps=3,
        batch_size=8,
        validate_every=3,
        ema_decay=0.5,
    )
"""


@pytest.fixture(scope="module")
def own_run(tmp_path_factory):
    """A run of a user's own file, on a user's own images: the file and the run's folder."""
    folder = tmp_path_factory.mktemp("own")
    random = np.random.default_rng(0)
    for name in ("Käfer", "a|b"):
        (folder / "beetles" / name).mkdir(parents=True)
        for k in range(20):
            levels = random.integers(0, 256, (8, 8), np.uint8)
            PIL.Image.fromarray(levels).save(folder / "beetles" / name / f"{k}.png")
    code = folder / "own.py"
    code.write_text(OWN)
    name = f"own.py:{folder / 'beetles'}"
    loop.run(configs.load(name, [str(code)]), name=name, workdir=str(folder / "run"))
    return code, folder / "run"


def test_a_run_is_exported_by_a_command(command, own_run, tmp_path):
    code, run = own_run
    out = tmp_path / "out"
    assert_one_line(command("export.py", run, out), "add --code path/to/own.py")
    assert not out.exists()
    arguments = ["export.py", run, out, "--code", code]
    lines = command(*arguments, check=True).stdout.splitlines()
    names = ["weights.safetensors", "README.md", "record.json", "forward.stablehlo", "config.json"]
    assert lines[-5:] == [f"wrote {out / name}" for name in names]
    assert sorted(file.name for file in out.iterdir()) == sorted(names)

    config = json.loads((out / "config.json").read_text())
    signature = config["signature"]
    assert (config["step"], signature["image_shape"], signature["num_classes"]) == (3, [8, 8, 1], 2)
    assert signature["class_names"] == ["Käfer", "a|b"]
    assert config["outputs"]["logits"] == ["batch", 2]
    restored = restore_run(run, configurations=lambda name: configs.load(name, [str(code)]))
    assert config["weights"] == restored.weights
    card = (out / "README.md").read_text()
    (result,) = json.loads((run / "record.json").read_text())["results"]
    assert f"{100 * result['value']:.2f} %" in card
    low, high = result["interval"]
    assert f"{100 * low:.2f} to {100 * high:.2f} %" in card
    for text in ("Käfer", r"a\|b", "3 of 3", "decay 0.5", "[batch, 8, 8, 1]", "six months"):
        assert text in card

    # The averages that evaluations use, and not the last step's parameters.
    weights = load_file(out / "weights.safetensors")
    ours = named_weights(trained_network(restored))
    assert weights.keys() == ours.keys()
    for name, each in weights.items():
        np.testing.assert_array_equal(each, ours[name])
    program = jax.export.deserialize(bytearray((out / "forward.stablehlo").read_bytes()))
    images = np.random.default_rng(0).uniform(size=(5, 8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(
        program.call(images)["logits"], restored.predictor(images), rtol=1e-5, atol=1e-6
    )

    # With the guide's own lines, for a smaller network.
    text = "\n".join(pages.python_blocks(ROOT / "docs" / "guides" / "export.md"))
    text = text.replace("exported/capsnet", str(out))
    text = text.replace("capsnet.paper().build((28, 28, 1), 10", "config.build((8, 8, 1), 2")
    loaded = {"images": images, "config": restored.setup.experiment.model}
    exec(text, loaded)
    found = in_mode(loaded["network"], training=False)(images).logits
    np.testing.assert_allclose(found, loaded["outputs"]["logits"], rtol=1e-5, atol=1e-6)

    command(*arguments, "--checkpoint=best", check=True)  # in place of the earlier export
    assert sorted(file.name for file in out.iterdir()) == sorted(names)
    command(*arguments, "--weights_only", check=True)
    assert sorted(file.name for file in out.iterdir()) == sorted({*names} - {"forward.stablehlo"})
    assert "forward" not in (out / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["run"], "arguments are required: out"),
        (["nothing", "out"], "nothing holds no run"),
        (["run", "out", "--chekpoint=best"], "unrecognized arguments: --chekpoint=best"),
        (["run", "out", "--checkpoint=first"], "invalid choice: 'first'"),
        (["run", "out", "--code=own"], "--code=own: name a file"),
        (["run", "file"], "is not a folder"),
        (["run", "run"], "holds files but no earlier export"),
        (["run", ""], "OUT= is empty"),
    ],
)
def test_mistakes_end_in_one_line(command, own_run, tmp_path, arguments, fragment):
    (tmp_path / "file").touch()
    places = {"run": own_run[1], "nothing": tmp_path / "nothing", "out": tmp_path / "out"}
    places["file"] = tmp_path / "file"
    asked = [places.get(word, word) for word in arguments]
    assert_one_line(command("export.py", *asked), fragment)
    assert not (tmp_path / "out").exists()


def test_a_card_says_what_was_not_measured(own_run, tmp_path):
    code, run = own_run
    restored = restore_run(run, configurations=lambda name: configs.load(name, [str(code)]))
    record = json.loads((run / "record.json").read_text())
    export_run(restored, None, tmp_path)
    assert "nothing was measured on its test images" in (tmp_path / "README.md").read_text()
    export_run(dataclasses.replace(restored, step=2), record, check_folder(str(tmp_path)))
    card = (tmp_path / "README.md").read_text()
    assert "These weights, of step 2, were not measured on test images; those of step 3" in card


def test_nothing_is_replaced_unless_all_can_be_written(own_run, tmp_path):
    code, run = own_run
    restored = restore_run(run, configurations=lambda name: configs.load(name, [str(code)]))
    export_run(restored, None, tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    (tmp_path / "README.md.partial").mkdir()  # which cannot be written as a file
    with pytest.raises(UserError, match=r"README\.md cannot be written \(Is a directory\)"):
        export_run(dataclasses.replace(restored, name="another"), None, tmp_path)
    assert {file: file.read_bytes() for file in before} == before


def test_weights_of_another_export_are_refused(own_run, tmp_path):
    code, run = own_run
    restored = restore_run(run, configurations=lambda name: configs.load(name, [str(code)]))
    export_run(restored, None, tmp_path, program=False)
    config = json.loads((tmp_path / "config.json").read_text())
    assert sorted(config["sha256"]) == ["weights.safetensors"]

    def read():
        return restore_run(tmp_path, configurations=lambda name: configs.load(name, [str(code)]))

    assert read().weights == restored.weights
    weights = load_file(tmp_path / "weights.safetensors")
    save_file({name: each + 1 for name, each in weights.items()}, tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match=r"weights\.safetensors is damaged or not the one"):
        read()
    del config["sha256"]  # as exports were before there were checksums
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read().weights != restored.weights
    for wrong in ([], {}, {"weights.safetensors": 3}):
        (tmp_path / "config.json").write_text(json.dumps({**config, "sha256": wrong}))
        with pytest.raises(UserError, match="is damaged or not the one that was exported"):
            read()
