"""Weights without a run's other state: what an export keeps in place of checkpoints."""

import hashlib
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from safetensors import SafetensorError, safe_open

from common.errors import UserError, first_line
from common.stored import damaged, read_object
from training.run.directory import WEIGHTS
from training.step import TrainState

CHECKSUMS = "sha256"
"""The field of an export's config.json that holds checksums of its other files, by name."""


def name_of(path: tuple[Any, ...]) -> str:
    """The name of an array as its model's attributes have it, "hidden.kernel"."""
    # Below the keys of the state is the attribute of a variable that holds its array.
    return ".".join(str(key.key) for key in path if hasattr(key, "key"))


def read_weights(folder: pathlib.Path, like: TrainState) -> tuple[TrainState, int]:
    """The state of an export, and its step.

    Its optimizer is blank, as are random keys and their counters: it is there to be evaluated.

    Args:
        folder: Of the export.
        like: Shapes, types and shardings of the state of its network.

    Raises:
        UserError: if the file is damaged, not the one that was exported, or of another network.
    """
    config = read_object(folder / "config.json")
    file, step = folder / WEIGHTS, config.get("step")
    if type(step) is not int or step < 0:
        raise UserError(f"{folder / 'config.json'} has no step of its weights")
    _check_whole(file, config)
    try:
        with safe_open(file, framework="numpy") as stored:
            names = set(stored.keys())
            left = set(names)

            def filled(path, leaf):
                name = name_of(path)
                left.discard(name)
                if name not in names:
                    return _blank(leaf, name)
                return jax.device_put(_checked(stored, name, leaf), leaf.sharding)

            params, other = jax.tree.map_with_path(filled, (like.params, like.other))
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} is damaged ({first_line(error)}); export the run again") from error
    except ValueError as error:
        raise UserError(f"{file} is of another network: {error}") from error
    if left:
        raise UserError(f"{file} is of another network: it has {', '.join(sorted(left)[:3])} too")
    optimizer = jax.tree.map(_zeros, like.optimizer)
    average = None if like.average is None else params
    return TrainState(jnp.int32(step), params, other, optimizer, average), step


def _check_whole(file: pathlib.Path, config: dict[str, Any]) -> None:
    """Raises a `UserError` if a file is not the one that an export was written with.

    Args:
        file: Of the export.
        config: The export's, which has no checksums if it is older than they are.
    """
    checksums = config.get(CHECKSUMS)
    if checksums is None:
        return
    expected = checksums.get(file.name) if isinstance(checksums, dict) else checksums
    with damaged(file), file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != expected:
        raise UserError(
            f"{file} is damaged or not the one that was exported (its SHA-256 is {found[:16]}..., "
            f"by config.json {str(expected)[:16]}...); copy the folder anew or export the run again"
        )


def _checked(stored: Any, name: str, leaf: jax.ShapeDtypeStruct) -> Any:
    """An array of the file.

    Raises:
        ValueError: if it has another shape.
    """
    shape = tuple(stored.get_slice(name).get_shape())
    if shape != leaf.shape:
        raise ValueError(f"{name} has the shape {list(shape)} in place of {list(leaf.shape)}")
    return stored.get_tensor(name).astype(leaf.dtype)


def _blank(leaf: jax.ShapeDtypeStruct, name: str) -> Any:
    """A key or a counter of random numbers.

    Raises:
        ValueError: if the array is something else, which the file would have.
    """
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        raise ValueError(f"it has no {name}")
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.device_put(jax.random.split(jax.random.key(0), leaf.shape), leaf.sharding)
    return _zeros(leaf)


def _zeros(leaf: jax.ShapeDtypeStruct) -> jax.Array:
    return jnp.zeros(leaf.shape, leaf.dtype, device=leaf.sharding)
