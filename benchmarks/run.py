"""Runs the speed benchmarks one after the other and keeps their figures.

    python -m benchmarks.run --folder results/benchmarks

Each runs in a process of its own, so that none finds what another left in memory.
"""

import argparse
import pathlib
import subprocess
import sys

BENCHMARKS = ("networks", "routing", "convolutions", "sampling", "generation", "scaling")


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmarks that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("benchmarks", nargs="*", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--folder", type=pathlib.Path, help="where to write a JSON for each")
    parser.add_argument("--rounds", type=int, help="turns of every contender")
    flags = parser.parse_args(arguments)
    for name in flags.benchmarks:
        if name not in BENCHMARKS:
            parser.error(f"argument benchmarks: {name!r}: choose from {', '.join(BENCHMARKS)}")
    for name in flags.benchmarks or BENCHMARKS:
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        if flags.folder is not None:
            command.append(f"--json={flags.folder / name}.json")
        if flags.rounds is not None:
            command.append(f"--rounds={flags.rounds}")
        print(f"## {name}\n", flush=True)
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
