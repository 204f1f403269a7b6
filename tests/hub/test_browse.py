"""A data set on the Hub in the viewer: the index comes at once, a shard when a sample of it is looked at."""

import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from cotgen.hub.browse import is_repository
from cotgen.hub.testing import HubServer

Program = Callable[..., "subprocess.Popen[str]"]


def test_names_of_repositories() -> None:
    assert all(map(is_repository, ("org/name", "org/name@v1.0.0", "my-org/a.b_c@refs/pr/1")))
    assert not any(map(is_repository, ("name", "./out/set", "/data/set", "a/b/c", "org/name@", "../set")))


@pytest.mark.slow
def test_a_repository_in_the_viewer(hub: HubServer, program: Program, open_folder: Path, tmp_path: Path) -> None:
    done = program("-m", "cotgen", "publish", open_folder, "--repo", "org/set", "-q", "--private")
    assert done.wait() == 0, done.communicate()
    marks = tmp_path / "reviews.jsonl"
    view = program("-m", "cotgen", "view", "org/set", "--port", "0", "--reviews", marks)
    try:
        assert view.stdout
        base = view.stdout.readline().strip()

        def ask(what: str) -> Any:
            with urllib.request.urlopen(f"{base}api/{what}") as answer:
                return orjson.loads(answer.read())

        assert ask("about")["folders"][0]["name"] == "org/set"
        # One tar would be a shard; the index alone answers filters and searches.
        assert ask("page?task=cvs")["total"] > 0 and ask("text")["problem"]
        assert hub.asked(r"GET /datasets/org/set/resolve/\w+/data/") == 0
        row = ask("page?limit=1")["rows"][0]
        assert ask(f"sample?key={row['key']}")["stored"] is True
        assert hub.asked(r"GET /datasets/org/set/resolve/\w+/data/") == 1
    finally:
        view.terminate()
        view.communicate()


@pytest.mark.parametrize(("name", "said"), [("org/none", "404"), ("org/other@v9", "404")])
def test_what_is_not_there_is_told(hub: HubServer, program: Program, name: str, said: str) -> None:
    view = program("-m", "cotgen", "view", name)
    _, errors = view.communicate(timeout=60)
    assert view.returncode == 2 or view.returncode == 1
    assert said in errors and "Traceback" not in errors
