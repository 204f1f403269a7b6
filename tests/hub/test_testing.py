"""The test Hub against the real client: what is put in comes out, and what is told to fail fails as the Hub would."""

import contextlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cotgen.draws import draw
from cotgen.hub.repos import MAIN
from cotgen.hub.testing import HubServer
from cotgen.records import Context, Fact
from tests.shards.samples import Made, make, write_folder

hf = pytest.importorskip("huggingface_hub")
errors = pytest.importorskip("huggingface_hub.errors")
httpx2 = pytest.importorskip("httpx2")
pytestmark = pytest.mark.usefixtures("lfs")

REPO = "lab/set"
SHARD = "data/train-00000-of-00001.tar"


@pytest.fixture
def api(hub: HubServer) -> Any:
    return hf.HfApi(endpoint=hub.url, token="hf_test")


@pytest.fixture
def repo(api: Any) -> str:
    api.create_repo(REPO, repo_type="dataset", private=True)
    return REPO


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "data").mkdir(parents=True)
    (folder / SHARD).write_bytes(bytes(range(256)) * 100)
    (folder / "README.md").write_text("---\nlicense: cc0-1.0\n---\nHello")
    return folder


def upload(api: Any, folder: Path, revision: str = MAIN) -> Any:
    return api.upload_folder(repo_id=REPO, folder_path=folder, repo_type="dataset", revision=revision)


def download(api: Any, path: str, cache: Path, **given: Any) -> bytes:
    return Path(api.hf_hub_download(REPO, path, repo_type="dataset", cache_dir=cache, **given)).read_bytes()


def tree(hub: HubServer, revision: str = MAIN) -> dict[str, bytes]:
    found = hub.repos[REPO].resolve(revision).tree
    return {path: file.data for path, file in found.items() if path != ".gitattributes"}


def test_what_is_uploaded_is_listed_and_comes_back(
    hub: HubServer, api: Any, repo: str, files: Path, tmp_path: Path
) -> None:
    first = upload(api, files)
    assert first.oid == api.repo_info(repo, repo_type="dataset").sha
    listed = {item.path: item for item in api.get_paths_info(repo, [SHARD, "README.md", "data"], repo_type="dataset")}
    assert listed[SHARD].lfs.sha256 == hub.repos[repo].resolve(MAIN).tree[SHARD].sha256
    assert (listed[SHARD].size, listed["README.md"].lfs) == (25_600, None)
    for path in (SHARD, "README.md"):
        assert download(api, path, tmp_path / "cache") == (files / path).read_bytes()
    assert upload(api, files).oid == first.oid, "nothing new is no commit"
    with hf.HfFileSystem(endpoint=hub.url, token="hf_test").open(f"datasets/{repo}/{SHARD}") as file:
        file.seek(1000)
        assert file.read(3) == (files / SHARD).read_bytes()[1000:1003]


def test_a_pull_request_is_a_branch_until_it_is_merged(hub: HubServer, api: Any, repo: str, files: Path) -> None:
    pull = api.create_pull_request(repo, "Release", repo_type="dataset")
    upload(api, files, pull.git_reference)
    assert (tree(hub), set(tree(hub, "refs/pr/1"))) == ({}, {SHARD, "README.md"})
    with pytest.raises(errors.HfHubHTTPError, match="draft"):
        api.merge_pull_request(repo, pull.num, repo_type="dataset")
    api.change_discussion_status(repo, pull.num, "open", repo_type="dataset")
    api.merge_pull_request(repo, pull.num, repo_type="dataset")
    merged = api.get_discussion_details(repo, pull.num, repo_type="dataset")
    assert (merged.status, merged.merge_commit_oid) == ("merged", hub.repos[repo].branches[MAIN])
    assert tree(hub) == tree(hub, "refs/pr/1")
    api.create_tag(repo, tag="v1", revision=merged.merge_commit_oid, repo_type="dataset")
    assert [tag.target_commit for tag in api.list_repo_refs(repo, repo_type="dataset").tags] == [
        merged.merge_commit_oid
    ]
    with pytest.raises(errors.HfHubHTTPError, match="409"):
        api.create_tag(repo, tag="v1", repo_type="dataset")


