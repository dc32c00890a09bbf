"""Checkpoints of a run: the newest two, the best on validation, and the first past each milestone.

Orbax writes in the background and renames a finished checkpoint into place, so a killed run leaves
no half-written one behind under a valid name. What a disk or a careless hand can do beyond that
is caught by a checksum of the state, stored beside it and compared on restoring. What is restored
has the shapes, types and shardings that the run asks for; those that a checkpoint names are not
used.
"""

import contextlib
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import jax
import orbax.checkpoint as ocp
from absl import logging
from orbax.checkpoint import checkpoint_managers

from common.errors import UserError
from evaluation.results.provenance import checksum
from training.run.damage import (
    CHECKSUM,
    STEP,
    VALIDATION_ACCURACY,
    DamagedError,
    casting,
    fault_of_facts,
    misfit,
    obstacle,
    other_version,
    reason,
    refusal,
    unreadable,
)

# Far above what a run writes; longer ones are not read into memory.
_MAX_FACTS_BYTES = 1 << 20


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
        self._saving: int | None = None
        self._options = ocp.CheckpointManagerOptions(
            preservation_policy=self._policy,
            create=writing,
            # Or one damaged step would keep it from finding the others.
            lightweight_initialize=True,
        )
        if writing and jax.process_index() == 0:
            self._remove_unfinished()
        self._manager = self._open()

    def _remove_unfinished(self) -> None:
        """Removes what a killed run had begun to write, or this one where the disk is full.

        Orbax would do this in a thread that outlives the manager and complains when the process
        ends early.
        """
        for unfinished in self.folder.glob("*.orbax-checkpoint-tmp*"):
            if unfinished.is_dir() and not unfinished.is_symlink():
                shutil.rmtree(unfinished)

    def _open(self) -> ocp.CheckpointManager:
        try:
            if self.folder.exists() and not self.folder.is_dir():
                raise NotADirectoryError("it is a file")
            manager = ocp.CheckpointManager(self.folder.absolute(), options=self._options)
            steps = manager.all_steps()
        except Exception as error:  # orbax raises many kinds for folders that are none of its own
            raise UserError(
                f"{self.folder} cannot be used as a folder of checkpoints ({reason(error)}); move "
                "it away, or choose another run's folder"
            ) from error
        self._policy.scores = {}
        for step in steps:
            facts = _read_facts(manager, step)
            if fault_of_facts(facts, step) is None and VALIDATION_ACCURACY in facts:
                self._policy.scores[step] = facts[VALIDATION_ACCURACY]
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
        facts = {**facts, STEP: step, CHECKSUM: checksum(state)}
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state), facts=ocp.args.JsonSave(facts)
        )
        self.wait()
        with self._saves(step):
            self._manager.save(step, args=items)
        self._saving = step

    def check(self) -> None:
        """Raises the `UserError` of a checkpoint that turned out not to be saved; does not wait."""
        # Of several processes each would find out at another step, so they do at the next save.
        alone = jax.process_count() == 1
        if alone and self._saving is not None and not self._manager.is_saving_in_progress():
            self.wait()

    def wait(self) -> None:
        """Blocks until everything that was saved is on disk.

        Raises:
            UserError: if it could not be written; the checkpoints before it are kept.
        """
        if self._saving is None:
            return
        step, self._saving = self._saving, None
        with self._saves(step):
            self._manager.wait_until_finished()

    @contextlib.contextmanager
    def _saves(self, step: int):
        try:
            yield
        except Exception as error:  # orbax and tensorstore raise many kinds for a full disk
            self._saving = None
            self._policy.scores.pop(step, None)
            with contextlib.suppress(OSError):
                self._remove_unfinished()
            kept = (
                f"those of steps {self.steps()} are kept" if self.steps() else "there is none yet"
            )
            raise UserError(
                f"checkpoint {self.folder / str(step)} cannot be saved ({reason(error)}); {kept}, "
                "and the same command goes on from there once the folder can be written"
            ) from error

    def close(self) -> None:
        """Waits, then lets go of the folder.

        Raises:
            UserError: if what was being saved could not be written.
        """
        try:
            self.wait()
        finally:
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

    def scores(self) -> dict[int, float]:
        """The validation accuracies, in [0, 1], of the steps that have one, oldest first."""
        found = self._policy.scores
        return {step: found[step] for step in self.steps() if step in found}

    def restore(self, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
        """Reads one checkpoint.

        Args:
            step: One of `steps()`.
            like: The state's shapes, types and shardings.

        Returns:
            The state and the facts that it was saved with.

        Raises:
            DamagedError: if the checkpoint is damaged.
            UserError: if it cannot be read, or is of another model.
        """
        items = ocp.args.Composite(
            state=ocp.args.StandardRestore(like), facts=ocp.args.JsonRestore()
        )
        place = self.folder / str(step)
        try:
            if (place / "facts" / "metadata").stat().st_size > _MAX_FACTS_BYTES:
                raise DamagedError(place, f"its facts have over {_MAX_FACTS_BYTES} bytes")
            restored = self._manager.restore(step, args=items)
            state, facts = restored["state"], restored["facts"]
        except UserError:
            raise
        except Exception as error:  # orbax and tensorstore raise many kinds for damaged files
            raise refusal(error, place) from error
        if fault := fault_of_facts(facts, step):
            raise DamagedError(place, fault)
        if difference := misfit(state, like):
            raise other_version(place, difference)
        if checksum(state) != facts[CHECKSUM]:
            if difference := casting(place, like):
                raise other_version(place, difference)
            raise DamagedError(place, "its checksum does not match")
        return state, {k: v for k, v in facts.items() if k not in (CHECKSUM, STEP)}

    def restore_latest(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """Reads the newest checkpoint that is whole, and sets damaged newer ones aside.

        Returns:
            The state and its facts, or None if there is no checkpoint yet.

        Raises:
            UserError: if there are checkpoints and all of them are damaged, or the newest that is
                not cannot be read or is of another model.
        """
        damaged = 0
        for step in reversed(self.steps()):
            try:
                return self.restore(step, like)
            except DamagedError as error:
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
            if target.is_dir():
                shutil.rmtree(target)
            shutil.move(self._place(step), target)
        self._manager = self._open()
        return target

    def _place(self, step: int) -> pathlib.Path:
        """The folder of a step, which a careless hand may have renamed to, say, 007."""
        named = (entry for entry in self.folder.iterdir() if entry.name.isdecimal())
        odd = (entry for entry in named if int(entry.name) == step and entry.name != str(step))
        return next(odd, self.folder / str(step))


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
    """The facts of a step; none if it has none, which restoring it will report.

    Those of a step that cannot be restored now may still be what the best one is known by, and a
    run would remove it.

    Raises:
        UserError: if they cannot be read, and this is no damage.
    """
    items = ocp.args.Composite(facts=ocp.args.JsonRestore())
    try:
        return manager.restore(step, args=items)["facts"] or {}
    except Exception as error:  # orbax raises many kinds for damaged files
        if why := obstacle(error):
            raise unreadable(pathlib.Path(manager.directory) / str(step), why) from error
        return {}
