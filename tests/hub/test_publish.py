"""Publishing against the test Hub, with the real client: whole, once, and whatever happens on the way."""

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cotgen.hub.publish as publish_module
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


@pytest.mark.slow
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


@pytest.mark.parametrize("tag", ["v1.0.0", ""])
@pytest.mark.slow
def test_a_machine_that_was_overtaken_gives_its_own_card_up(
    hub: HubServer, send: Publish, plain_folder: Path, tmp_path: Path, quick: Quick, tag: str
) -> None:
    """Its card was made and could not be uploaded; meanwhile another one published the same shards."""
    there = Path(shutil.copytree(plain_folder, tmp_path / "there"))
    quick(b"drawn otherwise")
    hub.fail("POST /api/repos/create", "status", status=500)
    with pytest.raises(CotgenError, match="run the same command again"):
        send(there, tag)
    quick(b"")
    first = send(plain_folder, tag)
    commits = dict(hub.repos[REPO].commits)
    assert files(there) != files(plain_folder)
    again = send(there, tag)
    assert (again.revision, again.files, files(there)) == (first.revision, 0, files(plain_folder))
    assert hub.repos[REPO].commits == commits


@pytest.mark.slow
def test_another_version_of_cotgen_leaves_a_release_and_its_folder_as_they_are(
    hub: HubServer, send: Publish, open_folder: Path, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(open_folder)
    before, asked = files(open_folder), hub.asked(WRITES)
    monkeypatch.setattr("cotgen.__version__", "99.0.0")
    quick(b"drawn otherwise")
    with pytest.raises(CotgenError, match="which holds the same data with another card, as another version of cotgen"):
        send(open_folder)
    assert (files(open_folder), hub.asked(WRITES)) == (before, asked)


@pytest.mark.parametrize("where", ["POST .*/merge$", "POST .*/commit/ 2"])
@pytest.mark.slow
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


@pytest.mark.parametrize("edited", [README, SUMS])
@pytest.mark.slow
def test_a_card_that_was_changed_on_the_server_is_not_taken_for_ours(
    hub: HubServer, send: Publish, plain_folder: Path, tmp_path: Path, quick: Quick, edited: str
) -> None:
    """Another text, or a list of checksums without the card's own line."""
    there = Path(shutil.copytree(plain_folder, tmp_path / "there"))
    quick(b"")
    send(plain_folder, "")
    repo = hub.repos[REPO]
    tree = dict(repo.resolve(MAIN).tree)
    lines = [line for line in tree[edited].data.splitlines(keepends=True) if not line.endswith(b"  README.md\n")]
    other = b"".join(lines).replace(b"# A card", b"# Buy this")
    assert other != tree[edited].data
    repo.commit(MAIN, "an edit", {**tree, edited: StoredFile(other, False)})
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another data set for the same repository as `small`."""
    return write_folder(make(("cholec80/02",), seconds=1, frames=False), tmp_path / "other")


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
@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
        api = hf.HfApi(endpoint=hub.url, token=TOKEN)
        listed = [item.path for item in api.list_repo_tree(REPO, repo_type="dataset", recursive=True)]
        assert len(listed) == len(set(listed))
        card = hf.DatasetCard(repo.resolve(MAIN).tree[README].data.decode())
        assert [split["split"] for split in card.data.configs[0]["data_files"]] == ["train", "validation", "test"]
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


@pytest.mark.slow
def test_two_publishers_of_one_folder_end_with_one_release(
    hub: HubServer, send: Publish, open_folder: Path, tmp_path: Path
) -> None:
    """A second machine publishes the same bytes while the first one is about to set the tag."""
    twin = shutil.copytree(open_folder, tmp_path / "twin")

    def overtake(line: str) -> None:
        if line.startswith("POST") and "/tag/" in line:
            hub.before = None
            send(twin)

    hub.before = overtake
    done = send(open_folder)
    repo = assert_whole(hub, open_folder)
    assert (done.revision, repo.tags) == (repo.branches[MAIN], {"v1.0.0": done.revision})


@pytest.mark.slow
def test_a_tag_that_somebody_sets_meanwhile_is_not_moved(hub: HubServer, send: Publish, open_folder: Path) -> None:
    def overtake(line: str) -> None:
        if line.startswith("POST") and "/tag/" in line:
            hub.before = None
            repo = hub.repos[REPO]
            repo.tag("v1.0.0", repo.history()[-1].sha)

    hub.before = overtake
    with pytest.raises(CotgenError, match="A tag is never moved"):
        send(open_folder)


@pytest.mark.slow
def test_another_release_that_comes_first_does_not_block_ours_for_ever(
    hub: HubServer, send: Publish, small: Path, other: Path
) -> None:
    """Two data sets go to one repository at once; the second merge would conflict, and is begun anew."""

    def overtake(line: str) -> None:
        if line.endswith("/discussions/1/status"):
            hub.before = None
            send(other, "v2.0.0")

    hub.fail("POST .*/discussions/1/status", status=500)
    hub.before = overtake
    with pytest.raises(CotgenError, match="500"):
        send(small)
    said: list[str] = []
    objects = hub.asked("PUT /lfs/")
    done = send(small, say=said.append)
    repo = hub.repos[REPO]
    assert any(text.startswith("Closing pull request 1: main has changed since") for text in said)
    assert hub.asked("PUT /lfs/") == objects, "nothing is sent twice"
    assert published(repo) == files(small)
    assert [pull.status for pull in repo.pulls] == ["closed", "merged", "merged"]
    assert repo.tags == {"v1.0.0": done.revision, "v2.0.0": repo.pulls[1].merged_as}


@pytest.mark.slow
def test_main_that_moves_while_we_upload_is_a_sentence(
    hub: HubServer, send: Publish, small: Path, other: Path
) -> None:
    def overtake(line: str) -> None:
        if line.startswith("POST") and "/commit/refs/pr/1" in line:
            hub.before = None
            send(other, "v2.0.0")

    hub.before = overtake
    with pytest.raises(CotgenError, match="Pull request 1 cannot be merged: somebody else changed main of lab/set"):
        send(small)
    assert published(hub.repos[REPO]) == files(other)
    send(small)
    assert published(hub.repos[REPO]) == files(small)


@pytest.mark.slow
def test_a_pull_request_of_our_title_with_other_files_is_not_taken(
    hub: HubServer, api: Any, send: Publish, small: Path
) -> None:
    """Whoever sees an interrupted upload in a public repository can open a pull request that looks like it."""
    hub.fail("POST .*/discussions$", status=500)
    with pytest.raises(CotgenError):
        send(small)
    repo = hub.repos[REPO]
    with pytest.MonkeyPatch.context() as patch:
        titles: list[str] = []
        patch.setattr(type(repo), "open_pull", lambda self, title, text: titles.append(title) or 1 / 0)
        with pytest.raises(CotgenError):
            send(small)
    stranger = repo.open_pull(titles[0], "")
    tree = {
        **repo.resolve(MAIN).tree,
        "train/evil.tar": StoredFile(b"x", True),
        ".gitattributes": StoredFile(b"", False),
    }
    repo.commit(stranger.ref, "mine", tree)
    send(small)
    assert published(repo) == files(small)
    assert repo.resolve(MAIN).tree[".gitattributes"].data != b""
    assert [pull.status for pull in repo.pulls] == ["closed", "merged"]


@pytest.mark.slow
def test_a_pull_request_that_its_owner_changes_while_we_fill_it_is_not_merged(
    hub: HubServer, send: Publish, small: Path
) -> None:
    def meddle(line: str) -> None:
        if line.startswith("POST") and "/commit/refs/pr/1" in line:
            hub.before = None
            repo = hub.repos[REPO]
            repo.commit(
                "refs/pr/1", "mine", {**repo.resolve("refs/pr/1").tree, "train/evil.tar": StoredFile(b"x", True)}
            )

    hub.before = meddle
    with pytest.raises(CotgenError, match=r"Somebody else changed train/evil\.tar in pull request 1 of lab/set"):
        send(small)
    assert published(hub.repos[REPO]) == {}
    send(small)
    assert published(hub.repos[REPO]) == files(small)


@pytest.mark.slow
def test_files_of_the_owner_stay(hub: HubServer, api: Any, send: Publish, small: Path) -> None:
    api.create_repo(REPO, repo_type="dataset", private=False)
    repo = hub.repos[REPO]
    tree = repo.resolve(MAIN).tree
    mine = {"LICENSE": StoredFile(b"CC", False), "notes/a.md": StoredFile(b"a", False)}
    repo.commit(MAIN, "mine", {**tree, **mine, "data/train-old.tar": StoredFile(b"x", True)})
    said: list[str] = []
    done = send(small, say=said.append)
    assert published(repo) == {**files(small), "LICENSE": b"CC", "notes/a.md": b"a"}
    assert repo.resolve(MAIN).tree[".gitattributes"] == tree[".gitattributes"]
    assert done.removed == ("data/train-old.tar",)
    assert "LICENSE, notes stays as it is; it is no part of the data set, and verifying a download names it." in said


@pytest.mark.parametrize(
    ("where", "status", "said"),
    [
        ("POST .*/discussions$", 403, "Its owner may have switched pull requests off: allow them in its settings"),
        ("POST .*/create$", 403, "with a token that may write to this organisation"),
        ("GET .*/refs$", 404, "it is not there, or not for you"),
        ("POST .*/merge$", 403, "with a token that may write to this organisation"),
    ],
)
@pytest.mark.slow
def test_what_is_refused_says_what_to_do(
    hub: HubServer, send: Publish, small: Path, where: str, status: int, said: str
) -> None:
    hub.fail(where, status=status)
    with pytest.raises(CotgenError, match=said):
        send(small)


def test_without_the_client_it_says_what_to_install(cli: Any, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("huggingface_hub.errors", "huggingface_hub.utils", "huggingface_hub"):
        monkeypatch.setitem(sys.modules, name, None)
    code, _, err = cli(small, "--repo", REPO, "--dry-run")
    assert (code, err) == (2, "This needs the Hub client: pip install 'cotgen[hub]'\n")


@pytest.mark.parametrize(
    ("repo", "tag", "said"),
    [
        ("lab/set", "main", "no name of a tag"),
        ("lab/set", "0123456789abcdef0123456789abcdef01234567", "no name of a tag"),
        ("lab/set", "v1..2", "no name of a tag"),
        ("lab/set", "v1.lock", "no name of a tag"),
        ("lab/set", "vé", "no name of a tag"),
        ("lab/a--b", "", "Give another --repo"),
        ("lab/set.git", "", "Give another --repo"),
        ("lab/sét", "", "give --repo ORG/NAME"),
    ],
)
def test_names_that_the_hub_would_misread_are_refused(
    hub: HubServer, api: Any, small: Path, repo: str, tag: str, said: str
) -> None:
    with pytest.raises(CotgenError, match=said):
        Publication(small, repo, tag, api=api).publish()
    assert hub.requests == []


@pytest.mark.slow
def test_an_organisation_with_dots_is_one(hub: HubServer, api: Any, small: Path) -> None:
    done = Publication(small, "st.mary.lab/set.v2", "v1.0.0", api=api).publish()
    assert published(hub.repos[done.repo]) == files(small)


def test_an_empty_build_is_a_sentence(hub: HubServer, send: Publish, small: Path) -> None:
    from cotgen.shards.manifest import seal

    seal(small, load(small).model_copy(update={"shards": []}))
    with pytest.raises(CotgenError, match="holds no sample, so there is nothing to publish"):
        send(small)
    assert hub.requests == []


@pytest.mark.slow
def test_private_comes_before_the_files_and_public_after_the_gate(
    hub: HubServer, api: Any, send: Publish, small: Path
) -> None:
    api.create_repo(REPO, repo_type="dataset", private=False)
    seen: list[tuple[str, bool, object]] = []

    def watch(line: str) -> None:
        if REPO in hub.repos and not line.startswith(("GET", "HEAD")):
            seen.append((line.rpartition("/")[2], hub.repos[REPO].private, hub.repos[REPO].gated))

    hub.before = watch
    send(small, visibility="private")
    assert next(item for item in seen if item[0] == "discussions")[1], "it was private before the first file"
    assert (hub.repos[REPO].private, hub.repos[REPO].gated) == (True, "auto")
    hub.repos[REPO].gated = False
    seen.clear()
    send(small, visibility="public")
    assert seen == [("settings", True, False), ("settings", True, "auto")], "the gate stands before it opens"
    assert (hub.repos[REPO].private, hub.repos[REPO].gated) == (False, "auto")
    send(small, visibility="private")
    assert (hub.repos[REPO].private, hub.repos[REPO].gated) == (True, "auto")


def test_a_folder_that_is_being_built_is_left_alone(hub: HubServer, cli: Any, closed_folder: Path) -> None:
    from cotgen.build.files import hold

    with hold(closed_folder, closed_folder.parent):
        for more in ([], ["--frames", "reference"]):
            code, _, err = cli(closed_folder, "--repo", REPO, *more)
            assert (code, "Another cotgen is writing to" in err) == (2, True)
    code, _, err = cli(closed_folder.with_name("nothing"), "--repo", REPO)
    assert (code, "is not there" in err, closed_folder.with_name("nothing").exists()) == (2, True, False)
    assert hub.requests == []


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up(
    hub: HubServer, send: Publish, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import close_session

    close_session()
    monkeypatch.setattr("cotgen.hub.remote._PATIENCE", 0.5)
    asleep = threading.Event()

    def sleep(line: str) -> None:
        if line.endswith("/merge"):
            asleep.wait(60)

    hub.before = sleep
    with pytest.raises(CotgenError, match=r"Merging pull request 1 failed: .*timed out.* run the same command again"):
        send(small)
    asleep.set()
    close_session()
    monkeypatch.undo()
    hub.before = None
    send(small)
    assert published(hub.repos[REPO]) == files(small)


@pytest.mark.slow
def test_ctrl_c_is_a_sentence_and_the_same_command_goes_on(hub: HubServer, program: Program, small: Path) -> None:
    arguments = ("-m", "cotgen", "publish", small, "--repo", REPO, "--tag", "v1.0.0")
    child = program(*arguments)
    pressed = threading.Event()

    def press(line: str) -> None:
        if line.startswith("PUT /lfs/") and not pressed.is_set():
            pressed.set()
            child.send_signal(signal.SIGINT)
            time.sleep(0.5)

    hub.before = press
    _, err = child.communicate()
    assert (child.returncode, err.strip().splitlines()[-1:]) == (
        130,
        ["Stopped. What was done stays done; run the same command again."],
    )
    assert "Traceback" not in err
    hub.before = None
    again = program(*arguments)
    _, err = again.communicate()
    assert again.returncode == 0, err
    assert_whole(hub, small)


@pytest.mark.slow
def test_ten_thousand_files_are_listed_in_pages(hub: HubServer, api: Any, tmp_path: Path) -> None:
    """What is missing among them goes up, and nothing else is sent or looked at."""
    from cotgen.hub.remote import Remote

    names = [f"data/train-{number:05d}-of-10000.tar" for number in range(10_000)]
    (tmp_path / "many/data").mkdir(parents=True)
    for name in names[-3:]:
        (tmp_path / "many" / name).write_bytes(name.encode())
    api.create_repo(REPO, repo_type="dataset")
    repo = hub.repos[REPO]
    tree = {name: StoredFile(name.encode(), True) for name in names[:-3]}
    repo.commit(MAIN, "most", {**repo.resolve(MAIN).tree, **tree})
    remote = Remote(REPO, api)
    there = remote.files(MAIN)
    assert (len(there), hub.asked("GET .*/tree/main")) == (9_998, 10)
    missing = [name for name in names if name not in there]
    remote.upload(tmp_path / "many", missing, MAIN, "the rest")
    assert (missing, hub.asked("PUT /lfs/")) == (names[-3:], 3)
    assert len(remote.files(MAIN)) == 10_001
