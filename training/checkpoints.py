"""Checkpoints of a run: the newest two, the best on validation, and the first past each milestone.

Orbax writes in the background and renames a finished checkpoint into place, so a killed run leaves
no half-written one behind under a valid name. What a disk or a careless hand can do beyond that
is caught by a checksum of the state, stored beside it and compared on restoring.
"""

import pathlib
import shutil
import zlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from orbax.checkpoint import checkpoint_managers

from data.errors import UserError, first_line

VALIDATION_ACCURACY = "validation_accuracy"
_CHECKSUM = "crc32"


class Checkpoints:
    """The checkpoints in one folder.

    Args:
        folder: Created if missing.
        writing: Whether this run saves; an evaluation only reads.
        milestones: Validation accuracies whose first checkpoint is kept.
    """

    def __init__(
        self, folder: pathlib.Path, *, writing: bool = True, milestones: Sequence[float] = ()
    ):
        self.folder = folder
        self._policy = _WorthKeeping(milestones)
        self._options = ocp.CheckpointManagerOptions(
            preservation_policy=self._policy, create=writing
        )
        if writing and jax.process_index() == 0:
            # What a killed run had begun to write. Orbax would do this in a thread that outlives
            # the manager and complains when the process ends early.
            for unfinished in folder.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(unfinished)
        self._manager = self._open()

    def _open(self) -> ocp.CheckpointManager:
        manager = ocp.CheckpointManager(self.folder.absolute(), options=self._options)
        for step in manager.all_steps():
            score = _read_facts(manager, step).get(VALIDATION_ACCURACY)
            if score is not None:
                self._policy.scores[step] = score
        return manager

    def save(self, step: int, state: Any, facts: dict[str, Any]) -> None:
        """Starts to write a checkpoint.

        Args:
            step: Its name; a step that is there already is left as it is.
            state: A pytree of arrays.
            facts: What else there is to know of this step, ready for JSON; a `VALIDATION_ACCURACY`
                among them makes it a candidate for the best.
        """
        if step in self._manager.all_steps():
            return
        if VALIDATION_ACCURACY in facts:
            self._policy.scores[step] = facts[VALIDATION_ACCURACY]
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            facts=ocp.args.JsonSave({**facts, _CHECKSUM: checksum(state)}),
        )
        self._manager.save(step, args=items)

    def wait(self) -> None:
        """Blocks until everything that was saved is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, then lets go of the folder."""
        self._manager.close()

    def steps(self) -> list[int]:
        """The steps of all finished checkpoints, oldest first."""
        return sorted(self._manager.all_steps())

    def best_step(self) -> int:
        """The step of the best validation accuracy; the latest of equals.

        Raises:
            UserError: if no checkpoint was validated.
        """
        best = self._policy.best(self.steps())
        if best is None:
            raise UserError(f"{self.folder}: no checkpoint here was validated")
        return best

    def first_step_past(self, accuracy: float) -> int:
        """The first step kept whose validation accuracy was at least this, in [0, 1].

        Raises:
            UserError: if there is none.
        """
        step = self._policy.first_past(accuracy, self.steps())
        if step is None:
            raise UserError(
                f"{self.folder}: no checkpoint here reached {100 * accuracy:.2f} % on validation"
            )
        return step

    def restore(self, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
        """Reads one checkpoint.

        Args:
            step: One of `steps()`.
            like: The state's shapes, types and shardings.

        Returns:
            The state and the facts that it was saved with.

        Raises:
            UserError: if the checkpoint is damaged or of another model.
        """
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(like), facts=ocp.args.JsonRestore()
        )
        try:
            restored = self._manager.restore(step, args=items)
        except Exception as error:  # orbax and tensorstore raise many kinds for damaged files
            raise UserError(
                f"checkpoint {self.folder / str(step)} is damaged: {first_line(error)[:200]}"
            ) from error
        facts = restored["facts"]
        if checksum(restored["state"]) != facts.pop(_CHECKSUM):
            raise UserError(
                f"checkpoint {self.folder / str(step)} is damaged: its checksum does not match"
            )
        return restored["state"], facts

    def restore_latest(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """Reads the newest checkpoint that is whole, and sets damaged newer ones aside.

        Returns:
            The state and its facts, or None if there is no checkpoint yet.

        Raises:
            UserError: if there are checkpoints and all of them are damaged.
        """
        damaged = 0
        for step in reversed(self.steps()):
            try:
                return self.restore(step, like)
            except UserError as error:
                damaged += 1
                aside = self._set_aside(step)
                logging.warning("%s; moved to %s, trying the one before", error, aside)
        if damaged:
            raise UserError(
                f"all {damaged} checkpoints in {self.folder} were damaged and moved to "
                f"{self._aside}; start again with another --workdir"
            )
        return None

    @property
    def _aside(self) -> pathlib.Path:
        return self.folder.with_name(f"{self.folder.name}_damaged")

    def _set_aside(self, step: int) -> pathlib.Path:
        """Moves a damaged checkpoint out of the way, so that its step can be saved again."""
        self._manager.close()
        target = self._aside / str(step)
        if jax.process_index() == 0:
            self._aside.mkdir(exist_ok=True)
            if target.exists():
                shutil.rmtree(target)
            shutil.move(self.folder / str(step), target)
        self._manager = self._open()
        return target


class _WorthKeeping(checkpoint_managers.PreservationPolicy):
    """Keeps the newest two checkpoints, the one that validated best, and those of milestones."""

    def __init__(self, milestones: Sequence[float]):
        self.milestones = milestones
        self.scores: dict[int, float] = {}

    def first_past(self, accuracy: float, steps: Sequence[int]) -> int | None:
        """The first step that scored at least this, None without any."""
        return min(
            (step for step in steps if self.scores.get(step, -1.0) >= accuracy), default=None
        )

    def best(self, steps: Sequence[int]) -> int | None:
        """The step of the highest score; the latest of equals, None without any."""
        return max(
            (step for step in steps if step in self.scores),
            key=lambda step: (self.scores[step], step),
            default=None,
        )

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        """Says of each checkpoint, oldest first, whether it stays."""
        del context
        steps = [checkpoint.step for checkpoint in checkpoints]
        first = {self.first_past(accuracy, steps) for accuracy in self.milestones}
        kept = {*steps[-2:], self.best(steps), *first}
        return [step in kept for step in steps]


def _read_facts(manager: ocp.CheckpointManager, step: int) -> dict[str, Any]:
    """The facts of a step; none if they are damaged, which restoring it will report."""
    items = ocp.args.Composite(facts=ocp.args.JsonRestore())
    try:
        return manager.restore(step, args=items)["facts"] or {}
    except Exception:  # orbax raises many kinds for damaged files
        return {}


def checksum(state: Any) -> int:
    """CRC-32 over the bytes of all arrays of a pytree, in its order."""
    value = 0
    for leaf in jax.tree.leaves(state):
        if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        value = zlib.crc32(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8).data, value)
    return value
