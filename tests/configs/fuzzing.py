"""Values that nobody means, for every field of every configuration, and what becomes of them."""

import functools
import json

import jax
import numpy as np
from flax import nnx
from jax.sharding import AxisType

import configs
from common.errors import UserError, first_line
from configs import _overrides
from data.batches import DeviceSplit
from data.dataset import Split
from data.memory import check_fits
from data.sources import slicing
from data.sources.opening import check_name
from evaluation import suites
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
# Fields that no program of a step depends on, but by a number, and values like no others.
OUTSIDE = ("seed", "name", "train", "validation", "test", "train_images", "validation_images")
OUTSIDE += ("test_images", "phase_stride", "milestones", "suites", "split_seed")
SMALL = ("1e-30", "1e30")
# Values that may be meant, and that another field may not go with.
SENSIBLE = ("1", "65537")
# What takes long to trace, at a size that does not.
SMALLER = {
    "stn_cub": ("--config.dataset.size=64", "--config.model.crop=32", "--config.model.widths=4,8"),
    "stn_extruded": ("--config.dataset.canvas=32",),
    "stn_colocalisation": ("--config.dataset.images=3",),
    **dict.fromkeys(
        ("matrix_capsnet", "variational_capsnet"), ("--config.model.routing.iterations=2",)
    ),
    # Pairs to test are rendered when they are read.
    "multimnist": (
        "--config.dataset.source.validation=train[59000:]",
        "--config.dataset.source.test=test[:1000]",
    ),
}
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
            holder = functools.reduce(getattr, path.split(".")[:-1], experiment)
            if (type(holder), path) not in met:
                met.add((type(holder), path))
                yield from ((name, path, text) for text in NONSENSE[type(value)])


def outcome(name, path, text, met):
    """What a command comes to, but for the numbers: "" if a step can be taken, else one line.

    Args:
        name: Of the configuration.
        path: Of the field.
        text: Its value.
        met: Programs that were seen to take a step, so that none is traced twice; changed.
    """
    arguments = ["train.py", "--config", name, *SMALLER.get(name, ()), f"--config.{path}={text}"]
    try:
        experiment = configs.parse_flags(arguments).experiment
        for suite in experiment.suites:
            suites.load(suite)
        experiment.check()
        fits = [experiment.model, experiment.dataset, experiment.batch_size]
        program = json.dumps([*map(to_json, fits), getattr(experiment.optimizer, "slow_part", "")])
        if program in met:
            return ""
        met.add(program)
        made = setup.prepare(experiment, None)
        made.check_batch_size()
    except UserError as error:
        return str(error)
    field = path.rpartition(".")[2]
    if field in OUTSIDE or text in SMALL:
        return ""
    try:
        _trace(experiment, made.dataset, met)
    except ValueError as error:  # as the loop says it, which compiles the same functions
        return first_line(error)
    return ""


def _trace(experiment, dataset, met):
    """Renders a batch and takes its loss, in shapes alone."""
    train = dataset.train
    split = DeviceSplit(
        jax.ShapeDtypeStruct(train.images.shape, np.uint8),
        jax.ShapeDtypeStruct(train.labels.shape, np.int32),
    )
    batch = jax.eval_shape(
        experiment.dataset.generate, jax.random.key(0), split, np.arange(experiment.batch_size)
    )
    known = json.dumps([to_json(experiment.model), str(batch)])
    if known not in met:
        met.add(known)

        def loss(batch):
            model = experiment.model.build(dataset.image_shape, dataset.num_classes, nnx.Rngs(0))
            return model.loss(batch)

        value, metrics = nnx.eval_shape(loss, batch)
        assert value.shape == metrics["accuracy"].shape == ()


def install(patch):
    """Puts blank images in the place of those that are read or rendered, which takes long."""
    patch.setattr("data.sources.load.open_source", _open_blank)
    patch.setattr("data.tasks.rendering.render_split", _render_blank)
    patch.setattr("data.tasks.colocalisation.render_split", _render_blank)
    patch.setattr("data.tasks.fixed.render_split", _render_blank)
    patch.setattr("data.tasks.multimnist.render_chosen", _render_chosen_blank)
    patch.setattr("data.tasks.viewpoints.render", _render_blank_views)
    patch.setattr("data.faces.tasks.in_chunks", _blank_chunks)
    patch.setattr("data.faces.photographed.in_chunks", _blank_chunks)
    patch.setattr("data.faces.photographs.read_photographs", _blank_photographs)
    for kind in {type(configs.load(name).dataset) for name in NAMES}:
        patch.setattr(kind, "load", _remembering(kind.load))
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
    patch.setattr(setup, "make_mesh", lambda: mesh)
    patch.setattr(setup, "make_program", _made_once(setup.make_program))


def _remembering(load):
    """Loads the same dataset once."""
    loaded = {}

    def load_once(config, data_dir):
        key = json.dumps(to_json(config))
        if key not in loaded:
            loaded[key] = load(config, data_dir)
        return loaded[key]

    return load_once


def _made_once(make_program):
    """Builds the same model for the same images once, whatever the images show."""
    made = set()

    def make_once(experiment, image_shape, num_classes, mesh, *, windowed):
        parts = [to_json(experiment.model), getattr(experiment.optimizer, "slow_part", "")]
        key = json.dumps([*parts, image_shape, num_classes, windowed])
        if key not in made:
            make_program(experiment, image_shape, num_classes, mesh, windowed=windowed)
            made.add(key)

    return make_once


def _open_blank(name, folder, size, **of_own_images):
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


def _render_blank(generate, split, key, *, chunk=500):
    stored = DeviceSplit(split.images, split.labels)
    images, _, poses = _blank(
        len(split), jax.eval_shape(generate, key, stored, np.zeros(chunk, np.int32))
    )
    return Split(images.astype(np.uint8), split.labels, poses)


def _render_chosen_blank(render, split, key, chosen):
    stored = DeviceSplit(split.images, split.labels)
    return _blank(len(chosen), jax.eval_shape(render, key, stored, chosen))


def _render_blank_views(toys, views, size, count):
    return np.zeros((len(views.toy), size, size, count), np.uint8)


def _blank_chunks(function, *arrays):
    chunk = [array[: min(500, len(array))] for array in arrays]
    return _blank(len(arrays[0]), jax.eval_shape(function, *chunk))


def _blank_photographs(name, data_dir, *, most):
    return [np.zeros((count or 9000, *FACES), np.uint8) for count in most]
