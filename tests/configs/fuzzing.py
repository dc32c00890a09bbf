"""Values that nobody means, for every field of every configuration, and what becomes of them."""

import json

import jax
import numpy as np
from jax.sharding import AxisType

import configs
from configs import _overrides
from data import slicing
from data.batches import DeviceSplit
from data.errors import UserError
from data.memory import check_fits
from data.opening import check_name
from data.sources import Split
from training import setup
from training.config_types import to_json

NONSENSE = {
    int: ("-1", "0", "1", "65537", "3000000000", "1000000000000", "1" + "0" * 30, "nan", "", "x"),
    float: ("-1.0", "0.0", "nan", "inf", "-inf", "1e30", "1e-30", "1e300", "", "x"),
    bool: ("maybe", "", "2", "none"),
    str: ("", "nonsense", "../../x", "x" * 3000, "a\nb"),
    tuple: ("()", "(0,)", "(-1,)", "(nan,)", "(x,)", "(70000,)", f"({'1,' * 200})", "((1,),)"),
    type(None): ("none", "1", "x"),
}
# Height, width and channels, and the numbers of training and test images.
STORED = {
    "mnist": ((28, 28, 1), 60_000, 10_000),
    "svhn_cropped": ((32, 32, 3), 73_257, 26_032),
    "caltech_birds2011": ((32, 32, 3), 5994, 5794),
}
FACES = (48, 48, 2)
# Arguments that give a configuration fields, or kinds of fields, that it has not by itself.
NAMES = (
    *configs.names(),
    "augmentation:cnn,all",
    "mnist:cnn_decoder",
    "faces:bag_of_parts",
    "stn_mnist:p,fcn",
    "stn_mnist:e,st_cnn_iterated",
    "stn_mnist:tc,cnn",
)


def commands():
    """All (configuration, path, text), those that mean the same of two configurations once."""
    met = set()
    for name in NAMES:
        experiment = configs.load(name)
        for path, value in _overrides.leaves(experiment).items():
            holders, holder = [], experiment
            for part in path.split("."):
                holders.append(type(holder))
                holder = getattr(holder, part)
            for text in NONSENSE[type(value)]:
                case = (*holders, path, text)
                if case not in met:
                    met.add(case)
                    yield name, path, text


def outcome(name, path, text, met):
    """What a command comes to, but for the numbers: "" if a step can be taken, else one line.

    Args:
        name: Of the configuration.
        path: Of the field.
        text: Its value.
        met: Programs that were seen to take a step, so that none is traced twice.
    """
    try:
        _, experiment = configs.parse_flags(
            ["train.py", "--config", name, f"--config.{path}={text}"]
        )
        for suite in experiment.suites:
            setup.suites.load(suite)
        experiment.check()
        parts = (experiment.model, experiment.dataset, experiment.batch_size)
        program = json.dumps(to_json(parts))
        if program in met:
            return ""
        made = setup.prepare(experiment, None)
        made.check_batch_size()
        train = made.dataset.train
        split = DeviceSplit(
            jax.ShapeDtypeStruct(train.images.shape, np.uint8),
            jax.ShapeDtypeStruct(train.labels.shape, np.int32),
        )
        state, history = jax.eval_shape(
            made.program.train_steps, made.abstract_state(), split, np.int32(2)
        )
        assert {"loss", "accuracy", "gradient_norm"} <= set(history)
        met.add(program)
    except UserError as error:
        return str(error)
    return ""


def install(patch):
    """Puts blank images in the place of those that are read or painted, which takes long."""
    patch.setattr("data.sources.open_source", _open_blank)
    patch.setattr("data.generated.paint_split", _paint_blank)
    patch.setattr("data.colocalisation.paint_split", _paint_blank)
    patch.setattr("data.faces.in_chunks", _blank_chunks)
    patch.setattr("data.photographed_faces.in_chunks", _blank_chunks)
    patch.setattr("data.photographs.read_photographs", _blank_photographs)
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
    patch.setattr(setup, "make_mesh", lambda: mesh)


def _open_blank(name, folder, size):
    check_name(name)
    if name not in STORED:
        raise UserError(f"dataset.name={name!r}: there is no such dataset")
    shape, train, test = STORED[name]
    if size:
        shape = (size, size, shape[2])
    sizes = {"train": train, "test": test}

    def read(spec):
        count = slicing.count(slicing.resolve(spec, sizes))
        check_fits((count, *shape), f"dataset.size={size}")
        return np.zeros((count, *shape), np.uint8), np.arange(count, dtype=np.int32) % 10

    return slicing.Source(10, lambda _: sizes, read)


def _blank(count, shapes):
    return jax.tree.map(lambda leaf: np.zeros((count, *leaf.shape[1:]), leaf.dtype), shapes)


def _paint_blank(generate, split, key, *, chunk=500):
    stored = DeviceSplit(split.images, split.labels)
    images, _, poses = _blank(
        len(split), jax.eval_shape(generate, key, stored, np.zeros(chunk, np.int32))
    )
    return Split(images.astype(np.uint8), split.labels, poses)


def _blank_chunks(function, *arrays):
    chunk = [array[: min(500, len(array))] for array in arrays]
    return _blank(len(arrays[0]), jax.eval_shape(function, *chunk))


def _blank_photographs(name, data_dir, *, most):
    return [np.zeros((count or 9000, *FACES), np.uint8) for count in most]
