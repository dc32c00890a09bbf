"""Runs the speed benchmarks one after the other and keeps their figures.

    python -m benchmarks.run --folder results/benchmarks

Each runs in a process of its own, so that none finds what another left in memory. One that fails is
named at the end, and the others run all the same.
"""

import argparse
import subprocess
import sys

from benchmarks.reporting import count, place
from common.files import writable_folder

BENCHMARKS = ("networks", "routing", "convolutions", "sampling", "generation", "scaling")


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmarks that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("benchmarks", nargs="*", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument(
        "--folder", type=place(writable_folder), help="where to write a JSON for each"
    )
    parser.add_argument("--rounds", type=count, help="turns of every contender")
    flags = parser.parse_args(arguments)
    for name in flags.benchmarks:
        if name not in BENCHMARKS:
            parser.error(f"argument benchmarks: {name!r}: choose from {', '.join(BENCHMARKS)}")
    failed = []
    for name in dict.fromkeys(flags.benchmarks or BENCHMARKS):
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        if flags.folder is not None:
            command.append(f"--json={flags.folder / name}.json")
        if flags.rounds is not None:
            command.append(f"--rounds={flags.rounds}")
        print(f"## {name}\n", flush=True)
        status = subprocess.run(command).returncode
        if status:
            failed.append(f"{name} (status {status})")
    if failed:
        sys.exit(f"error: {', '.join(failed)} failed; what each said stands above")


if __name__ == "__main__":
    main()
