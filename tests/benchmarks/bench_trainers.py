"""Exports as the trainers themselves read them.

Each reader runs in an environment of its own, whose Python is named in a variable: COTGEN_TRL_PYTHON (`pip install trl
datasets pillow`), COTGEN_SWIFT_PYTHON (`pip install ms-swift`), COTGEN_LLAMAFACTORY_PYTHON (`pip install llamafactory`).
What is read: 20 frames with the chains of the template writer, and one with a pair of each kind and boxes in question,
chain and answer. ms-swift's numbers for a box must be those that `--boxes per_mille` writes.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from cotgen.chains.boxes import BoxFormat
from cotgen.inspect.export import Wanted, export
from cotgen.inspect.export_rows import LAYOUTS, FormatName
from tests.inspect.handmade import handmade
from tests.shards.samples import make, write_folder

READERS: dict[FormatName, tuple[str, str]] = {
    "trl": ("COTGEN_TRL_PYTHON", "read_trl.py"),
    "parquet": ("COTGEN_TRL_PYTHON", "read_trl.py"),
    "swift": ("COTGEN_SWIFT_PYTHON", "read_swift.py"),
    "sharegpt": ("COTGEN_LLAMAFACTORY_PYTHON", "read_llamafactory.py"),
}


def run() -> str:
    lines = ["| format | reader | rows read of those written |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        folders = {"many": write_folder(make(seconds=6), base / "many"), "one": handmade(base / "one")[0]}
        for name, (variable, script) in READERS.items():
            python = os.environ.get(variable, "")
            if not python:
                lines.append(f"| {name} | not read: {variable} is not set | |")
                continue
            read = written = 0
            reader = ""
            for which, folder in folders.items():
                layout = LAYOUTS[name]
                out = base / f"{name}-{which}"
                done = export(folder, out, Wanted(layout, "cot", BoxFormat(layout.boxes[0])))
                found = read_by(python, script, out)
                if name == "swift" and which == "one":
                    compare_boxes(found["texts"], folder, base / "compared")
                reader = found["version"]
                read += found["rows"]
                written += done.pairs["train"]
            lines.append(f"| {name} | {reader} | {read:,} of {written:,} |")
    return "\n".join(lines)


def read_by(python: str, script: str, out: Path) -> dict:
    call = [python, str(Path(__file__).parent / "readers" / script), str(out)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{script} refused {out}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare_boxes(texts: list[list[str]], folder: Path, out: Path) -> None:
    """What ms-swift makes of bare boxes is what our own numbers are."""
    export(folder, out, Wanted(LAYOUTS["swift"], "cot", BoxFormat("per_mille")))
    rows = [json.loads(line) for line in (out / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    ours = [[turn["content"] for turn in row["messages"]] for row in rows]
    assert texts == ours, "ms-swift writes other boxes than --boxes per_mille"
