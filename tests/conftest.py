import gc
import json
import os
import pathlib
import signal
import subprocess
import sys

import jax
import jaxtyping
import pytest
from jax.experimental.compilation_cache import compilation_cache

from tests.tiers import is_left_to_exhaustive

# Most of a test's time goes into compiling what runs for milliseconds.
QUICKLY = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
if jax.__version_info__ < (0, 11):  # XLA's older way to compile loops, which later ones are without
    QUICKLY += " --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", QUICKLY)

# Shapes and types in signatures are checked at run time here, and only here.
jaxtyping.install_import_hook(
    ["capsnet", "cnn", "equivariant", "stn", "data.augmentation", "data.batches"],
    "beartype.beartype",
)

ROOT = pathlib.Path(__file__).parent.parent


COLLECTED = pytest.StashKey[list[str]]()  # names of all tests, those that are not run too

# Traces make many objects that stay; a tenth of the time would go into looking through all of them.
gc.set_threshold(700, 10, 200)


def pytest_collection_modifyitems(config, items):
    """Marks tests that others stand for; files with slow tests go first.

    So that no process is left with one of those at the end.
    """
    config.stash[COLLECTED] = names = [item.nodeid.removeprefix("tests/") for item in items]
    for name, item in zip(names, items, strict=True):
        if is_left_to_exhaustive(name):
            item.add_marker("exhaustive")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """The tests of a file run in one process, as they share fixtures and compiled programs."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal():
    """A background job's children ignore SIGINT; the tests send it to theirs."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory, worker_id):
    """A folder of this test session's own, the same for all its processes."""
    folder = tmp_path_factory.getbasetemp()
    return folder if worker_id == "master" else folder.parent


@pytest.fixture(scope="session")
def data_dir(session_folder):
    """Where nothing is prepared; MNIST is bundled."""
    return str(session_folder / "tensorflow_datasets")


@pytest.fixture(scope="session", autouse=True)
def compiled_programs(session_folder):
    """What took long to compile is kept in folders of this test session's own.

    Tests make the same programs again and again, each in a function of its own, and so do commands.
    Of tests, which make many small programs and few of them twice, those that take longer to
    compile than to store; of commands, which are often the same, all.
    """
    jax.config.update("jax_compilation_cache_dir", str(session_folder / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    compilation_cache.reset_cache()  # or it would stay as it was when modules were imported
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(session_folder / "cache"))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        yield


@pytest.fixture(scope="session")
def forks(compiled_programs):
    """Asks the server of `tests.forked` for one command after another."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.forked"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:

        def ask(arguments, environment, signals=()):
            request = {
                "arguments": list(map(str, arguments)),
                "environment": environment,
                "signals": signals,
                "timeout": 600,
            }
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            return subprocess.CompletedProcess(arguments, *json.loads(server.stdout.readline()))

        yield ask
        server.stdin.close()


@pytest.fixture
def command(data_dir, forks):
    """Runs a command in a process of its own; returns the finished process.

    Commands of this checkout are forks that start with everything imported. Others, and those with
    an environment that is read while importing, start as a user's do. What they run is compiled
    quickly, or with `compiled=""` as for a user.
    """

    def run(
        script, *arguments, devices=1, compiled=QUICKLY, check=False, signals=(), **environment
    ):
        arguments = [script, *map(str, arguments)]
        devices = f"--xla_force_host_platform_device_count={devices}"
        variables = {"TFDS_DATA_DIR": data_dir, "XLA_FLAGS": f"{compiled} {devices}"}
        if environment or pathlib.Path(script).is_absolute():
            finished = subprocess.run(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**os.environ, **variables, **environment},
                capture_output=True,
                text=True,
                timeout=600,
            )
        else:
            finished = forks(arguments, variables, signals)
        assert finished.returncode == 0 or not check, finished.stderr
        return finished

    return run
