"""Experiments of files and modules outside of this project, and what is said of faulty ones."""

import json
import os
import sys

import pytest

import configs
from common.errors import UserError
from configs import _evaluation, _outside
from inference.restore import restore_run
from tests.configs.test_command_line import parsed
from training.experiment import to_json
from training.run.directory import RunDirectory

# A distortion of the user's own in an experiment of the user's own, with a module beside it.
EXPERIMENT = """
'''Digits that are mirrored.'''

import dataclasses

from beside_{0} import STEPS
from cnn import ConvolutionalNetworkConfig
from data.distortions import AffineDistortion
from data.sources.load import DatasetConfig
from training.experiment import Experiment


@dataclasses.dataclass
class Mirrored(AffineDistortion):
    mirrored: bool = True

    def __call__(self, key, images, canvas):
        return super().__call__(key, images[:, :, ::-1] if self.mirrored else images, canvas)


def get_config(rotation="0"):
    if not rotation.isdecimal():
        raise ValueError(f"{{rotation!r}} is no angle")
    dataset = DatasetConfig(distortion=Mirrored(rotation=float(rotation)))
    return Experiment(ConvolutionalNetworkConfig(), steps=STEPS, dataset=dataset)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a file of the user's own in a folder; everything that it adds is taken back."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(name="mirrored.py", text=None, folder="lab"):
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        (path.parent / f"beside_{folder}.py").write_text("STEPS = 7\n")
        path.write_text(EXPERIMENT.format(folder) if text is None else text)
        return path

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_file_is_an_experiment(own):
    path = own()
    for word, name, rotation in (
        (f"{path}", "mirrored.py", 0.0),
        (f"{path}:20", "mirrored.py:20", 20.0),
    ):
        chosen = parsed(f"--config={word}", "--config.dataset.distortion.mirrored=false")
        assert (chosen.name, chosen.code) == (name, str(path))
        assert (chosen.experiment.steps, chosen.documentation) == (7, "Digits that are mirrored.")
        distortion = chosen.experiment.dataset.distortion
        assert (distortion.rotation, distortion.mirrored) == (rotation, False)
    assert chosen.workdir == "runs/mirrored_20"
    assert chosen.ending(["a b", "c"]) == [
        f"{chosen.name}: in a b, c; next, for example:",
        f"python evaluate.py 'a b' c --code {path}",
        f"python predict.py 'a b' IMAGE --code {path}",
        f"python export.py 'a b' FOLDER --code {path}",
    ]


def test_a_module_of_the_working_directory_is_an_experiment(own, monkeypatch):
    path = own("mirrored.py", folder="laboratory")
    monkeypatch.chdir(path.parent.parent)
    monkeypatch.syspath_prepend(path.parent)  # of the module beside it
    chosen = parsed("--config=laboratory.mirrored:5")
    assert (chosen.name, chosen.code) == ("laboratory.mirrored:5", "laboratory.mirrored")
    assert chosen.workdir == "runs/laboratory.mirrored_5"
    assert to_json(chosen.experiment)["dataset"]["distortion"]["type"] == (
        "laboratory.mirrored.Mirrored"
    )


@pytest.mark.parametrize("word", ["configs/cnn_mnist.py", "configs.cnn_mnist"])
def test_a_path_or_module_of_this_project_is_its_name(word):
    chosen = parsed(f"--config={os.path.relpath(word) if '/' in word else word}")
    assert chosen.name == "cnn_mnist"
    assert chosen.code is None
    assert chosen.experiment == configs.load("cnn_mnist")


def requested(*arguments):
    _evaluation._GIVEN.unparse_flags()
    return configs.parse_evaluation(["evaluate.py", "run", *map(str, arguments)], "")


FAULTS = {
    "no experiment": ("x = 1", "it has no function get_config(), which returns an Experiment"),
    "another type": ("def get_config(): return {}", "get_config() returns dict; a training.Exp"),
    "syntax": ("x = 1\ndef (", "line 2: SyntaxError: invalid syntax"),
    "a name": ("\n\nx = y", "line 3: NameError: name 'y' is not defined"),
    "an import": ("import no_such_module", "line 1: ModuleNotFoundError: No module named"),
    "within": ("import json\ndef f(): json.loads('')\n\nf()", "line 2: JSONDecodeError: Expecting"),
    "an end": ("import sys\nsys.exit(3)", "line 2: SystemExit: 3"),
    "in the function": ("def get_config():\n    return 1 / 0", "line 2: ZeroDivisionError: div"),
    "no text": ("raise KeyError", "line 1: KeyError: KeyError"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_file_is_one_line(own, text, message):
    path = own(text=text)
    for _ in range(2):  # nothing of it stays behind
        with pytest.raises(UserError) as caught:
            parsed(f"--config={path}")
        assert str(caught.value).startswith(f"--config={path}: {message}")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("{0}/none.py", "there is no file {0}/none.py"),
        ("{0}/mirrored.py:x", "'x' is no angle"),
        ("{0}/mirrored.py:", "name an argument after the colon"),
        ("{0}/plain.py:x", "takes no argument; leave out :x"),
        ("no_package.module", "there is no module no_package.module in"),
        ("json.no_module", "there is no module json.no_module in"),
        ("os.path.join", "there is no module os.path.join in"),
        ("no_package.py.module", "there is no module no_package.py.module in"),
        ("{0}/" + "x" * 120 + ".py", "give the file a name of at most 100"),
    ],
)
def test_what_is_said_of_slips(own, word, message):
    folder = own().parent
    own("plain.py", "def get_config(): ...")
    own("x" * 120 + ".py")
    with pytest.raises(UserError) as caught:
        parsed(f"--config={word.format(folder)}")
    assert message.format(folder) in str(caught.value)
    assert str(caught.value).startswith("--config=")


def test_files_of_one_name_are_told_apart(own):
    parsed(f"--config={own()}")
    with pytest.raises(UserError, match=r"lab/mirrored\.py has the same name, and runs of both"):
        parsed(f"--config={own(folder='other')}")


def test_a_file_is_meant_where_it_is_there(own, monkeypatch):
    monkeypatch.chdir(own().parent)
    with pytest.raises(UserError, match=r"did you mean mirrored\.py\?; --config=list says"):
        parsed("--config=mirrored")
    with pytest.raises(UserError, match=r"^unexpected argument 'm.py:1'; write --config=m.py:1$"):
        parsed("m.py:1")


@pytest.fixture
def stored(own, tmp_path):
    """A run of the user's own file, as a machine has it that has not imported the file."""
    path = own()
    chosen = parsed(f"--config={path}:20", "--config.steps=9")
    del sys.modules[path.name]
    run = tmp_path / "run"
    (run / "checkpoints" / "1").mkdir(parents=True)
    content = {"name": chosen.name, "experiment": to_json(chosen.experiment)}
    (run / "config.json").write_text(json.dumps(content))
    return path, run


