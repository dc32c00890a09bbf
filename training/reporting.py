"""What a person sees of a run while it goes on, and the metrics that it writes down."""

import contextlib
import sys
import time
from typing import Any

from tqdm import tqdm

from training.run_directory import RunDirectory


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
        self._started = time.perf_counter()
        self._paused = 0.0
        self._bar = None
        if directory is not None and sys.stderr.isatty():
            self._bar = tqdm(total=steps, initial=first_step, unit="step", dynamic_ncols=True)
        self._tensorboard = _tensorboard(directory, first_step)

    @property
    def train_seconds(self) -> float:
        """Seconds that this start has trained; validation and checkpoints do not count."""
        return max(time.perf_counter() - self._started - self._paused, 1e-9)

    @property
    def images_per_second(self) -> float:
        """Training speed of this start."""
        return (self._step - self._first_step) * self._batch_size / self.train_seconds

    @contextlib.contextmanager
    def pause(self):
        """Stops the clock while something other than training runs."""
        start = time.perf_counter()
        yield
        self._paused += time.perf_counter() - start

    def advance(self, step: int) -> None:
        """Moves the progress bar to a step."""
        done, self._step = step - self._step, step
        if self._bar is not None:
            self._bar.update(done)

    def training(self, step: int, metrics: dict[str, float]) -> None:
        """Reports metrics averaged over the steps since the last report."""
        speed = self.images_per_second
        self._write(step, "train", {**metrics, "images_per_second": round(speed, 1)})
        brief = f"loss {metrics['loss']:.4f}  accuracy {100 * metrics['accuracy']:.2f} %"
        if self._bar is not None:
            self._bar.set_postfix_str(f"{brief}  {speed:,.0f} images/s")
        else:
            left = (self._steps - step) * self._batch_size / max(speed, 1e-9)
            self.say(
                f"step {step}/{self._steps}  {brief}  {speed:,.0f} images/s  {_clock(left)} left"
            )

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
            for name, value in metrics.items():
                self._tensorboard.add_scalar(f"{split}/{name}", value, step)


def _tensorboard(directory: RunDirectory | None, first_step: int):
    """A TensorBoard writer where the extra `[tensorboard]` is installed."""
    if directory is None:
        return None
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(directory.path / "tensorboard"), purge_step=first_step)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
