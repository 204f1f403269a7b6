"""Units for the tests of the pool; workers import them by name."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from cotgen.errors import CotgenError


def work(unit: str, tell: Callable[[int], None]) -> dict[str, Any]:
    kind, _, value = unit.partition(" ")
    if kind == "sleep":
        time.sleep(float(value))
    if kind == "count":
        for _ in range(int(value)):
            tell(1)
    if kind == "begin":
        tell(1)
        time.sleep(float(value))
    if kind == "refuse":
        raise CotgenError(value)
    if kind == "defect":
        raise KeyError(value)
    if kind == "full":
        raise OSError(28, "No space left on device", "/disk/x")
    if kind == "wrapped":
        try:
            raise OSError(28, "No space left on device", "/disk/x")
        except OSError as error:
            raise CotgenError("cannot be written") from error
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "crash":
        os.abort()
    if kind == "shout":
        print("x" * 1_000_000)
    return {"unit": unit, "pid": os.getpid(), "threads": os.environ.get("POLARS_MAX_THREADS", "")}
