"""Training on several devices and in several processes gives the losses of one."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import QUICKLY, ROOT

SMALL_DATA = [
    "--config.dataset.train=train[:400]",
    "--config.dataset.validation=train[400:450]",
    "--config.dataset.test=test[:75]",
    "--config.batch_size=16",
    "--config.steps=12",
    "--config.log_every=1",
    "--config.checkpoint_every=100",
    "--config.validate_every=100",
    "--config.evaluation_batch_size=30",
]
MODELS = {
    "cnn_mnist": ["--config.model.channels=(4,8)", "--config.model.dense=(16,)"],
    "capsnet_mnist": [
        "--config.model.convolution_channels=8",
        "--config.model.kernel_size=5",
        "--config.model.primary_types=2",
        "--config.model.decoder.widths=(16,)",
    ],
}


def losses(workdir):
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if row["split"] == "train"]


@pytest.mark.slow
@pytest.mark.parametrize("config", MODELS)
def test_losses_do_not_depend_on_the_number_of_devices(command, tmp_path, config):
    for devices in (1, 8):
        command(
            "train.py",
            f"--config={config}",
            f"--workdir={tmp_path / str(devices)}",
            *SMALL_DATA,
            *MODELS[config],
            devices=devices,
            check=True,
        )
    expected = losses(tmp_path / "1")
    assert len(expected) == 12
    np.testing.assert_allclose(losses(tmp_path / "8"), expected, rtol=1e-5)
    records = [json.loads((tmp_path / str(n) / "record.json").read_text()) for n in (1, 8)]
    assert records[0]["results"] == records[1]["results"]
    assert records[1]["environment"]["devices"] == 8


@pytest.mark.slow
def test_two_processes_train_as_one(command, data_dir, tmp_path):
    arguments = ["train.py", "--config=cnn_mnist", *SMALL_DATA, *MODELS["cnn_mnist"]]
    command(*arguments, f"--workdir={tmp_path / 'one'}", check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Compiled as `command` compiles, or losses would differ in their last digits.
    environment = {"TFDS_DATA_DIR": data_dir, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICKLY}
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                *arguments,
                f"--workdir={tmp_path / 'two'}",
                f"--coordinator=127.0.0.1:{port}",
                "--processes=2",
                f"--process={number}",
            ],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(2)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-5)
    record = json.loads((tmp_path / "two" / "record.json").read_text())
    assert record["environment"]["processes"] == 2
    assert "clean accuracy" in outputs[0]
    assert "clean accuracy" not in outputs[1]
