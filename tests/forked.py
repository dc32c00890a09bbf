"""Runs commands in forks of one process that has imported what they need.

    python -m tests.forked

Importing JAX and its like takes most of the time of a short command, and the tests run many. Reads
one request a line from standard input, answers each with one line: a JSON list of exit status,
standard output and standard error. A request is a JSON object with "arguments" (the script first),
"environment" (what differs), "timeout" in seconds and, to stop the command, "signals": a list of
[seconds, signal number], each counted from the one before.
"""

import json
import os
import runpy
import signal
import sys
import tempfile
import time
import traceback

import evaluation.reports
import inference.restore  # imported for the forks, as the others
import training.loop

PRELOADED = (evaluation.reports, training.loop, inference.restore)


def run(request: dict) -> tuple[int, str, str]:
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        child = os.fork()
        if not child:
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            os._exit(main(request))
        status = wait(child, request)
        output.seek(0)
        errors.seek(0)
        return status, output.read(), errors.read()


def wait(child: int, request: dict) -> int:
    events = [*request.get("signals", []), [request["timeout"], signal.SIGKILL]]
    for seconds, number in events:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(request: dict) -> int:
    """Behaves as the interpreter does when it runs a script."""
    os.environ.update(request.get("environment", {}))
    sys.argv = list(request["arguments"])
    sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))
    code = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code or 0


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
