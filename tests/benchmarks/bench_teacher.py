"""Chains by a teacher: a storm of faults and planted errors, and how far a build keeps a server busy.

Storm: look-alikes of all data sets, the stub teacher as a process of its own with 10 % 5xx, 5 % resets, 5 % time-outs,
10 % broken JSON, and errors planted in 20 % of its replies. Every question must end as a chain or a row of the rejected,
and no reply with a planted error may be in a shard. Saturation: the same stub with 32 slots at 400 ms and no faults.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from cotgen.build.config import load_config
from cotgen.build.files import read_footer, read_payload
from cotgen.build.report import Outcome, Reporter
from cotgen.build.run import build
from cotgen.chains.planted import KINDS
from cotgen.models.cache import ReplyCache
from cotgen.shards.verify import verify
from cotgen.sources.demo.look_alikes import chosen, make_look_alike

FRAMES = 0
SLOTS, SERVICE_MS = 32, 400
FAULTS = {"500": 0.05, "503": 0.05, "reset": 0.05, "slow": 0.05, "truncated": 0.05, "not_json": 0.05}


@contextmanager
def teacher(*options: str) -> Iterator[str]:
    """The stub as a process; gives its URL."""
    command = [sys.executable, "-m", "cotgen", "teacher", "stub", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def go(root: Path, out: Path, url: str, frames: int, **given: Any) -> Outcome:
    values = {
        "source": "all",
        "root": [str(root)],
        "out": out,
        "limit": frames,
        "writer": "teacher",
        "teacher_url": url,
        "teacher_model": "stub",
        "teacher_timeout": 3.0,
        **given,
    }
    return build(load_config(None, values), Reporter(None), env={})


def planted_in(log: Path) -> dict[tuple[str, bytes], list[str]]:
    """(key of a request, its reply) -> the errors that were planted in it."""
    found = {}
    for line in log.read_bytes().splitlines():
        row = orjson.loads(line)
        found[row["key"], orjson.dumps(row["reply"], option=orjson.OPT_SORT_KEYS)] = row["planted"]
    return found


def kept(work: Path) -> Iterator[tuple[str, bytes]]:
    """(key of a request, its reply) of each accepted chain."""
    with ReplyCache(work / "replies.sqlite") as cache:
        for path in sorted((work / "asked").iterdir()):
            accepted = orjson.loads(read_payload(path, read_footer(path)["places"]["accepted"]))
            for entry in accepted.values():
                stored = cache.get(entry["request"])
                assert stored
                reply = orjson.loads(stored.choices[0].text)
                yield entry["request"], orjson.dumps(reply, option=orjson.OPT_SORT_KEYS)


def storm(root: Path, folder: Path) -> list[tuple[str, str]]:
    log = folder / "log.jsonl"
    options = [f"--planted={name}={0.2 / len(KINDS):.5f}" for name in KINDS]
    options += [f"--fault={name}={rate}" for name, rate in FAULTS.items()]
    start = time.monotonic()
    with teacher(*options, "--slots", "64", "--log", str(log)) as url:
        outcome = go(root, folder / "storm", url, FRAMES)
    seconds = time.monotonic() - start
    assert outcome.teacher and outcome.manifest
    tally = outcome.teacher
    planted = planted_in(log)
    wrong = Counter(kind for name in kept(folder / "storm.work") for kind in planted[name])
    received = sum(bool(kinds) for kinds in planted.values())
    rows = [json.loads(line) for line in (folder / "storm.work/rejected/storm.jsonl").read_text().splitlines()]
    lost = (
        tally.asked - tally.accepted - len({(row["key"], row["id"]) for row in rows if row["round"]}) - tally.given_up
    )
    report = verify(folder / "storm")
    return [
        ("questions, seconds", f"{tally.asked:,} in {seconds:.0f} s"),
        ("accepted, of them after a re-ask", f"{tally.accepted:,}, {tally.mended:,}"),
        ("refused twice or broken, given up", f"{tally.refused:,}, {tally.given_up:,}"),
        ("rows of rejected.jsonl", f"{len(rows):,}"),
        ("questions that are neither in a shard, nor rejected, nor given up", f"{max(0, lost - _broken(rows)):,}"),
        (
            "replies with a planted error, of them in a shard",
            f"{received:,}, {sum(wrong.values())} {dict(wrong) or ''}",
        ),
        ("second verification", "whole, 0 findings" if report.ok else "NOT WHOLE"),
    ]


def _broken(rows: list[dict[str, Any]]) -> int:
    """Questions whose first reply was of no use, which are not asked again with findings."""
    again = {(row["key"], row["id"]) for row in rows if row["round"]}
    return len({(row["key"], row["id"]) for row in rows} - again)


def saturation(root: Path, folder: Path) -> list[tuple[str, str]]:
    with teacher("--slots", str(SLOTS), "--service-ms", str(SERVICE_MS)) as url:
        # Frames and facts first, so that only asking is measured.
        go(root, folder / "first", url, FRAMES, writer="template", teacher_url="", teacher_model="", work=folder / "w")
        cpu, start = time.process_time(), time.monotonic()
        outcome = go(root, folder / "busy", url, FRAMES, teacher_timeout=60.0, work=folder / "w")
        cpu, seconds = time.process_time() - cpu, outcome.seconds["ask"]
        whole = time.monotonic() - start
    assert outcome.teacher
    asked = outcome.teacher.asked + outcome.teacher.reasked
    best = SLOTS * 1000 / SERVICE_MS
    return [
        (
            "requests a second against 32 slots of 400 ms",
            f"{asked / seconds:.1f} ({asked / seconds / best:.1%} of {best:.0f})",
        ),
        ("CPU of the asking process a request, with drafts, pictures, checks, cache", f"{cpu / asked * 1000:.1f} ms"),
        ("asking, whole build", f"{seconds:.0f} s, {whole:.0f} s"),
    ]


def run() -> str:
    os.environ.setdefault("PYTHONPATH", str(Path.cwd()))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in chosen(["all"]):
            make_look_alike(source, folder / "data", surgeries=None, seconds=60, seed=0, progress=lambda *_: None)
        rows = [*storm(folder / "data", folder), *saturation(folder / "data", folder)]
    return "\n".join(["| what | measured |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])