def test_a_merge_takes_what_changed_and_refuses_what_conflicts(
    hub: HubServer, api: Any, repo: str, files: Path
) -> None:
    upload(api, files)
    for number, text in ((1, "one"), (2, "two")):
        pull = api.create_pull_request(repo, text, repo_type="dataset")
        add = hf.CommitOperationAdd("notes.txt", text.encode())
        api.create_commit(repo, [add], commit_message=text, repo_type="dataset", revision=pull.git_reference)
        api.change_discussion_status(repo, number, "open", repo_type="dataset")
    delete = hf.CommitOperationDelete("README.md")
    api.create_commit(repo, [delete], commit_message="away", repo_type="dataset")
    api.merge_pull_request(repo, 1, repo_type="dataset")
    assert set(tree(hub)) == {SHARD, "notes.txt"}
    assert api.get_discussion_details(repo, 2, repo_type="dataset").conflicting_files == ["notes.txt"]
    with pytest.raises(errors.HfHubHTTPError, match="conflicts"):
        api.merge_pull_request(repo, 2, repo_type="dataset")


def test_a_commit_on_an_old_parent_is_refused(hub: HubServer, api: Any, repo: str, files: Path) -> None:
    old = api.repo_info(repo, repo_type="dataset").sha
    upload(api, files)
    with pytest.raises(errors.HfHubHTTPError, match="412"):
        add = hf.CommitOperationAdd("a.txt", b"a")
        api.create_commit(repo, [add], commit_message="late", repo_type="dataset", parent_commit=old)
    assert "a.txt" not in tree(hub)


def test_who_has_no_token_sees_nothing_private_and_no_gated_file(
    hub: HubServer, api: Any, repo: str, files: Path, tmp_path: Path
) -> None:
    upload(api, files)
    stranger = hf.HfApi(endpoint=hub.url, token=False)
    with pytest.raises(errors.RepositoryNotFoundError):
        stranger.repo_info(repo, repo_type="dataset")
    api.update_repo_settings(repo, repo_type="dataset", gated="auto", visibility="public")
    assert stranger.repo_info(repo, repo_type="dataset").gated == "auto"
    with pytest.raises(errors.GatedRepoError):
        download(stranger, SHARD, tmp_path / "cache")
    with pytest.raises(errors.HfHubHTTPError, match="401"):
        upload(stranger, files)
    assert download(api, SHARD, tmp_path / "cache") == (files / SHARD).read_bytes()


def test_a_long_listing_comes_in_pages(api: Any, hub: HubServer, repo: str, tmp_path: Path) -> None:
    hub.page = 3
    (tmp_path / "many" / "sub").mkdir(parents=True)
    for number in range(7):
        (tmp_path / "many" / "sub" / f"{number}.txt").write_text(str(number))
    upload(api, tmp_path / "many")
    listed = [item.path for item in api.list_repo_tree(repo, recursive=True, repo_type="dataset")]
    assert listed == ["sub", ".gitattributes", *(f"sub/{number}.txt" for number in range(7))]


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("POST .*/preupload/", "status"),
        ("POST .*/objects/batch", "reset"),
        ("PUT /lfs/", "status"),
        ("PUT /lfs/", "reset"),
        ("PUT /lfs/", "lost"),
    ],
)
@pytest.mark.slow
def test_the_client_gets_over_one_failure_of_an_upload(
    hub: HubServer, api: Any, repo: str, files: Path, where: str, kind: Any
) -> None:
    hub.fail(where, kind)
    upload(api, files)
    assert hub.asked(where) == 2
    assert set(tree(hub)) == {SHARD, "README.md"}


def test_a_commit_that_fails_and_one_whose_answer_is_lost(hub: HubServer, api: Any, repo: str, files: Path) -> None:
    hub.fail("POST .*/commit/", status=500)
    with pytest.raises(errors.HfHubHTTPError, match="500"):
        upload(api, files)
    assert tree(hub) == {}
    hub.fail("POST .*/commit/", "lost")
    with pytest.raises(Exception, match=r"disconnected|reset|closed"):
        upload(api, files)
    assert set(tree(hub)) == {SHARD, "README.md"}
    assert len(hub.repos[repo].history()) == 2