def test_a_run_is_found_again_by_what_the_user_names_only(stored, monkeypatch):
    path, run = stored
    monkeypatch.chdir(path.parent)  # where the file could be found
    with pytest.raises(UserError) as caught:
        restore_run(run, configurations=configs.load)
    assert str(caught.value).endswith(
        "dataset.distortion: 'mirrored.py.Mirrored' is no type of configuration that is known "
        "here: 'mirrored.py:20' is not of this project; add --code path/to/mirrored.py, if it is "
        "your own"
    )
    assert path.name not in sys.modules
    request = requested(f"--code={path}")
    name, experiment = RunDirectory(run).load(request.load)
    assert experiment.dataset.distortion.rotation == 20.0
    assert request.describe(name, experiment) == "mirrored.py:20 (steps=9)"
    assert configs.describe(name, experiment) == "mirrored.py:20"
    RunDirectory(run).check(name, parsed(f"--config={path}:20", "--config.steps=9").experiment)


@pytest.mark.parametrize("name", ["/tmp/mirrored.py", "{0}", "{0}:20", "lab.mirrored", "os.path"])
def test_a_stored_name_is_never_imported_as_a_path_or_module(stored, name, monkeypatch):
    path, run = stored
    monkeypatch.syspath_prepend(path.parents[1])
    content = json.loads((run / "config.json").read_text()) | {"name": name.format(path)}
    (run / "config.json").write_text(json.dumps(content))
    imported = set(sys.modules)
    for code in ((), ("json.decoder",)):
        with pytest.raises(UserError, match="is not of this project; add --code"):
            RunDirectory(run).load(lambda name, code=code: configs.load(name, code))
    assert {n for n in set(sys.modules) - imported if "mirrored" in n} == set()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("mirrored", "--code=mirrored: name a file, as in path/to/file.py, or package.module"),
        ("lab/mirrored.py:20", "--code=lab/mirrored.py:20: name a file"),
        ("lab/none.py", "--code=lab/none.py: there is no file"),
        ("lab/broken.py", "--code=lab/broken.py: line 1: NameError: name 'x' is not defined"),
    ],
)
def test_code_that_is_not_there(own, monkeypatch, code, message):
    monkeypatch.chdir(own("broken.py", "x").parent.parent)
    with pytest.raises(UserError) as caught:
        requested("--code", code)
    assert str(caught.value).startswith(message)


def test_folders_of_the_users_own_take_no_modules_place(own):
    own("json.py", "raise RuntimeError")
    own("data.py", "raise RuntimeError")
    parsed(f"--config={own()}")
    assert sys.path[-1] == str(own().parent)
    assert _outside.split("a:b.py:c.py:d") == ("a:b.py", "c.py:d")
