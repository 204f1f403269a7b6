"""The test Hub against the real client: what is put in comes out, and what is told to fail fails as the Hub would."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from cotgen.hub.repos import MAIN
from cotgen.hub.testing import HubServer
from tests.shards.samples import make, write_folder

hf = pytest.importorskip("huggingface_hub")
errors = pytest.importorskip("huggingface_hub.errors")
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


@pytest.mark.slow
def test_four_readers_give_the_same_samples_in_the_same_order(
    api: Any, program: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    made = make(seconds=6)
    folder = write_folder(made, tmp_path / "set")
    api.create_repo(REPO, repo_type="dataset", private=False)
    upload(api, folder)
    code = f"""
        import io, json, sys, tarfile
        import datasets, huggingface_hub, webdataset
        datasets.disable_progress_bars()
        shards = sorted(huggingface_hub.HfFileSystem().glob("datasets/{REPO}/data/train-*.tar"))
        whole = datasets.load_dataset("{REPO}", split="train").cast_column("jpg", datasets.Image(decode=False))
        stream = datasets.load_dataset("{REPO}", split="train", streaming=True)
        stream = stream.cast_column("jpg", datasets.Image(decode=False))
        urls = [huggingface_hub.hf_hub_url("{REPO}", s.split("/", 3)[3], repo_type="dataset") for s in shards]
        web = webdataset.WebDataset(urls, shardshuffle=False)
        members = {{}}
        for shard in shards:
            with huggingface_hub.HfFileSystem().open(shard) as file, tarfile.open(fileobj=file) as tar:
                members |= {{member.name: tar.extractfile(member).read() for member in tar}}
        keys = [name[:-5] for name in members if name.endswith(".json")]
        rows = [
            [[r["__key__"], r["json"], r["jpg"]["bytes"].hex()] for r in whole],
            [[r["__key__"], r["json"], r["jpg"]["bytes"].hex()] for r in stream],
            [[r["__key__"], json.loads(r["json"]), r["jpg"].hex()] for r in web],
            [[key, json.loads(members[key + ".json"]), members[key + ".jpg"].hex()] for key in keys],
        ]
        print(len(rows[0]), *(other == rows[0] for other in rows[1:]))
        """
    found, errors = program("-c", dedent(code)).communicate()
    train = sum(sample.split == "train" for sample in made.samples)
    assert found.split() == [str(train), "True", "True", "True"], errors