def test_a_damaged_upload_is_refused(hub: HubServer, api: Any, repo: str, files: Path) -> None:
    hub.fail("PUT /lfs/", "damage")
    with pytest.raises(RuntimeError, match="uploading"):
        upload(api, files)
    assert hub.requests[-1].status == 400
    assert (tree(hub), hub.repos[repo].objects) == ({}, {})


def test_a_download_goes_on_after_a_close_and_starts_again_after_a_reset(
    hub: HubServer, api: Any, repo: str, files: Path, tmp_path: Path
) -> None:
    upload(api, files)
    hub.fail("GET .*/resolve/", "cut")
    assert download(api, SHARD, tmp_path / "cache") == (files / SHARD).read_bytes()
    assert hub.asked("GET .*/resolve/") == 2
    hub.fail("GET .*/resolve/", "torn")
    with pytest.raises(Exception, match="reset by peer"):
        download(api, SHARD, tmp_path / "other")
    assert download(api, SHARD, tmp_path / "other") == (files / SHARD).read_bytes()


def test_a_wrong_etag_is_what_the_client_is_given(
    hub: HubServer, api: Any, repo: str, files: Path, tmp_path: Path
) -> None:
    upload(api, files)
    hub.fail("HEAD .*/resolve/", "etag")
    download(api, SHARD, tmp_path / "cache")
    assert (tmp_path / "cache" / "datasets--lab--set" / "blobs" / ("0" * 64)).is_file()


@pytest.mark.parametrize(("kind", "status"), [("status", 500), ("status", 503), ("reset", 0), ("etag", 0)])
def test_a_download_gets_over_what_passes(
    hub: HubServer, api: Any, repo: str, files: Path, tmp_path: Path, kind: Any, status: int
) -> None:
    """A snapshot fails or is right, and the next one is right."""
    upload(api, files)
    hub.fail("(HEAD|GET) .*/resolve/", kind, status=status or 503, times=2)

    def snapshot() -> dict[str, bytes]:
        folder = Path(api.snapshot_download(repo, repo_type="dataset", local_dir=tmp_path / "copy"))
        return {path: (folder / path).read_bytes() for path in (SHARD, "README.md")}

    expected = {path: (files / path).read_bytes() for path in (SHARD, "README.md")}
    with contextlib.suppress(errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError, httpx2.HTTPError):
        assert snapshot() == expected
    assert snapshot() == expected


READERS = """
import json, sys, tarfile
import datasets, huggingface_hub, webdataset
datasets.disable_progress_bars()
pictures = sys.argv[1] == "pictures"
sets = [datasets.load_dataset("REPO"), datasets.load_dataset("REPO", streaming=True)]
split = list(sets[0])[0]
def plain(data):
    return data.cast_column("jpg", datasets.Image(decode=False)) if pictures else data
def row(key, record, jpg):
    return [key, record, jpg.hex() if pictures else ""]
shards = sorted(huggingface_hub.HfFileSystem().glob(f"datasets/REPO/data/{split}-*.tar"))
urls = [huggingface_hub.hf_hub_url("REPO", s.split("/", 3)[3], repo_type="dataset") for s in shards]
members = {}
for shard in shards:
    with huggingface_hub.HfFileSystem().open(shard) as file, tarfile.open(fileobj=file) as tar:
        members |= {member.name: tar.extractfile(member).read() for member in tar}
keys = [name[:-5] for name in members if name.endswith(".json")]
rows = [
    [row(key, json.loads(members[key + ".json"]), members.get(key + ".jpg", b"")) for key in keys],
    *([row(r["__key__"], r["json"], r["jpg"]["bytes"] if pictures else b"") for r in plain(s[split])] for s in sets),
    [row(r["__key__"], json.loads(r["json"]), r.get("jpg", b"")) for r in webdataset.WebDataset(urls, shardshuffle=False)],
]
print(json.dumps(rows[0]))
print(*(other == rows[0] for other in rows[1:]))
""".replace("REPO", REPO)


