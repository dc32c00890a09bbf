"""Runs a script many times, each time in a fork of one process that has imported what it needs.

    python -m tests.forked SCRIPT < JSON list of argument lists

Importing JAX and its like takes most of the time of a command that only finds a mistake. Prints a
JSON list of [exit status, standard output, standard error].
"""

import json
import os
import runpy
import sys
import tempfile
import traceback

import configs
import training.loop
import training.restoring  # noqa: F401  # imported for the forks


def run(script: str, arguments: list[str]) -> tuple[int, str, str]:
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        child = os.fork()
        if not child:
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            os._exit(main(script, arguments))
        _, status = os.waitpid(child, 0)
        output.seek(0)
        errors.seek(0)
        return os.waitstatus_to_exitcode(status), output.read(), errors.read()


def main(script: str, arguments: list[str]) -> int:
    sys.argv = [script, *arguments]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            return 1
        return stop.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    assert configs.names()
    results = [run(sys.argv[1], arguments) for arguments in json.load(sys.stdin)]
    print(json.dumps(results))
