"""Pulling from the test Hub with the real client: pinned, whole or not there, and hydrated from there."""

import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotgen.cli import main
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.hub.publish import Publication
from cotgen.hub.pull import Pulled, Pulling, named
from cotgen.hub.repos import MAIN, Repo, StoredFile
from cotgen.hub.testing import HubServer
from cotgen.shards.manifest import MANIFEST, SUMS, load, seal
from cotgen.shards.strip import without_pictures
from cotgen.shards.verify import verify
from tests.hub.conftest import TOKEN
from tests.shards.samples import Made, make, write_folder

hf = pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.usefixtures("lfs")

REPO = "lab/set"
FILES = "GET /datasets/lab/set/resolve/"
Pull = Callable[..., Pulled]


@pytest.fixture
def api(hub: HubServer) -> Any:
    return hf.HfApi(endpoint=hub.url, token=TOKEN)


@pytest.fixture(scope="module")
def bare(closed: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set without pictures. Never write into it."""
    base = tmp_path_factory.mktemp("bare")
    without_pictures(write_folder(closed, base / "set", shards=2), base / "bare")
    return base / "bare"


@pytest.fixture
def released(hub: HubServer, bare: Path) -> Path:
    """The folder that is v1.0.0. Main goes on with a note of its owner."""
    repo = hub.repos[REPO] = Repo(REPO, private=False)
    release(repo, files(bare), "v1.0.0")
    repo.commit(MAIN, "a note", {**repo.resolve(MAIN).tree, "notes.txt": StoredFile(b"mine", False)})
    return bare


def release(repo: Repo, content: dict[str, bytes], tag: str) -> None:
    """What is on the server after a publication."""
    tree = {name: StoredFile(data, name.endswith((".tar", ".parquet"))) for name, data in content.items()}
    repo.commit(MAIN, tag, {".gitattributes": repo.resolve(MAIN).tree[".gitattributes"], **tree})
    repo.tag(tag, MAIN)


@pytest.fixture
def pull(api: Any) -> Pull:
    def run(out: Path, revision: str = "v1.0.0", **given: Any) -> Pulled:
        return Pulling(REPO, revision, out, **{"api": api, **given}).pull()

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_name_with_or_without_a_revision() -> None:
    assert named("lab/set") == ("lab/set", "main")
    assert named("lab/set@v1.0.0") == ("lab/set", "v1.0.0")
    assert [named(text) for text in ("set", "a/b/c", "lab/set@", "/lab/set", "lab/set@-x")] == [None] * 5


def test_the_folder_is_the_release_and_nothing_else(
    hub: HubServer, released: Path, pull: Pull, tmp_path: Path
) -> None:
    said: list[str] = []
    done = pull(tmp_path / "out", say=said.append)
    assert files(tmp_path / "out") == files(released)
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))
    assert (done.revision, done.files) == (hub.repos[REPO].tags["v1.0.0"], len(files(released)))
    assert said[0] == f"{REPO} at v1.0.0 is commit {done.revision}."
    assert f"ds = cotgen.open('{tmp_path / 'out'}')" in done.loading
    assert verify(tmp_path / "out").ok
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_the_same_call_again_asks_for_no_file(hub: HubServer, released: Path, pull: Pull, tmp_path: Path) -> None:
    first = pull(tmp_path / "out")
    asked = hub.asked(FILES)
    again = pull(tmp_path / "out", "main")
    assert (again.files, hub.asked(FILES)) == (0, asked), "the note of its owner is no part of the data set"
    assert again.revision == hub.repos[REPO].branches[MAIN] != first.revision


@pytest.mark.parametrize("kind", ["cut", "torn", "status", "reset"])
def test_an_interrupted_download_goes_on(
    hub: HubServer, released: Path, pull: Pull, tmp_path: Path, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.fail(f"{FILES}.*train-00000", kind, status=500, times=100)
    with pytest.raises(CotgenError, match="ownloading lab/set failed"):
        pull(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    hub.faults.clear()
    pull(tmp_path / "out")
    assert files(tmp_path / "out") == files(released)
    assert hub.asked(f"{FILES}.*/{SUMS}") == 1, "what was there is not asked for again"


def test_other_bytes_of_the_server_are_named_and_never_taken_for_whole(
    hub: HubServer, released: Path, pull: Pull, tmp_path: Path
) -> None:
    repo = hub.repos[REPO]
    commit = repo.resolve("v1.0.0")
    good = commit.tree["index.parquet"]
    commit.tree["index.parquet"] = StoredFile(bytes([good.data[0] ^ 1]) + good.data[1:], True)
    with pytest.raises(CotgenError, match=r"is not whole: index\.parquet has another sha256 .* fetched anew"):
        pull(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    commit.tree["index.parquet"] = good
    pull(tmp_path / "out")
    assert files(tmp_path / "out") == files(released)


def test_a_damaged_folder_is_mended_and_the_rest_kept(
    hub: HubServer, released: Path, pull: Pull, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pull(out)
    shards = sorted((out / "data").iterdir())
    data = bytearray(shards[0].read_bytes())
    data[700] ^= 1
    shards[0].write_bytes(data)
    hub.requests.clear()
    pull(out)
    assert files(out) == files(released)
    assert hub.asked(f"{FILES}.*/{shards[0].name}") > 0
    assert [r for r in hub.requests if r.method == "GET" and r.path.endswith(shards[1].name)] == []


def test_a_folder_that_is_not_ours_is_left_alone(hub: HubServer, released: Path, pull: Pull, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("mine")
    with pytest.raises(CotgenError, match="holds files that are no data set; nothing was touched"):
        pull(tmp_path / "notes")
    pull(tmp_path / "out")
    without_pictures(write_folder(make(("cholec80/01",), seconds=3), tmp_path / "two"), tmp_path / "two-bare")
    release(hub.repos[REPO], files(tmp_path / "two-bare"), "v1.1.0")
    before = files(tmp_path / "out")
    with pytest.raises(CotgenError, match=r"holds another data set, or another revision of lab/set"):
        pull(tmp_path / "out", "v1.1.0")
    assert files(tmp_path / "out") == before


def test_a_manifest_that_climbs_out_is_refused_before_a_file_is_asked_for(
    hub: HubServer, released: Path, pull: Pull, tmp_path: Path
) -> None:
    bad = Path(shutil.copytree(released, tmp_path / "bad"))
    manifest = load(bad)
    shards = [shard.model_copy(update={"file": f"../../{shard.file}"}) for shard in manifest.shards]
    seal(bad, manifest.model_copy(update={"shards": shards}))
    release(hub.repos[REPO], files(bad), "v1.1.0")
    with pytest.raises(CotgenError, match="no file of a data set"):
        pull(tmp_path / "out", "main")
    assert hub.asked(f"{FILES}.*[.]tar") == 0


def test_what_the_hub_refuses_is_a_sentence_without_a_token(
    hub: HubServer, api: Any, released: Path, pull: Pull, tmp_path: Path
) -> None:
    with pytest.raises(CotgenError, match=r"Reading v9 of lab/set failed: .*404.*Check the name and the revision"):
        pull(tmp_path / "out", "v9")
    stranger = hf.HfApi(endpoint=hub.url, token=False)
    hub.repos[REPO].gated = "auto"
    with pytest.raises(CotgenError, match=r"failed: .*401.*of a gated one the terms must be accepted"):
        pull(tmp_path / "out", api=stranger)
    hub.repos[REPO].commit(MAIN, "empty", {})
    with pytest.raises(CotgenError, match="holds no finished data set of cotgen"):
        pull(tmp_path / "out", "main")
    hub.fail("GET /api", status=403, times=100)
    with pytest.raises(CotgenError) as caught:
        pull(tmp_path / "out")
    assert TOKEN not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def cli(api: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Run `cotgen ...` here; returns exit code, output and errors."""
    monkeypatch.setattr("cotgen.hub.remote._environment", lambda: api)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cotgen", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_the_command_prints_the_revision_and_what_loads_it(hub: HubServer, released: Path, cli: Any) -> None:
    code, said, _ = cli("pull", f"{REPO}@v1.0.0", "--out", "out")
    commit = hub.repos[REPO].tags["v1.0.0"]
    assert (code, f"out is {REPO} at revision {commit}: {len(files(released))} files downloaded." in said) == (0, True)
    assert "ds = cotgen.open(" in said
    code, said, _ = cli("pull", f"{REPO}@v1.0.0", "--out", "out")
    assert (code, "nothing to do" in said) == (0, True)
    code, _, wrong = cli("pull", "set", "--out", "out")
    assert (code, "write ORG/NAME or ORG/NAME@v1.0.0" in wrong) == (2, True)


def content(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(folder).items() if name.startswith("data/") or name == "index.parquet"}


def test_a_release_is_hydrated_from_the_hub_bit_for_bit(hub: HubServer, api: Any, built: Path, cli: Any) -> None:
    """JPEGs of the source go in as they are, so this holds for any version of the encoder."""
    without_pictures(built, Path("without"))
    Publication(Path("without"), REPO, "v1.0.0", api=api).publish()
    arguments = ("hydrate", f"{REPO}@v1.0.0", "--root", built.parent / "demo", "--out", "out", "--workers", 1)
    code, said, wrong = cli(*arguments)
    assert code == 0, wrong
    assert f"{load(built).counts['samples']:,} of {load(built).counts['samples']:,} samples are in" in said
    assert content(Path("out")) == content(built)
    assert verify(Path("out")).ok
    asked = hub.asked(FILES)
    code, said, _ = cli(*arguments)
    assert (code, "Nothing to do" in said, hub.asked(FILES)) == (0, True, asked)
    code, _, wrong = cli("hydrate", "lab/other", "--root", built.parent / "demo", "--out", "new")
    assert (code, wrong.startswith("lab/other is no folder here. Reading main of lab/other failed")) == (2, True)
    code, _, wrong = cli("hydrate", "some/where/else", "--out", "new")
    assert (code, "is no folder, and names no data set on the Hub" in wrong) == (2, True)
    assert not Path("new").exists()


@pytest.mark.slow
def test_pulls_killed_at_random_requests_end_alike(
    hub: HubServer, released: Path, program: Callable[..., Any], tmp_path: Path
) -> None:
    arguments = ("-m", "cotgen", "pull", f"{REPO}@v1.0.0", "-q", "--out")
    first = program(*arguments, tmp_path / "first")
    assert first.communicate()[1] == "" and first.returncode == 0
    requests, out = len(hub.requests), tmp_path / "out"
    for number in range(12):
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(out.with_name(f".{out.name}.pull"), ignore_errors=True)
        left = 1 + draw(0, "pull", str(number)) % requests
        child = program(*arguments, out)

        def kill(line: str, child: Any = child) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                child.send_signal(signal.SIGKILL)

        hub.before = kill
        child.communicate()
        hub.before = None
        assert (child.returncode, (out / MANIFEST).exists()) == (-signal.SIGKILL, False)
        again = program(*arguments, out)
        errors = again.communicate()[1]
        # The client says so where the kill cut off one of its own notes.
        assert again.returncode == 0 and not [line for line in errors.splitlines() if "Invalid metadata" not in line]
        assert files(out) == files(released)


def test_mending_a_folder_removes_nothing_outside_of_it(
    hub: HubServer, released: Path, pull: Pull, tmp_path: Path
) -> None:
    """Who got the same manifest in another way than by pulling has it in a folder already."""
    (tmp_path / "mine.txt").write_text("mine")
    out = Path(shutil.copytree(released, tmp_path / "out"))
    manifest = load(out)
    climbing = {**manifest.files, "../mine.txt": "0" * 64}
    (out / MANIFEST).write_bytes(manifest.model_copy(update={"files": climbing}).to_json())
    release(hub.repos[REPO], files(out), "v1.1.0")
    with pytest.raises(CotgenError, match=r"names '\.\./mine\.txt', which is no file of a data set"):
        pull(out, "v1.1.0")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_nobody_else_pulls_while_a_damaged_folder_is_mended(hub: HubServer, released: Path, cli: Any) -> None:
    """Its files lie beside it then, and its name is free."""
    from cotgen.cli.hydrate import _pull

    assert cli("pull", f"{REPO}@v1.0.0", "--out", "out")[0] == 0
    out = Path("out").resolve()
    shard = min((out / "data").iterdir())
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    refused: list[str] = []

    def second(line: str) -> None:
        if "/resolve/" in line and not refused:
            refused.append("")
            try:
                _pull((REPO, "v1.0.0"), out, quiet=True)
            except CotgenError as error:
                refused[0] = str(error)

    hub.before = second
    code, _, wrong = cli("pull", f"{REPO}@v1.0.0", "--out", "out")
    assert (code, "Another cotgen is writing to" in refused[0]) == (0, True), wrong
    assert files(out) == files(released)
    assert [path.name for path in out.parent.iterdir() if path.name.startswith(".out")] == []


@pytest.mark.parametrize("command", ["pull", "hydrate"])
def test_a_defect_of_cotgen_shows_its_traceback_without_the_token(
    released: Path, cli: Any, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def broken(*given: object) -> None:
        raise KeyError(f"Authorization: {TOKEN} and of-another-form")

    monkeypatch.setenv("HF_TOKEN", "of-another-form")
    monkeypatch.setattr(Pulling, "pull", broken)
    code, said, wrong = cli(command, f"{REPO}@v1.0.0", "--out", "out")
    assert (code, "Traceback" in wrong, "KeyError: 'Authorization: *** and ***'" in wrong) == (1, True, True)
    assert not [secret for secret in (TOKEN, "of-another-form") if secret in said + wrong]
