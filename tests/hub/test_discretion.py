"""A token is never shown and never stored: not in messages, logs, tracebacks, files, or on the Hub."""

import io
import logging
import subprocess
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cotgen.cli.view import located, view
from cotgen.errors import CotgenError
from cotgen.hub import browse
from cotgen.hub.discretion import DiscreetFilter, discreet
from cotgen.hub.testing import SIGNATURE, HubServer
from tests.hub.conftest import TOKEN
from tests.hub.test_publish import REPO

pytest.importorskip("huggingface_hub")

Program = Callable[..., "subprocess.Popen[str]"]
SECRETS = (TOKEN, SIGNATURE)
#: Every kind of request that a publication makes.
REQUESTS = (
    "GET /api/datasets/lab/set$",
    "POST /api/repos/create",
    "GET .*/refs$",
    "GET .*/tree/",
    "GET .*/revision/",
    "POST /api/validate-yaml",
    "GET .*/discussions$",
    "POST .*/discussions$",
    "POST .*/preupload/",
    "POST .*/objects/batch",
    "PUT /lfs/",
    "POST /lfs/.*/verify",
    "POST .*/commit/",
    "GET .*/discussions/1$",
    "POST .*/status$",
    "POST .*/merge$",
    "POST .*/tag/",
    "PUT .*/settings$",
)
FAILURES = ("401", "403", "404", "412", "500", "reset")


@pytest.fixture
def shown(hub: HubServer, cli: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[int, str]]]:
    """Publish here; gives the exit code and all that is shown, the client's log with it. The client waits for nothing."""
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)
    log = io.StringIO()
    handlers = [one for one in logging.getLogger("huggingface_hub").handlers if isinstance(one, logging.StreamHandler)]
    before = [handler.setStream(log) for handler in handlers]

    def run(folder: Path) -> tuple[int, str]:
        log.seek(0)
        log.truncate()
        code, out, err = cli(folder, "--repo", REPO, "--tag", "v1.0.0")
        return code, out + err + log.getvalue()

    yield run
    for handler, stream in zip(handlers, before, strict=True):
        if stream is not None:
            handler.setStream(stream)


def stored(hub: HubServer) -> str:
    """All that the Hub keeps, as text."""
    parts = []
    for repo in hub.repos.values():
        parts += [repr((repo.id, repo.branches, repo.tags, repo.pulls))]
        parts += [repr((commit.title, commit.tree)) for commit in repo.commits.values()]
    return "\n".join(parts)


def on_disk(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in SECRETS)
    ]


@pytest.mark.usefixtures("lfs")
@pytest.mark.parametrize("where", REQUESTS)
@pytest.mark.slow
def test_no_failure_shows_a_token_or_a_signed_address(
    hub: HubServer, shown: Callable[..., tuple[int, str]], small: Path, where: str, tmp_path: Path
) -> None:
    """The server quotes the token and the address in its message, as a careless one does."""
    failed = 0
    for failure in FAILURES:
        hub.repos.clear()
        hub.faults.clear()
        if failure == "reset":
            hub.fail(where, "reset", times=99)
        else:
            hub.fail(where, "echo", status=int(failure), times=99)
        code, text = shown(small)
        assert hub.faults[0].times < 99, f"no request is {where}"
        # A repository that is not there is one to be made; the validation of a card is left out where it fails.
        failed += code == 2
        assert code in (0, 2)
        for secret in SECRETS:
            assert secret not in text, text
            assert secret not in stored(hub)
        assert "Traceback" not in text
    assert failed >= 4
    assert on_disk(tmp_path) == []


@pytest.mark.slow
def test_a_whole_publication_leaves_the_token_nowhere(
    hub: HubServer, program: Program, open_folder: Path, tmp_path: Path
) -> None:
    """With the client's own debugging on, which prints every request."""
    hub.fail("PUT /lfs/", status=503)
    arguments = ("-m", "cotgen", "publish", open_folder, "--repo", REPO, "--tag", "v1.0.0")
    child = program(*arguments, HF_DEBUG="1", HF_HUB_VERBOSITY="debug")
    out, err = child.communicate()
    assert child.returncode == 0, err
    assert "503 thrown while requesting PUT" in err
    assert on_disk(tmp_path) == []
    for secret in SECRETS:
        assert secret not in out + err
        assert secret not in stored(hub)


@pytest.mark.slow
@pytest.mark.parametrize("token", [TOKEN, "of-another-form.than/usual", "hf_withé"])
def test_a_defect_of_cotgen_shows_its_traceback_without_the_token(
    program: Program, small: Path, hub: HubServer, token: str
) -> None:
    code = """
import os, sys
import cotgen.hub.publish as publish

def broken(*given):
    raise KeyError("Authorization: " + os.environ["HF_TOKEN"])

if sys.argv[-1] == "broken":
    publish._upload = broken
    del sys.argv[-1]
from cotgen.cli import main
main()
"""
    child = program("-c", code, "publish", small, "--repo", REPO, "broken", HF_TOKEN=token)
    out, err = child.communicate()
    assert token not in out + err
    if token.isascii():
        assert (child.returncode, "Traceback" in err, "KeyError: 'Authorization: ***'" in err) == (1, True, True), err
    else:
        assert (child.returncode, "Traceback" in err) == (2, False), err


def test_neither_does_a_viewer_of_a_set_on_the_hub(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Neither where it opens the set, nor later where a page asks for a sample whose shard is not here."""
    token = "of-another-form.than/usual"
    monkeypatch.setenv("HF_TOKEN", token)

    def broken(*given: str) -> Any:
        raise KeyError(f"Authorization: {token}")

    monkeypatch.setattr(browse, "open_repository", broken)
    with pytest.raises(typer.Exit) as ended:
        view("org/set")
    shown = capsys.readouterr().err
    assert ended.value.exit_code == 1
    assert "Traceback" in shown and "KeyError: 'Authorization: ***'" in shown and token not in shown
    monkeypatch.setattr(browse, "open_repository", lambda name: (tmp_path, broken))
    _, bring = located("org/set")
    assert bring is not None
    with pytest.raises(
        CotgenError, match=r"^data/a.tar of org/set was not downloaded: .*Authorization: \*\*\*"
    ) as said:
        bring("data/a.tar")
    assert token not in "".join(traceback.format_exception(said.value))


@pytest.mark.slow
@pytest.mark.parametrize("user", [f"user:{TOKEN}", TOKEN])
def test_a_token_in_the_address_of_the_hub_is_refused(
    hub: HubServer, program: Program, small: Path, user: str
) -> None:
    endpoint = hub.url.replace("http://", f"http://{user}@")
    child = program("-m", "cotgen", "publish", small, "--repo", REPO, HF_ENDPOINT=endpoint)
    out, err = child.communicate()
    assert (child.returncode, hub.requests) == (2, [])
    assert "HF_ENDPOINT holds a user or a token before its host" in err
    assert TOKEN not in out + err


def test_what_is_discreet_keeps_the_rest() -> None:
    text = (
        "PUT https://user:pass@store.example/lfs/ab?X-Amz-Signature=1&b=2 failed for hf_oauth_a.b-c, Bearer x.y/z= (4)"
    )
    assert discreet(text) == "PUT https://store.example/lfs/ab?*** failed for ***, Bearer *** (4)"
    assert discreet("key odd-token.1 in it", ["odd-token.1", ""]) == "key *** in it"
    record = logging.LogRecord("hub", logging.INFO, "", 0, "asked %s", ("http://h/a?s=1",), None)
    assert DiscreetFilter().filter(record)
    assert record.getMessage() == "asked http://h/a?***"
