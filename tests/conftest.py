import os
import pathlib
import signal

import jaxtyping
import pytest

# Shapes and types in signatures are checked at run time here, and only here.
jaxtyping.install_import_hook(
    ["capsnet", "cnn", "stn", "data.augmentation", "data.batches"], "beartype.beartype"
)

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal():
    """A background job's children ignore SIGINT; the tests send it to theirs."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """Prepared MNIST, in a folder of this test session's own."""
    from data import sources

    folder = tmp_path_factory.mktemp("tensorflow_datasets")
    sources.load(sources.DatasetConfig(), str(folder))
    return str(folder)


@pytest.fixture(scope="session", autouse=True)
def compiled_programs(tmp_path_factory):
    """The commands keep what they compile in a folder of this test session's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def command(data_dir):
    """Runs a command of the repository's root in a new process; returns the finished process."""
    import subprocess
    import sys

    def run(script, *arguments, devices=1, check=False, **environment):
        return subprocess.run(
            [sys.executable, script, *map(str, arguments)],
            cwd=ROOT,
            env={
                **os.environ,
                "TFDS_DATA_DIR": data_dir,
                "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
                **environment,
            },
            capture_output=True,
            text=True,
            check=check,
            timeout=600,
        )

    return run


@pytest.fixture
def forked():
    """Runs a command many times for the price of starting it once; see `tests.forked`."""
    import json
    import subprocess
    import sys

    def run(script, arguments):
        process = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.forked", script],
            cwd=ROOT,
            input=json.dumps(arguments),
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        )
        found = json.loads(process.stdout.splitlines()[-1])
        return [subprocess.CompletedProcess(script, *result) for result in found]

    return run
