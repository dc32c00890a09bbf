"""The study of `test_studies` in a process of its own: FOLDER DATA_DIR."""

import sys

from tests.inference.test_studies import work

if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2]).carry_out()
