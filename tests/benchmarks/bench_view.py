"""The viewer on a folder of any size, `COTGEN_VIEW_FOLDER=DIR`: until a sample stands there, a filtered search, memory."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import psutil

#: Filters and words, each asked for the first time, so that nothing is remembered.
ASKED: list[tuple[str, dict[str, str]]] = [
    ("task and split", {"task": "phase", "split": "train"}),
    ("term and task", {"term": "instrument.clipper", "task": "triplet"}),
    ("a word of the answers", {"q": "gallbladder"}),
    ("two words, a filter, by time", {"q": "hook dissect", "split": "train", "order": "time"}),
    ("queue by support, not yet reviewed", {"order": "draw", "by": "support", "review": "todo", "reviewer": "Ada"}),
]
IN_CHAINS: list[tuple[str, dict[str, str]]] = [
    ("a phrase of the chains", {"q": '"clip applier"'}),
    ("a common word of the chains", {"q": "view"}),
    ("a phrase, a basis, a task", {"q": '"cystic duct"', "basis": "prior", "task": "phase"}),
    ("queue by basis", {"order": "draw", "by": "basis"}),
]


def run() -> str:
    folder = os.environ.get("COTGEN_VIEW_FOLDER", "")
    if not folder:
        return "COTGEN_VIEW_FOLDER is not set."
    lines = ["| what | figure |", "|---|---:|"]
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "cotgen", "view", folder, "--port", "0", "--work", work]
        command += ["--reviews", f"{work}/reviews.jsonl"]
        start = time.monotonic()
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout
            base = server.stdout.readline().strip()
            row = _ask(base, "page", {"limit": "60"})["rows"][0]
            _ask(base, "sample", {"key": row["key"]})
            about = _ask(base, "about", {})["folders"][0]
            lines.append(f"| pairs, frames | {about['pairs']:,}, {about['samples']:,} |")
            took, process = time.monotonic() - start, psutil.Process(server.pid)
            cpu = sum(process.cpu_times()[:2])
            lines.append(f"| from the command to a first sample over HTTP | {took:.2f} s, {cpu:.2f} s of CPU |")
            lines += _painted(base)
            lines += [_timed(base, name, asked) for name, asked in ASKED]
            lines.append(
                f"| memory of the server, chains not read yet | {process.memory_info().rss / 2**20:,.0f} MB |"
            )
            while not (state := _ask(base, "text", {}))["ready"]:
                assert not state["problem"], state["problem"]
                time.sleep(0.5)
            lines.append(
                f"| until chains can be searched, in the background, the first time | {time.monotonic() - start:.0f} s |"
            )
            size = sum(path.stat().st_size for path in Path(work).rglob("*.sqlite"))
            lines.append(f"| size of the texts on disk | {size / 2**20:,.0f} MB |")
            lines += [_timed(base, name, asked) for name, asked in IN_CHAINS]
            lines.append(_stepping(base))
            lines.append(f"| memory of the server at the end | {process.memory_info().rss / 2**20:,.0f} MB |")
        finally:
            server.terminate()
            server.wait()
    return "\n".join(lines)


def _ask(base: str, what: str, asked: dict[str, str]) -> Any:
    with urllib.request.urlopen(f"{base}api/{what}?{urlencode(asked)}") as answer:
        return orjson.loads(answer.read())


def _timed(base: str, name: str, asked: dict[str, str]) -> str:
    """Rows of the filter and the counts of all facets, one after the other."""
    start = time.monotonic()
    total = _ask(base, "page", asked)["total"]
    page = time.monotonic() - start
    _ask(base, "facets", asked)
    return (
        f"| {name}: {total:,} pairs; with the counts of all facets | {page:.2f} s; {time.monotonic() - start:.2f} s |"
    )


def _stepping(base: str) -> str:
    rows = _ask(base, "page", {"order": "draw", "by": "task", "limit": "100"})["rows"]
    took = []
    for row in rows:
        start = time.monotonic()
        _ask(base, "sample", {"key": row["key"]})
        took.append(time.monotonic() - start)
    middle, slowest = 1000 * statistics.median(took), 1000 * max(took)
    return f"| a sample with its evidence, median and slowest of {len(took)} | {middle:.0f} ms, {slowest:.0f} ms |"


def _painted(base: str) -> list[str]:
    """From the address to frame, chain and lists in a headless browser, where there is one."""
    driver = shutil.which("chromedriver")
    try:
        from selenium import webdriver
    except ImportError:
        driver = None
    if not driver:
        return []
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1440,900"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        browser.get("about:blank")
        start = time.monotonic()
        browser.get(base)
        chain = ready = 0.0
        while not ready and time.monotonic() - start < 60:
            if not chain and browser.execute_script("return document.querySelectorAll('.sentence').length"):
                chain = time.monotonic() - start
            if browser.execute_script("return document.body.dataset.ready"):
                ready = time.monotonic() - start
        paint = (
            browser.execute_script("return performance.getEntriesByName('first-contentful-paint')[0]?.startTime") or 0
        )
    finally:
        browser.quit()
    figures = f"{paint / 1000:.2f} s; {chain:.2f} s; {ready:.2f} s"
    return [f"| in the browser: first paint; frame and chain; lists and counts too | {figures} |"]
