"""A run that is killed again and again ends with the weights of one that was left alone."""

import random
import signal
import time

import jax
import pytest

from inference.restore import restore_run
from tests.training.test_step import assert_same

KILLS = 4
ARGUMENTS = [
    "train.py",
    "--config=cnn_mnist",
    "--config.model.channels=(4,8)",
    "--config.model.dense=(64,)",
    "--config.dataset.train=train[:3000]",
    "--config.dataset.validation=train[3000:3100]",
    "--config.dataset.test=test[:500]",
    "--config.steps=600",
    "--config.batch_size=32",
    "--config.ema_decay=0.99",
    "--config.checkpoint_every=20",
    "--config.validate_every=100",
]


@pytest.mark.slow
def test_kills_change_nothing(command, data_dir, tmp_path):
    start = time.perf_counter()
    command(*ARGUMENTS, f"--workdir={tmp_path / 'whole'}", check=True)
    duration = time.perf_counter() - start
    random.seed(0)
    for kill in range(KILLS):
        # Any moment from before the first step to a few checkpoints' worth of steps.
        seconds = random.uniform(0.0, min(duration, 4.0))
        number = random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        process = command(
            *ARGUMENTS, f"--workdir={tmp_path / 'killed'}", signals=[(seconds, number)]
        )
        if process.returncode == 0:  # it was faster than the signal
            assert kill >= KILLS // 2, process.stdout
            break
        assert process.returncode in (-number, 128 + number), process.stderr
    command(*ARGUMENTS, f"--workdir={tmp_path / 'killed'}", check=True)
    whole, killed = (
        jax.device_get(restore_run(tmp_path / name, data_dir=data_dir).state)
        for name in ("whole", "killed")
    )
    assert int(killed.step) == 600
    assert_same(whole, killed)
