"""Publishing against the test Hub, with the real client: whole, once, and whatever happens on the way."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cotgen.hub.publish as publish_module
from cotgen.cli import main
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.hub.card import Release
from cotgen.hub.licences import LicenceError
from cotgen.hub.publish import Publication, Published
from cotgen.hub.repos import MAIN, Repo, StoredFile
from cotgen.hub.testing import HubServer
from cotgen.shards.manifest import CARD_FILE, CROISSANT, MANIFEST, README, SUMS, load
from cotgen.shards.verify import verify
from tests.hub.conftest import REPO, TOKEN
from tests.shards.samples import make, write_folder

hf = pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.usefixtures("lfs")

WRITES = "(POST|PUT|DELETE) (?!/api/validate-yaml|.*/paths-info/)"
Publish = Callable[..., Published]
Program = Callable[..., "subprocess.Popen[str]"]
Quick = Callable[..., None]


@pytest.fixture
def api(hub: HubServer) -> Any:
    return hf.HfApi(endpoint=hub.url, token=TOKEN)


@pytest.fixture
def send(api: Any) -> Publish:
    def run(folder: Path, tag: str = "v1.0.0", **given: Any) -> Published:
        return Publication(folder, REPO, tag, api=api, **given).publish()

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def published(repo: Repo, revision: str = MAIN) -> dict[str, bytes]:
    tree = repo.resolve(revision).tree
    return {path: file.data for path, file in tree.items() if path != ".gitattributes"}


def assert_whole(hub: HubServer, folder: Path, tag: str = "v1.0.0") -> Repo:
    """The tree is the folder, by one merge, tagged, gated and public, and nothing is left half-done."""
    repo = hub.repos[REPO]
    assert published(repo) == files(folder)
    assert repo.tags[tag] == repo.branches[MAIN]
    assert [pull.status for pull in repo.pulls] == ["merged"]
    assert len(repo.history()) == 2
    assert (repo.private, repo.gated) == (False, "auto")
    return repo


def test_a_folder_is_published_whole_and_tagged(hub: HubServer, send: Publish, open_folder: Path) -> None:
    said: list[str] = []
    done = send(open_folder, say=said.append)
    repo = assert_whole(hub, open_folder)
    assert (done.revision, done.tag, done.files) == (repo.branches[MAIN], "v1.0.0", len(files(open_folder)))
    data, last = repo.history("refs/pr/1")[1::-1]
    last_of_all = {README, CROISSANT, SUMS, MANIFEST}
    assert {path for path in data.tree if path != ".gitattributes"} == {*files(open_folder)} - last_of_all
    assert {"preview/train.tar", "preview/train.parquet", "pictures/sample-1.jpg"} < {*data.tree}
    assert {path: file.data for path, file in last.tree.items() if path != ".gitattributes"} == files(open_folder)
    assert done.loading[1] == f'ds = load_dataset("{REPO}", revision="{done.revision}", streaming=True)'
    assert said[0].startswith("Verifying")
    created, opened = (
        hub.requests.index(next(r for r in hub.requests if word in r.path)) for word in ("create", "settings")
    )
    assert created < opened


def test_nothing_new_is_no_commit_and_no_request_that_writes(hub: HubServer, send: Publish, open_folder: Path) -> None:
    first = send(open_folder)
    commits, asked = dict(hub.repos[REPO].commits), hub.asked(WRITES)
    again = send(open_folder)
    assert (again.revision, again.files) == (first.revision, 0)
    assert (hub.repos[REPO].commits, hub.asked(WRITES)) == (commits, asked)


@pytest.fixture
def quick(carded: Path, monkeypatch: pytest.MonkeyPatch) -> Quick:
    """Let other pictures be drawn, as by other versions of Pillow and matplotlib, where the card is made anew."""
    there = {name: (carded / name).read_bytes() for name in load(carded).files if CARD_FILE.fullmatch(name)}

    def draw_with(more: bytes, *, pictures: bool = True) -> None:
        def made(release: Release) -> dict[str, bytes]:
            text = b"---\npretty_name: x\n---\n# A card\n<!-- cotgen card %s -->\n" % release.key.encode()
            drawn = {name: data + more for name, data in there.items() if name.startswith(("preview/", "pictures/"))}
            return {**(drawn if pictures else {}), README: text, CROISSANT: more or b"{}"}

        monkeypatch.setattr(publish_module, "make_card", made)

    return draw_with


def test_another_machine_changes_no_byte_of_what_is_published(
    hub: HubServer, api: Any, send: Publish, plain_folder: Path, tmp_path: Path, quick: Quick
) -> None:
    """It has the same shards and no card, and its pictures would come out otherwise."""
    there = Path(shutil.copytree(plain_folder, tmp_path / "there"))
    tagless = Path(shutil.copytree(plain_folder, tmp_path / "tagless"))
    quick(b"")
    first = send(plain_folder)
    quick(b"drawn otherwise")
    commits, asked = dict(hub.repos[REPO].commits), hub.asked(WRITES)
    assert Publication(there, REPO, "v1.0.0", api=api).plan()[:-1] == []
    again = send(there)
    assert (again.revision, again.files, files(there)) == (first.revision, 0, files(plain_folder))
    assert (hub.repos[REPO].commits, hub.asked(WRITES)) == (commits, asked)
    changed = send(tagless, "")
    assert changed.files == len([name for name in load(tagless).files if CARD_FILE.fullmatch(name)]) + 2, (
        "another card"
    )


@pytest.mark.parametrize("where", ["POST .*/merge$", "POST .*/commit/ 2"])
def test_another_machine_finishes_what_one_began(
    hub: HubServer, send: Publish, plain_folder: Path, tmp_path: Path, quick: Quick, where: str
) -> None:
    there = Path(shutil.copytree(plain_folder, tmp_path / "there"))
    quick(b"")
    hub.fail(where.removesuffix(" 2"), "status", status=500, skip=int(where.endswith(" 2")))
    with pytest.raises(CotgenError, match="run the same command again"):
        send(plain_folder)
    quick(b"drawn otherwise")
    send(there)
    assert_whole(hub, there)
    stamp = (there / MANIFEST).stat().st_mtime_ns
    send(there)
    assert (there / MANIFEST).stat().st_mtime_ns == stamp


def test_a_card_that_was_changed_on_the_server_is_not_taken_for_ours(
    hub: HubServer, send: Publish, plain_folder: Path, tmp_path: Path, quick: Quick
) -> None:
    there = Path(shutil.copytree(plain_folder, tmp_path / "there"))
    quick(b"")
    send(plain_folder, "")
    repo = hub.repos[REPO]
    tree = dict(repo.resolve(MAIN).tree)
    edited = tree[README].data.replace(b"# A card", b"# Buy this")
    repo.commit(MAIN, "an edit", {**tree, README: StoredFile(edited, False)})
    send(there, "")
    assert published(repo) == files(there) == files(plain_folder)


def test_pictures_that_cannot_be_made_stop_it_before_anything_is_written(
    hub: HubServer, send: Publish, plain_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("no font")

    monkeypatch.setattr("cotgen.hub.card.pictures", broken)
    before = files(plain_folder)
    with pytest.raises(CotgenError, match=r"pictures of the card cannot be made .*Nothing was published"):
        send(plain_folder)
    assert (hub.asked(WRITES), hub.repos, files(plain_folder)) == (0, {}, before)


def test_a_release_with_less_removes_what_is_ours_and_nothing_else(
    hub: HubServer, send: Publish, open_folder: Path, closed_folder: Path, tmp_path: Path, quick: Quick
) -> None:
    send(open_folder)
    repo = hub.repos[REPO]
    mine = {name: StoredFile(b"mine", False) for name in ("pictures/mine.png", "preview/notes.txt", "assets/a.png")}
    repo.commit(MAIN, "of the owner", {**repo.resolve(MAIN).tree, **mine})
    quick(b"", pictures=False)
    bare = strip(closed_folder, tmp_path / "bare")
    for name in ("preview/validation.tar", "pictures/sample-1.jpg"):
        assert name in published(repo)
    done = send(bare, "v2.0.0")
    assert published(repo) == {**files(bare), **dict.fromkeys(mine, b"mine")}
    assert {"preview/validation.tar", "pictures/sample-1.jpg", "pictures/lengths.png"} < set(done.removed)


def test_a_dry_run_says_what_would_happen_and_changes_nothing(
    hub: HubServer, api: Any, send: Publish, plain_folder: Path, open_folder: Path
) -> None:
    before = files(plain_folder)
    steps = Publication(plain_folder, REPO, "v1.0.0", api=api).plan()
    assert files(plain_folder) == before, "the card that it foresees is not written"
    count = len(files(open_folder))
    assert steps[0] == f"Create {REPO}, private."
    assert steps[1].startswith(f"Upload {count} of {count} files (")
    assert steps[-2:] == ["Tag the commit as v1.0.0.", "Leave it public, gated: readers accept the terms first."]
    assert (hub.asked(WRITES), hub.repos) == (0, {})
    size = sum(map(len, files(open_folder).values()))
    assert f"({size:,} bytes)" in steps[1]
    send(open_folder)
    assert Publication(open_folder, REPO, "v1.0.0", api=api).plan() == [steps[-1]]


def test_a_new_release_replaces_the_old_one_whose_tag_stays(
    hub: HubServer, send: Publish, closed_folder: Path, tmp_path: Path
) -> None:
    bare = strip(closed_folder, tmp_path / "one")
    first = send(bare)
    repo = hub.repos[REPO]
    repo.commit(MAIN, "a note of the owner", {**repo.resolve(MAIN).tree, "notes.txt": StoredFile(b"mine", False)})
    other = strip(write_folder(make(("cholec80/01",), seconds=3), tmp_path / "set", shards=1), tmp_path / "two")
    with pytest.raises(CotgenError, match="A tag is never moved"):
        send(other)
    assert len(repo.pulls) == 1
    second = send(other, "v1.1.0")
    assert published(repo) == {**files(other), "notes.txt": b"mine"}
    assert set(second.removed) == {*files(bare)} - {*files(other)} != set()
    assert repo.tags == {"v1.0.0": first.revision, "v1.1.0": second.revision}
    assert published(repo, "v1.0.0") == files(bare)
    assert send(bare).revision == first.revision, "an old release is still there, so there is nothing to do"
    assert published(repo) == {**files(other), "notes.txt": b"mine"}


def strip(folder: Path, out: Path) -> Path:
    from cotgen.shards.strip import without_pictures

    without_pictures(folder, out)
    return out


@pytest.mark.parametrize("kind", ["status", "lost"])
@pytest.mark.parametrize(
    "where",
    [
        "POST /api/repos/create",
        "POST .*/discussions$",
        "POST .*/commit/",
        "POST .*/commit/ 2",
        "POST .*/status$",
        "POST .*/merge$",
        "POST .*/tag/",
        "PUT .*/settings$",
        "PUT .*/settings$ 2",
    ],
)
def test_the_same_call_goes_on_after_a_failure(
    hub: HubServer, send: Publish, open_folder: Path, where: str, kind: Any
) -> None:
    hub.fail(where.removesuffix(" 2"), kind, status=500, skip=int(where.endswith(" 2")))
    with pytest.raises(CotgenError, match=r"failed: .*\. What was done stays done; run the same command again"):
        send(open_folder)
    send(open_folder)
    assert_whole(hub, open_folder)


def test_a_damaged_upload_never_reaches_main(hub: HubServer, send: Publish, open_folder: Path) -> None:
    hub.fail("PUT /lfs/", "damage")
    with pytest.raises(CotgenError, match="another sha256 than was announced"):
        send(open_folder)
    assert published(hub.repos[REPO]) == {}
    send(open_folder)
    assert_whole(hub, open_folder)


def test_a_server_that_holds_other_bytes_is_found_out(hub: HubServer, send: Publish, open_folder: Path) -> None:
    """The index is exchanged on the server after it was uploaded, before the pull request is finished."""

    def exchange(line: str) -> None:
        repo = hub.repos.get(REPO)
        if repo and line == f"GET /api/datasets/{REPO}/revision/refs/pr/1":
            head = repo.resolve("refs/pr/1").tree
            if "index.parquet" in head and MANIFEST not in head:
                size = len(head["index.parquet"].data)
                repo.commit("refs/pr/1", "bad", {**head, "index.parquet": StoredFile(bytes(size), True)})

    hub.before = exchange
    with pytest.raises(CotgenError, match=r"1 files are not on the server as they are here \(index.parquet\)"):
        send(open_folder)
    hub.before = None
    assert published(hub.repos[REPO]) == {}
    send(open_folder)
    assert published(hub.repos[REPO]) == files(open_folder)


def test_another_writer_of_the_pull_request_is_noticed(hub: HubServer, send: Publish, open_folder: Path) -> None:
    def meddle(line: str) -> None:
        repo = hub.repos.get(REPO)
        if repo and line.startswith("POST") and "/commit/refs/pr/1" in line and len(repo.history("refs/pr/1")) == 2:
            hub.before = None
            repo.commit("refs/pr/1", "meanwhile", repo.resolve("refs/pr/1").tree)

    hub.before = meddle
    with pytest.raises(CotgenError, match=r"412 .*somebody else changed the pull request meanwhile"):
        send(open_folder)
    send(open_folder)
    assert_whole(hub, open_folder)


def test_main_that_changed_meanwhile_is_noticed(hub: HubServer, send: Publish, open_folder: Path) -> None:
    def meddle(line: str) -> None:
        if line.endswith("/merge"):
            hub.before = None
            repo = hub.repos[REPO]
            tree = {**repo.resolve(MAIN).tree, "data/train-extra.tar": StoredFile(b"x", True)}
            repo.commit(MAIN, "meanwhile", tree)

    hub.before = meddle
    with pytest.raises(CotgenError, match=r"differs in data/train-extra\.tar: somebody else changed main"):
        send(open_folder)
    assert hub.repos[REPO].tags == {}
    send(open_folder)
    assert published(hub.repos[REPO]) == files(open_folder)


def test_a_public_repository_gets_its_gate_before_a_file_and_keeps_a_stricter_one(
    hub: HubServer, api: Any, send: Publish, open_folder: Path
) -> None:
    api.create_repo(REPO, repo_type="dataset", private=False)
    send(open_folder)
    lines = [f"{item.method} {item.path}" for item in hub.requests]
    assert lines.index(f"PUT /api/datasets/{REPO}/settings") < lines.index(f"POST /api/datasets/{REPO}/discussions")
    api.update_repo_settings(REPO, repo_type="dataset", gated="manual")
    send(open_folder, visibility="private")
    assert (hub.repos[REPO].private, hub.repos[REPO].gated) == (True, "manual")


def test_a_damaged_folder_or_a_refused_one_asks_the_server_nothing(
    hub: HubServer, send: Publish, open_folder: Path, closed_folder: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(open_folder, damaged)
    shard = min((damaged / "data").iterdir())
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CotgenError, match=f"is not whole .*{shard.name}.*Nothing was published"):
        send(damaged)
    with pytest.raises(LicenceError, match="Cholec80"):
        send(closed_folder)
    with pytest.raises(CotgenError, match="give --repo ORG/NAME"):
        Publication(open_folder, "set").publish()
    assert hub.requests == []


@pytest.fixture
def cli(api: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run `cotgen publish ...` here; returns exit code, output and errors."""
    monkeypatch.setattr("cotgen.hub.remote._environment", lambda: api)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cotgen", "publish", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        shown = capsys.readouterr()
        return (caught.value.code if isinstance(caught.value.code, int) else 0), shown.out, shown.err

    return run


