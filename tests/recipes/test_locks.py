"""The lock files hold versions alone, and those that belong together agree."""

import re
from pathlib import Path

import pytest

from cotgen.stages.versions import TRIED

LOCK = Path(__file__).parents[2] / "recipes" / "lock"
FILES = ("train", "train-vllm", "serve")


def pinned(name: str) -> dict[str, str]:
    found = {}
    for line in (LOCK / f"{name}.txt").read_text().splitlines():
        if not line.startswith("#"):
            match = re.fullmatch(r"([a-z0-9][a-z0-9._-]*)==([0-9][\w.]*(?:\+\w+)?)", line)
            assert match, f"{name}: {line}"
            found[match[1]] = match[2]
    return found


@pytest.mark.parametrize("name", FILES)
def test_each_line_is_a_version_and_the_head_says_what_was_run(name: str) -> None:
    assert len(pinned(name)) > 80
    head = (LOCK / f"{name}.txt").read_text().partition("\n\n")[0]
    assert "Solved by uv" in head and "nly solved" in head


def test_training_is_locked_to_what_was_tried_with_and_without_vllm() -> None:
    plain, vllm = pinned("train"), pinned("train-vllm")
    for name, version in TRIED.items():
        assert plain[name] == vllm[name] == version
    assert vllm["vllm"] == "0.30.0" and "vllm" not in plain
