"""Initial weights of a run from those of another, as far as they fit."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from common.errors import UserError
from training.run.directory import Configurations
from training.run.finding import locate
from training.run.weights import name_of
from training.step import TrainState
from training.trained import read_run

# Of names in a line, where many arrays do not fit.
_MOST = 8


Origin = dict[str, Any]
"""Where initial weights are from, for the record: "run", as it was named, "name" of its
configuration, "step", "taken", a number of arrays, and "new", the names of those not taken."""


def describe_origin(origin: Origin) -> str:
    """Says what was taken from a run and what was not."""
    new, taken = origin["new"], origin["taken"]
    line = (
        f"starts from the weights of {origin['run']} ({origin['name']}) at step "
        f"{origin['step']:,}: {taken} of {taken + len(new)} arrays"
    )
    if not new:
        return line
    more = f" and {len(new) - _MOST} more" if len(new) > _MOST else ""
    return f"{line}; new, for there are none of their shapes: {', '.join(new[:_MOST])}{more}"


def from_run(
    state: TrainState,
    word: str,
    *,
    data_dir: str | None = None,
    configurations: Configurations | None = None,
) -> tuple[TrainState, Origin]:
    """Puts the weights of a run in the place of random ones.

    Taken are the parameters that evaluations of that run use (the moving average if it has one), at
    its last step, and the running averages of its batch normalisation, each where this model has an
    array of that name and shape; all others stay as they are.

    Args:
        state: At step 0.
        word: The run's or export's folder, as the user typed it.
        data_dir: See `training.trained.read_run`.
        configurations: See there.

    Returns:
        A state at step 0 with a new optimizer, and where its weights are from.

    Raises:
        UserError: if there is no such run, or none of its parameters fits.
    """
    flag = f"--init_from={word}"
    try:
        run = read_run(
            locate(word, "--init_from"), data_dir=data_dir, configurations=configurations
        )
    except UserError as error:
        raise UserError(f"{flag}: {error}") from error
    params, taken, new = transfer(run.state.evaluated_params, state.params)
    if not taken:
        raise UserError(
            f"{flag}: no array of its parameters has a name and shape of this model's, which are "
            f"{_shapes(state.params)}; its own are {_shapes(run.state.params)}"
        )
    averages, *_ = transfer(
        nnx.filter_state(run.state.other, nnx.BatchStat),
        nnx.filter_state(state.other, nnx.BatchStat),
    )
    found = state._replace(
        params=params,
        other=nnx.merge_state(state.other, averages),
        # Another copy, for training gives the memory of both away.
        average=None if state.average is None else jax.tree.map(jnp.copy, params),
    )
    origin = {"run": word, "name": run.name, "step": run.step, "taken": len(taken), "new": new}
    return found, origin


def transfer(source: Any, target: Any) -> tuple[Any, list[str], list[str]]:
    """Puts arrays of one pytree into another, where names and shapes are the same.

    Args:
        source: Where they are from.
        target: What they go into; types and shardings stay its own.

    Returns:
        The new tree, and the names of the arrays of `target` that were taken over, and of those
        that were not.
    """
    there: Mapping[str, Any] = {name_of(path): leaf for path, leaf in _leaves(source)}
    names: dict[bool, list[str]] = {True: [], False: []}

    def chosen(path, leaf):
        found = there.get(name_of(path))
        if found is None or found.shape != leaf.shape:
            names[False].append(name_of(path))
            return leaf
        names[True].append(name_of(path))
        return jax.device_put(found.astype(leaf.dtype), leaf.sharding)

    return jax.tree.map_with_path(chosen, target), names[True], names[False]


def _leaves(tree: Any) -> list[tuple[Any, Any]]:
    return jax.tree.leaves_with_path(tree)


def _shapes(params: Any) -> str:
    """Names and shapes of the first arrays."""
    first = [f"{name_of(path)} {list(leaf.shape)}" for path, leaf in _leaves(params)[:3]]
    return ", ".join(first) + ", ..." * (len(_leaves(params)) > len(first))