def test_what_has_frames_of_cholec80_goes_without_them(hub: HubServer, cli: Any, closed_folder: Path) -> None:
    code, _, err = cli(closed_folder, "--repo", REPO)
    assert (code, "give --frames reference" in err, hub.requests) == (2, True, [])
    bare = closed_folder.with_name("closed-reference")
    code, out, _ = cli(closed_folder, "--repo", REPO, "--frames", "reference", "--dry-run")
    assert (code, f"Create {REPO}, private." in out, bare.exists(), hub.repos) == (0, True, False, {})
    code, out, _ = cli(closed_folder, "--repo", REPO, "--frames", "reference", "--tag", "v1.0.0")
    assert (code, verify(bare).ok, load(bare).counts["images"]) == (0, True, 0)
    repo = assert_whole(hub, bare)
    last = out.splitlines()[-4:]
    assert last[0].startswith(f"{REPO} is at revision {repo.branches[MAIN]}, tag v1.0.0: ")
    assert last[1:] == [
        "from datasets import load_dataset",
        f'ds = load_dataset("{REPO}", revision="{repo.branches[MAIN]}", streaming=True)',
        'sample = next(iter(ds["train"]))',
    ]
    code, out, _ = cli(closed_folder, "--repo", REPO, "--frames", "reference", "--tag", "v1.0.0", "-q")
    assert (code, "nothing new" in out, len(repo.history())) == (0, True, 2)


