"""The tables of an evaluation's records: `python -m evaluation.reports results/robustness`."""

import pathlib
import sys

from evaluation.reports.markdown import summarise_headlines

if __name__ == "__main__":
    folder, *suites = sys.argv[1:]
    print(summarise_headlines(pathlib.Path(folder), suites))
