"""The training loop: one function that takes an experiment to its final record.

The loop dispatches blocks of steps and looks at the metrics of a block only after the next one is
under way. It stops at a block's end to validate, to save, or because it was asked to.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from common.errors import NonFiniteError
from data.streaming import Resident, Windows
from evaluation import suites
from evaluation.metrics.classification import hits, predictions
from evaluation.model import Predictor, predict_all
from evaluation.results import provenance
from evaluation.results.result import Result
from training import monitors
from training.clock import per_second
from training.experiment import Experiment
from training.guards import claim_for_all, within_memory
from training.initial import describe_origin, from_run
from training.interruption import Interrupted, StopRequest, stop_request
from training.record import make_record
from training.run import images as run_images
from training.run.checkpoints import Checkpoints
from training.run.damage import ORIGIN, TRAIN_SECONDS, VALIDATION_ACCURACY, WINDOW
from training.run.directory import Configurations, RunDirectory
from training.run.logging import Reporter, say, say_results
from training.run.metrics import MetricsWindow, constant_prediction
from training.run.signature import Signature
from training.setup import Setup, prepare
from training.step import TrainState

# A dispatch should last about this long: short enough to stop soon, long enough to cost nothing.
_SECONDS_PER_DISPATCH = 1.0
# Every network is on a plateau in its first steps.
_STEPS_BEFORE_DIAGNOSIS = 200


def run(
    experiment: Experiment,
    *,
    name: str,
    workdir: str,
    data_dir: str | None = None,
    configurations: Configurations | None = None,
    extend: bool = False,
) -> dict[str, Any]:
    """Trains an experiment from its newest checkpoint, or from the start, to its last step.

    Args:
        experiment: What to train.
        name: Of the configuration, for records.
        workdir: The run's folder; the same one resumes.
        data_dir: See `data.sources.load.load`.
        configurations: Of the run that this one is to start from; see
            `inference.restore.restore_run`.
        extend: Goes on with a run of the same experiment that was to have fewer steps; else that is
            another one.

    Returns:
        The final record, with every suite's result at the last step.

    Raises:
        UserError: if the request cannot be met, or training diverged.
        Interrupted: if a signal asked for a stop; a checkpoint has been written.
    """
    for suite in experiment.suites:
        suites.load(suite)
    experiment.check()
    directory = RunDirectory(workdir)
    if extend:
        experiment = directory.extended(name, experiment, say)
    directory.check(name, experiment)
    record = directory.read_record()
    if record is not None and record["step"] >= experiment.steps:
        say(f"{directory.path} is complete; delete it to train again, or choose another --workdir")
        say_results(record)
        return record
    setup = prepare(experiment, data_dir)
    setup.check_batch_size()
    for note in filter(None, (*setup.dataset.notes, setup.dataset.imbalance)):
        say(f"{name}: {note}")
    with (
        claim_for_all(directory, name, experiment),
        stop_request() as stop,
        within_memory(experiment),
    ):
        source = {"data_dir": data_dir, "configurations": configurations}
        record = _Training(setup, name, directory, stop, **source).run()
        stop.raise_if_asked()  # by a signal that came after the last look; no other run begins
    return record


class _Training:
    """The state of one start of a run."""

    def __init__(
        self, setup: Setup, name: str, directory: RunDirectory, stop: StopRequest, **source: Any
    ):
        self.setup = setup
        self.experiment = setup.experiment
        self.name = name
        self.directory = directory
        self.stop = stop
        self.speaks = jax.process_index() == 0
        self.diagnosed = False
        self.checkpoints = Checkpoints(directory.checkpoints, milestones=self.experiment.milestones)
        self.state, facts = self._restore_or_create(**source)
        self.origin = facts.get(ORIGIN)
        self.step = self.saved_step = int(self.state.step)
        self.seconds_before = facts.get(TRAIN_SECONDS, 0.0)
        self.window = MetricsWindow(
            self.experiment.log_every, self.experiment.steps, facts.get(WINDOW)
        )

    def run(self) -> dict[str, Any]:
        """Trains, evaluates the last step and writes the record."""
        if self.step:
            run_images.check_unchanged(self.directory.path, self.setup.dataset)
        if self.speaks:
            run_images.note(self.directory.path, self.setup.dataset)
            self.directory.rewind_metrics(self.step)
            self.directory.add_environment(provenance.describe())
            self.directory.write_signature(Signature.of(self.setup.dataset))
        images = self.setup.training_images()
        train_steps, compile_seconds = self._compile(images.at(self.step))
        self.reporter = Reporter(
            self.directory if self.speaks else None,
            first_step=self.step,
            steps=self.experiment.steps,
            batch_size=self.experiment.batch_size,
        )
        try:
            self._train(train_steps, images)
            self.checkpoints.wait()
        finally:
            images.close()
            self.reporter.close()
            self.checkpoints.close()
        return self._finish(compile_seconds)

    def _restore_or_create(self, **source) -> tuple[TrainState, dict[str, Any]]:
        restored = self.checkpoints.restore_latest(self.setup.abstract_state())
        if restored is not None:
            say(f"resuming {self.directory.path} at step {int(restored[0].step)}")
            return restored
        state = self.setup.program.create_state()
        if not self.experiment.init_from:
            return state, {}
        state, origin = from_run(state, self.experiment.init_from, **source)
        say(f"{self.name} {describe_origin(origin)}")
        # So that the run is resumed from these weights, whatever becomes of the other one.
        self.checkpoints.save(0, state, {ORIGIN: origin})
        return state, {ORIGIN: origin}

    def _compile(self, split):
        say(
            f"{self.name}: compiling {self.state.num_parameters:,} parameters for "
            f"{self.setup.mesh.size} x {jax.devices()[0].platform}"
        )
        train_steps = self.setup.program.train_steps
        if jax.config.jax_disable_jit:  # pyright: ignore - for debugging; nothing is compiled
            return train_steps, 0.0
        start = time.perf_counter()
        compiled = train_steps.lower(self.state, split, np.int32(1)).compile()
        self.setup.check_memory(compiled)
        seconds = max(time.perf_counter() - start, 0.0)
        say(
            f"{self.name}: {self.state.num_parameters:,} parameters, "
            f"{len(self.setup.dataset.train):,} images of {self.setup.dataset.name}, "
            f"{self.setup.mesh.size} x {jax.devices()[0].platform}, compiled in {seconds:.1f} s"
        )
        return compiled, seconds

    def _train(self, train_steps, images: Resident | Windows) -> None:
        """Runs the remaining steps."""
        experiment = self.experiment
        count, seconds_per_step = 1, _SECONDS_PER_DISPATCH
        mark, pending = time.perf_counter(), None
        while self.step < experiment.steps:
            self.checkpoints.check()
            count, stopping = self._next_block(seconds_per_step, count, images.left(self.step))
            if stopping:
                break
            split = images.at(self.step)
            self.state, history = train_steps(self.state, split, np.int32(count))
            block, self.step = (self.step, count, history), self.step + count
            if pending is not None:
                self._report(pending)
                now = time.perf_counter()
                seconds_per_step, mark = (now - mark) / pending[1], now
            pending = block
            if self._due(experiment.validate_every) or self._due(experiment.checkpoint_every):
                self._report(pending)
                self._validate_and_save()
                pending, mark = None, time.perf_counter()
        if pending is not None:
            self._report(pending)
        if self.step < experiment.steps:
            self._save()
        self.checkpoints.wait()
        self._stop_if_asked()

    def _stop_if_asked(self) -> None:
        """Leaves, with everything saved, if a signal asked for it."""
        if asked := self.stop.agreed():
            self.reporter.say(
                f"stopped at step {self.step} of {self.experiment.steps}; the same command resumes"
            )
            raise Interrupted(asked)

    def _next_block(self, seconds_per_step: float, last: int, there: int) -> tuple[int, bool]:
        """Number of steps to dispatch, and True to stop instead; the same on every process."""
        # At most twice the last: on a busy machine steps may seem to take no time at all.
        limit = min(
            2 * last,
            there,
            self.setup.program.block_size,
            self.experiment.steps - self.step,
            self.experiment.validate_every - self.step % self.experiment.validate_every,
            self.experiment.checkpoint_every - self.step % self.experiment.checkpoint_every,
        )
        # A clock that stands still or runs backwards says nothing of the time that steps take.
        rate = per_second(_SECONDS_PER_DISPATCH, seconds_per_step)
        count = limit if rate is None else int(np.clip(rate, 1, limit))
        stopping = int(self.stop.signal_number != 0)
        if jax.process_count() > 1:
            agreed = multihost_utils.process_allgather(np.array([count, stopping]))
            count, stopping = int(agreed[:, 0].min()), int(agreed[:, 1].max())
        return count, bool(stopping)

    def _due(self, interval: int) -> bool:
        return self.step % interval == 0 or self.step == self.experiment.steps

    def _report(self, block: tuple[int, int, dict]) -> None:
        """Fetches a block's metrics, which waits for the block, and reports finished windows."""
        first_step, count, history = block
        with self._divergence():
            for step, means in self.window.add(first_step, count, history):
                self.reporter.advance(step)
                self.reporter.training(step, means)
                self._diagnose(step, means)
        self.reporter.advance(first_step + count)

    @contextlib.contextmanager
    def _divergence(self) -> Iterator[None]:
        """Adds to the error of numbers that are not finite what may help and what is kept."""
        try:
            yield
        except NonFiniteError as error:
            self.checkpoints.wait()
            kept = f"the checkpoint of step {self.saved_step} is kept"
            if not self.saved_step:
                kept = "no checkpoint had been written"
            raise NonFiniteError(
                f"{error}; try --config.optimizer.clip_norm=1, a lower "
                "--config.optimizer.learning_rate, or float32 if the model computes in bfloat16, "
                f"in another --workdir; {kept}"
            ) from error

    def _diagnose(self, step: int, means: dict[str, float]) -> None:
        """Warns, once, of a plateau that the model can name."""
        diagnose = self.setup.program.diagnose
        if diagnose is not None:
            self._warn_once(step, diagnose(means))

    def _warn_once(self, step: int, finding: str | None) -> None:
        """Reports once what is wrong with the training, unless it has only begun."""
        if finding and not self.diagnosed and step >= _STEPS_BEFORE_DIAGNOSIS:
            self.diagnosed = True
            self.reporter.say(f"warning: at step {step} {finding}")

    def _validate_and_save(self) -> None:
        with self.reporter.pause():
            facts = {}
            if self._due(self.experiment.validate_every):
                accuracy = self._validation_accuracy()
                self.reporter.validation(self.step, {"accuracy": accuracy, **self._observe()})
                facts = {VALIDATION_ACCURACY: accuracy}
            self._save(**facts)

    def _validation_accuracy(self) -> float:
        split = self.setup.dataset.validation
        with self._divergence():
            logits = predict_all(
                self.setup.predictor(self.state),
                split.images,
                batch_size=self.setup.evaluation_batch_size,
                name=f"validation at step {self.step}",
            )
        found = predictions(logits, split.labels_per_image)
        self._warn_once(self.step, constant_prediction(found, split.labels))
        return float(np.mean(hits(logits, split.labels)))

    def _observe(self) -> dict[str, float]:
        """Numbers of the experiment's monitors, and a picture by each."""

        def picture(name: str):
            return self.directory.figure(f"{name}_{self.step:06d}")

        try:
            return monitors.observe(
                self.experiment.monitors,
                self.setup.predictor(self.state),
                self.setup.dataset,
                batch_size=self.setup.evaluation_batch_size,
                picture=picture if self.speaks else None,
            )
        except NonFiniteError as error:  # of what is only looked at; the training may go on
            self.reporter.say(f"warning: at step {self.step} {error}")
            return {}

    def _save(self, **facts: float) -> None:
        known = {TRAIN_SECONDS: self._train_seconds(), WINDOW: self.window.begun()}
        if self.origin is not None:
            known[ORIGIN] = self.origin
        self.checkpoints.save(self.step, self.state, {**known, **facts})
        self.saved_step = self.step

    def _train_seconds(self) -> float:
        return self.seconds_before + self.reporter.train_seconds

    def _finish(self, compile_seconds: float) -> dict[str, Any]:
        """Evaluates the last step and writes the record."""
        seconds = self._train_seconds()
        speed = per_second(self.step * self.experiment.batch_size, seconds)
        predictor, results = self._stoppable(), []
        for name in self.experiment.suites:
            say(f"{self.name}: evaluating {name}")
            results += self._evaluate(name, predictor)
            self._stop_if_asked()
        record = make_record(
            self.setup,
            self.state,
            results,
            name=self.name,
            seconds=(seconds, compile_seconds),
            images_per_second=speed,
            origin=self.origin,
        )
        if self.speaks:
            self.directory.write_record(record)
            say_results(record)
        return record

    def _stoppable(self) -> Predictor:
        """The model; a suite may take minutes, in which a single process looks for a stop."""
        predictor = self.setup.predictor(self.state)

        def read(images, names):
            if jax.process_count() == 1:
                self._stop_if_asked()
            return predictor.read(images, names)

        return dataclasses.replace(predictor, read=read)

    def _evaluate(self, name: str, predictor: Predictor) -> list[Result]:
        """Measures a suite, or reports why it cannot be measured."""
        size = self.setup.evaluation_batch_size
        try:
            return suites.run(suites.load(name), predictor, self.setup.dataset, batch_size=size)
        except suites.NotApplicable as reason:
            say(f"{self.name}: {name} is not applicable: {reason}")
            return []