@pytest.mark.slow
@pytest.mark.parametrize("frames", [True, False])
def test_four_readers_give_the_same_samples_in_the_same_order(
    api: Any, program: Callable[..., subprocess.Popen[str]], tmp_path: Path, frames: bool
) -> None:
    """`datasets` whole and streaming, `webdataset` by http, and tar through the file system of the client."""
    made = make(seconds=6, frames=frames)
    folder = write_folder(made, tmp_path / "set")
    api.create_repo(REPO, repo_type="dataset", private=False)
    upload(api, folder)
    out, told = program("-c", READERS, "pictures" if frames else "none").communicate()
    lines = out.splitlines()
    assert lines[-1:] == ["True True True"], told
    samples = {sample.key: sample for sample in made.samples if sample.split == "train"}
    for key, record, jpg in json.loads(lines[0]):
        assert record == json.loads(samples.pop(key).to_json())
        assert jpg == (made.pictures[key].hex() if frames else "")
    assert samples == {}


def ragged() -> Made:
    """The first five samples of the shard have no fact, option, box or context, the others have all, and odd texts."""
    made = make(("cholec80/01",), seconds=12, tasks=("phase",))
    ordered = sorted(made.samples, key=lambda sample: draw(0, sample.key))
    bare = {"facts": [], "labelled": [], "measured": [], "context": []}
    made.samples = []
    for number, sample in enumerate(ordered):
        pair = sample.pairs[0]
        if number < 5:
            made.samples.append(sample.model_copy(update={**bare, "pairs": [pair]}))
            continue
        fact = Fact(
            id="cholec80.triplet.0",
            kind="triplet",
            terms=["instrument.hook", "verb.dissect", "anatomy.gallbladder"],
            box=[1, 2, 3, number],
            value=0.5,
            source="cholec80",
        )
        full = pair.model_copy(
            update={
                "id": "tool.yesno." + ".".join(f"part{part}" for part in range(60)),
                "options": ["Präparation", "剥離", "e\u0301 \U0001fa7a \u2028"],
                "boxes": [[1, 2, 3, number]],
                "question": 'Quote " back\\slash, tab\t, line\n, zero width \u200b?',
            }
        )
        more = {
            "facts": [fact, *sample.facts],
            "context": [Context(offset_s=-1.5, facts=[fact])],
            "pairs": [pair, full],
        }
        made.samples.append(sample.model_copy(update=more))
    return made


@pytest.mark.slow
def test_ragged_records_survive_in_all_readers_whatever_comes_first(
    api: Any, program: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """Inferred types would be those of the first five: the README of the folder says what the columns are."""
    made = ragged()
    order = {sample.key: number for number, sample in enumerate(made.samples)}
    folder = write_folder(made, tmp_path / "set", shards=1)
    api.create_repo(REPO, repo_type="dataset", private=False)
    upload(api, folder)
    out, told = program("-c", READERS, "pictures").communicate()
    lines = out.splitlines()
    assert lines[-1:] == ["True True True"], told
    rows = json.loads(lines[0])
    assert [order[key] for key, *_ in rows] == list(range(len(order))), "the bare ones are read first"
    for key, record, _ in rows:
        assert record == json.loads(made.samples[order[key]].to_json())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["status", "reset", "torn", "cut", "etag"])
def test_load_dataset_is_right_or_fails_and_is_right_the_next_time(
    hub: HubServer, api: Any, program: Callable[..., subprocess.Popen[str]], tmp_path: Path, kind: Any
) -> None:
    """A failure in the middle of a shard never gives fewer samples in silence."""
    made = make(("cholec80/01",), seconds=4)
    upload_to = write_folder(made, tmp_path / "set", shards=1)
    api.create_repo(REPO, repo_type="dataset", private=False)
    upload(api, upload_to)
    code = f"""
import sys, datasets
datasets.disable_progress_bars()
data = datasets.load_dataset("{REPO}", split="train", streaming=sys.argv[1] == "stream")
print(*sorted(row["__key__"] for row in data))
"""
    expected = sorted(sample.key for sample in made.samples)
    for way in ("whole", "stream"):
        hub.fail("(GET|HEAD) .*/resolve/.*tar", kind, times=1)
        child = program("-c", code, way)
        out, told = child.communicate()
        assert child.returncode != 0 or out.split() == expected, told
        hub.faults.clear()
        out, told = program("-c", code, way).communicate()
        assert out.split() == expected, told
