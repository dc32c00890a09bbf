"""Cost of a model on this machine: size, arithmetic, compile time, speed and memory."""

import contextlib
from typing import Any

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from training.clock import Stopwatch, per_second
from training.setup import Setup
from training.step import TrainState

# A measurement lasts about this long, after one call that does not count.
_SECONDS = 2.0
# It ends here too, however long a clock stands still.
_MAX_CALLS = 10_000


def measure(setup: Setup, state: TrainState, batch_size: int) -> dict[str, float]:
    """Measures one model.

    Args:
        setup: Its program and data.
        state: A state of it; stays as it is.
        batch_size: Images per call for inference; training takes the experiment's.

    Returns:
        "parameters"; "training FLOPs" and "inference FLOPs" for each image, of the programs that
        XLA compiled for this machine (a fast algorithm for convolutions counts fewer than the
        textbook's); "training compile s" and "inference compile s", without any cache;
        "training images/s" and "inference images/s"; and "training MB" and "inference MB", the
        memory that XLA plans for arguments (the training images among them), results and
        temporaries. A speed is missing where the clock did not move.
    """
    variables = (state.evaluated_params, state.other)
    size = setup.experiment.batch_size
    images = np.zeros((batch_size, *setup.dataset.image_shape), np.float32)
    split = setup.training_split()
    found: dict[str, float] = {"parameters": state.num_parameters}
    train, found["training compile s"] = _compile(
        setup.program.train_steps, state, split, np.int32(1), donate_argnums=0
    )
    predict, found["inference compile s"] = _compile(
        lambda *given: setup.program.outputs(*given, ("logits",))["logits"], *variables, images
    )
    for name, compiled, count in (("training", train, size), ("inference", predict, batch_size)):
        found[f"{name} FLOPs"] = compiled.cost_analysis()["flops"] / count
        found[f"{name} MB"] = _planned_bytes(compiled.memory_analysis()) / 1e6
    speeds = {
        "inference": per_second(batch_size, _seconds_a_call(lambda: predict(*variables, images))),
        "training": per_second(size, _seconds_a_step(setup, state, train, split)),
    }
    return found | {
        f"{name} images/s": speed for name, speed in speeds.items() if speed is not None
    }


def _compile(function, *arguments, donate_argnums=()) -> tuple[Any, float]:
    """Compiles anew, under a new name, for a program that JAX remembers would take no time."""
    lowered = jax.jit(lambda *given: function(*given), donate_argnums=donate_argnums).lower(
        *arguments
    )
    with _without_cache():
        watch = Stopwatch()
        compiled = lowered.compile()
        return compiled, watch.seconds


def _planned_bytes(plan) -> int:
    """Bytes of a program; a donated state is an argument and a result in the same place."""
    whole = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
    return whole - plan.alias_size_in_bytes


@contextlib.contextmanager
def _without_cache():
    """Disables JAX's cache, whose setting JAX reads once, so that it has to be reset too."""
    enabled = jax.config.values["jax_enable_compilation_cache"]
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", enabled)
        compilation_cache.reset_cache()


def _seconds_a_call(call) -> float:
    jax.block_until_ready(call())
    watch, calls = Stopwatch(), 0
    while calls == 0 or (watch.seconds < _SECONDS and calls < _MAX_CALLS):
        jax.block_until_ready(call())
        calls += 1
    return watch.seconds / calls


def _seconds_a_step(setup: Setup, state: TrainState, train, split) -> float:
    """Times steps in one dispatch, as in training; the state is copied, for training donates it."""
    state, count = jax.tree.map(lambda leaf: leaf.copy(), state), 1
    while True:
        watch = Stopwatch()
        state, _ = jax.block_until_ready(train(state, split, np.int32(count)))
        seconds = watch.seconds
        if (seconds > _SECONDS and count > 1) or count == setup.program.block_size:
            return seconds / count
        count = min(4 * count, setup.program.block_size)
