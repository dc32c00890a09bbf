"""Progress reports of a run while it goes on, and the metrics that it writes down."""

import contextlib
import sys
from typing import Any

import jax
from tqdm import tqdm

from common.errors import printable
from evaluation.results.result import show_interval, show_value
from evaluation.results.schema import results_from_json
from training.clock import Stopwatch, per_second
from training.run.directory import RunDirectory
from training.run.tensorboard import TensorBoard


def say(line: str) -> None:
    """Prints a line on the first of several processes."""
    if jax.process_index() == 0:
        print(printable(line), flush=True)


def say_results(record: dict[str, Any]) -> None:
    """Prints what a final record holds, a line for each result."""
    speed = _speed(record["images_per_second"])
    for result in results_from_json(record):
        unit = result.metric.unit
        condition = f" ({result.condition})" if result.condition else ""
        say(
            f"{record['name']}: {result.suite}{condition} {result.metric.name} "
            f"{show_value(result.value, unit)} [{show_interval(result.interval, unit)}] on "
            f"{result.count} {record['dataset']} test images at step {record['step']}, {speed}"
        )


class Reporter:
    """A progress bar on a terminal, plain lines elsewhere; metrics to JSON lines and TensorBoard.

    Args:
        directory: Where metrics go; None for a process that stays silent.
        first_step: Steps already done.
        steps: Steps of the whole run.
        batch_size: Images per step, for the images per second.
    """

    def __init__(
        self, directory: RunDirectory | None, *, first_step: int, steps: int, batch_size: int
    ):
        self._directory = directory
        self._batch_size = batch_size
        self._steps = steps
        self._step = first_step
        self._first_step = first_step
        self._watch = Stopwatch()
        self._bar = None
        self._tensorboard = None
        if directory is not None:
            if sys.stderr.isatty():
                self._bar = tqdm(total=steps, initial=first_step, unit="step", dynamic_ncols=True)
            self._tensorboard = TensorBoard(directory.path / "tensorboard", first_step + 1)

    @property
    def train_seconds(self) -> float:
        """Seconds that this start has trained; validation and checkpoints do not count."""
        return self._watch.seconds

    @property
    def images_per_second(self) -> float | None:
        """Training speed of this start; None while no time has passed."""
        images = (self._step - self._first_step) * self._batch_size
        return per_second(images, self.train_seconds)

    @contextlib.contextmanager
    def pause(self):
        """Stops the clock while something other than training runs."""
        self._watch.pause()
        yield
        self._watch.resume()

    def advance(self, step: int) -> None:
        """Moves the progress bar to a step."""
        done, self._step = step - self._step, step
        if self._bar is not None:
            self._bar.update(done)

    def training(self, step: int, metrics: dict[str, float]) -> None:
        """Reports metrics averaged over the steps since the last report."""
        speed = self.images_per_second
        known = {} if speed is None else {"images_per_second": round(speed, 1)}
        self._write(step, "train", {**metrics, **known})
        brief = f"loss {metrics['loss']:.4f}  accuracy {100 * metrics['accuracy']:.2f} %"
        if self._bar is not None:
            self._bar.set_postfix_str(f"{brief}  {_speed(speed)}")
        else:
            left = _clock((self._steps - step) * self._batch_size / speed) if speed else "?"
            self.say(f"step {step}/{self._steps}  {brief}  {_speed(speed)}  {left} left")

    def validation(self, step: int, metrics: dict[str, float]) -> None:
        """Reports a look at the validation split."""
        self._write(step, "validation", metrics)
        pose = f"  pose error {metrics['pose_error']:.2f} px" if "pose_error" in metrics else ""
        self.say(f"step {step}  validation accuracy {100 * metrics['accuracy']:.2f} %{pose}")

    def say(self, line: str) -> None:
        """Prints a line, above the progress bar if there is one."""
        if self._directory is None:
            return
        if self._bar is not None:
            self._bar.write(line)
        else:
            print(line, flush=True)

    def close(self) -> None:
        """Ends the bar and flushes what is still to be written."""
        if self._bar is not None:
            self._bar.close()
        if self._tensorboard is not None:
            self._tensorboard.close()

    def _write(self, step: int, split: str, metrics: dict[str, Any]) -> None:
        if self._directory is not None:
            self._directory.append_metrics({"step": step, "split": split, **metrics})
        if self._tensorboard is not None:
            self._tensorboard.add(step, split, metrics)


def _speed(images_per_second: float | None) -> str:
    return "? images/s" if images_per_second is None else f"{images_per_second:,.0f} images/s"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
