"""Guards around a start of a run: a claim on its folder, and words for too little memory."""

import contextlib
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from common.errors import UserError, first_line
from training.experiment import Experiment
from training.run.directory import RunDirectory


@contextlib.contextmanager
def claim_for_all(directory: RunDirectory, name: str, experiment: Experiment) -> Iterator[None]:
    """Claims a run's folder on process 0, which alone writes into it.

    Raises:
        UserError: on every process, if process 0 cannot have it; else the others would wait for it.
    """
    with contextlib.ExitStack() as stack:
        fault = None
        if jax.process_index() == 0:
            try:
                stack.enter_context(directory.claim(name, experiment))
            except UserError as error:
                fault = error
        if jax.process_count() > 1:
            claimed = multihost_utils.broadcast_one_to_all(np.array(fault is None))
            if not claimed and fault is None:
                fault = UserError(f"--workdir={directory.path}: process 0 cannot have the folder")
        if fault is not None:
            raise fault
        yield


@contextlib.contextmanager
def within_memory(experiment: Experiment) -> Iterator[None]:
    """Turns the error of a device without enough memory into one line; checkpoints stay."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(
            f"batch_size={experiment.batch_size}, evaluation_batch_size="
            f"{experiment.evaluation_batch_size}: too large for the memory of this machine "
            f"({first_line(error)[:200]}); take less, or a smaller model"
        ) from error
