import subprocess
import sys

import pytest

from tests.conftest import ROOT

_FAILING = """
import sys
from common import commands
from common.errors import UserError

def main(arguments):
    raise {error}

commands.run(main, stopped="stopped; go on")
"""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ('UserError("--out=x: y")', "error: --out=x: y\n"),
        ('OSError("the disk\\n\\033[2Jis full")', "error: the disk \\x1b[2Jis full\n"),
        ("KeyboardInterrupt", "stopped; go on\n"),
    ],
)
def test_what_a_user_causes_is_one_line(error, line):
    script = _FAILING.replace("{error}", error)
    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert (finished.returncode, finished.stderr) == (1, line)


def test_what_a_programmer_causes_keeps_its_traceback():
    script = _FAILING.replace("{error}", 'KeyError("name")')
    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert finished.returncode == 1
    assert "Traceback" in finished.stderr
