"""Runs every bench_*.py here and prints its table: `python -m tests.benchmarks [NAME ...]`."""

import importlib
import sys
from pathlib import Path


def main() -> None:
    names = [path.stem for path in sorted(Path(__file__).parent.glob("bench_*.py"))]
    for name in names:
        if len(sys.argv) > 1 and name.removeprefix("bench_") not in sys.argv[1:]:
            continue
        module = importlib.import_module(f"tests.benchmarks.{name}")
        heading = (module.__doc__ or name).strip().partition("\n")[0]
        print(f"### {heading}\n\n{module.run()}\n", flush=True)


main()