def faults() -> Iterator[tuple[str, str]]:
    yield "GET ", "status"
    yield "POST .*/commit/", "status"
    yield "POST .*/merge$", "lost"
    yield "PUT /lfs/", "damage"


@pytest.mark.parametrize(("where", "kind"), faults())
def test_a_token_is_never_said(
    hub: HubServer, cli: Any, open_folder: Path, where: str, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hub.fail(where, kind, status=403)
    code, out, err = cli(open_folder, "--repo", REPO)
    assert code == 2
    assert "failed" in err
    assert TOKEN not in out + err + caplog.text
    assert "Traceback" not in err


def test_who_may_not_write_is_told_to_log_in(hub: HubServer, api: Any, open_folder: Path) -> None:
    stranger = hf.HfApi(endpoint=hub.url, token=False)
    with pytest.raises(CotgenError, match=r"Creating lab/set failed: .*401.*hf auth login"):
        Publication(open_folder, REPO, api=stranger).publish()


@pytest.mark.slow
def test_twenty_publishes_killed_at_random_requests_end_alike(
    hub: HubServer, program: Program, open_folder: Path
) -> None:
    arguments = ("-m", "cotgen", "publish", open_folder, "--repo", REPO, "--tag", "v1.0.0", "-q")

    def run() -> subprocess.Popen[str]:
        return program(*arguments)

    first = run()
    out, err = first.communicate()
    assert first.returncode == 0, err
    assert_whole(hub, open_folder)
    requests = len(hub.requests)
    for number in range(20):
        hub.repos.clear()
        hub.requests.clear()
        left = 1 + draw(0, "publish", str(number)) % requests
        child = run()

        def kill(line: str, child: subprocess.Popen[str] = child) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                child.send_signal(signal.SIGKILL)

        hub.before = kill
        child.communicate()
        hub.before = None
        assert child.returncode == -signal.SIGKILL
        again = run()
        _, err = again.communicate()
        assert again.returncode == 0, err
        repo = assert_whole(hub, open_folder)
        commits = dict(repo.commits)
        third = run()
        out, _ = third.communicate()
        assert ("nothing new" in out, repo.commits) == (True, commits)


@pytest.mark.slow
def test_the_printed_lines_load_what_was_published(
    hub: HubServer, send: Publish, program: Program, open_folder: Path
) -> None:
    done = send(open_folder)
    code = "\n".join([*done.loading, 'print(sample["__key__"], sample["json"]["key"], sample["jpg"].size)'])
    out, err = program("-c", code).communicate()
    assert len(out.split()) == 4 and len(set(out.split()[:2])) == 1, err
    code = f"from datasets import load_dataset\nprint(sum(map(len, load_dataset('{REPO}').values())))"
    out, err = program("-c", code).communicate()
    assert out.strip() == str(load(open_folder).counts["samples"]), err
    snapshot = f"from huggingface_hub import snapshot_download as s\nprint(s('{REPO}', repo_type='dataset'))"
    out, err = program("-c", snapshot).communicate()
    assert verify(Path(out.strip())).ok, err
