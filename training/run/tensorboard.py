"""Metrics for TensorBoard, where the extra `[tensorboard]` is installed."""

import contextlib
import pathlib
import time
from typing import Any

from absl import logging


class TensorBoard:
    """Writes scalars to an events file, each at once and in this thread.

    tensorboardX's own writer does so in a thread that dies of a full disk, after which adding to
    its queue blocks for ever. Here the events end and the training goes on.

    Args:
        folder: Created if missing.
        first_step: TensorBoard drops what an earlier start wrote from this step on.
    """

    def __init__(self, folder: pathlib.Path, first_step: int):
        self._folder = folder
        self._writer: Any = None
        try:
            from tensorboardX import event_file_writer
            from tensorboardX.proto import event_pb2
        except ImportError:
            return
        self._messages: Any = event_pb2
        with self._gives_up():
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = event_file_writer.EventsWriter(str(folder / "events"))
            start = self._messages.SessionLog(status=self._messages.SessionLog.START)
            self._write(self._messages.Event(session_log=start), first_step)

    def add(self, step: int, split: str, metrics: dict[str, float]) -> None:
        """Writes the metrics of a step."""
        if self._writer is None:
            return
        from tensorboardX.summary import scalar

        with self._gives_up():
            for name, value in metrics.items():
                self._write(self._messages.Event(summary=scalar(f"{split}/{name}", value)), step)
            self._writer.flush()

    def close(self) -> None:
        """Lets go of the file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(OSError):
                writer.close()

    def _write(self, event, step: int) -> None:
        event.wall_time, event.step = time.time(), step
        self._writer.write_event(event)

    @contextlib.contextmanager
    def _gives_up(self):
        try:
            yield
        except OSError as error:
            logging.warning("%s: no more events for TensorBoard (%s)", self._folder, error.strerror)
            self.close()
