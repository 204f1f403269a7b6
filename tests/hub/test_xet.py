"""The path that users get: the client of the Hub sends and reads large files by xet, several commits for many files.

Every client is a process of its own, as the store on disk serves one at a time.
"""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from cotgen.hub.repos import MAIN
from cotgen.hub.testing import HubServer
from cotgen.hub.xet import LocalCas
from cotgen.shards.index import INDEX
from cotgen.shards.manifest import MANIFEST, README, SUMS
from cotgen.shards.verify import verify
from tests.hub.test_publish import REPO, assert_whole, files, published
from tests.shards.samples import make, write_folder

pytest.importorskip("huggingface_hub")
Program = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def works(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where this hf_xet has no store on disk, or describes files otherwise than `LocalCas` reads."""
    hf_xet = pytest.importorskip("hf_xet")
    cas = LocalCas(tmp_path_factory.mktemp("cas"))
    try:
        with hf_xet.XetSession().new_upload_commit(
            endpoint=cas.url, token="t", token_expiry_unix_secs=1 << 40
        ) as sent:
            handle = sent.start_upload_bytes(b"probe" * 20_000, sha256=hf_xet.COMPUTE_SHA256, name="probe")
        sha256 = handle.result().xet_info.sha256
        assert cas.hashes() == {sha256: handle.result().xet_info.hash}
        assert cas.read(sha256) == b"probe" * 20_000
    except Exception as error:
        pytest.skip(f"this hf_xet keeps no store on disk that the test Hub can read: {error!r}")


@pytest.fixture
def hub(works: None, tmp_path: Path) -> Iterator[HubServer]:
    with HubServer(xet=tmp_path / "cas") as server:
        yield server


@pytest.fixture
def xet(program: Program) -> Program:
    """A process whose client has xet on."""

    def start(*arguments: object) -> "subprocess.Popen[str]":
        return program(*arguments, HF_HUB_DISABLE_XET="0")

    return start


@pytest.fixture
def publish(xet: Program) -> Program:
    def start(folder: Path, *more: object) -> "subprocess.Popen[str]":
        return xet("-m", "cotgen", "publish", folder, "--repo", REPO, "--tag", "v1.0.0", *more)

    return start


#: `cotgen` whose client commits after every second file, so that a small folder takes several commits.
SMALL = """
import huggingface_hub._upload_pipeline as client
client.COMMIT_SIZE_SCALE, client.INITIAL_COMMIT_SIZE_INDEX = [2], 0
from cotgen.cli import main
main()
"""


@pytest.mark.slow
def test_a_folder_goes_by_xet_and_comes_back_the_same(
    hub: HubServer, xet: Program, publish: Program, open_folder: Path
) -> None:
    first = publish(open_folder)
    _, err = first.communicate()
    assert first.returncode == 0, err
    repo = assert_whole(hub, open_folder)
    assert hub.asked("GET .*/xet-write-token/refs/pr/1") > 0
    assert hub.asked("PUT /lfs/") == 0
    assert hub.cas is not None
    large = {file.sha256 for file in repo.resolve(MAIN).tree.values() if file.lfs}
    assert large <= hub.cas.hashes().keys()

    commits = dict(repo.commits)
    out, err = publish(open_folder).communicate()
    assert ("nothing new" in out, repo.commits) == (True, commits), err

    repo.gated = False
    code = f"""
        import datasets, huggingface_hub
        datasets.disable_progress_bars()
        stream = datasets.load_dataset("{REPO}", split="train", streaming=True)
        whole = datasets.load_dataset("{REPO}", split="train")
        raw = [data.cast_column("jpg", datasets.Image(decode=False)) for data in (stream, whole)]
        rows = [[(row["__key__"], row["json"], row["jpg"]["bytes"]) for row in data] for data in raw]
        print(huggingface_hub.snapshot_download("{REPO}", repo_type="dataset"))
        print(len(rows[0]), rows[0] == rows[1])
        """
    out, err = xet("-c", dedent(code)).communicate()
    folder, count, same = out.split()
    assert (int(count) > 0, same) == (True, "True"), err
    assert hub.asked("GET .*/xet-read-token/") > 0
    assert verify(Path(folder)).ok
    assert {name: data for name, data in files(Path(folder)).items() if name != ".gitattributes"} == files(open_folder)


@pytest.mark.slow
def test_what_is_cut_off_between_two_commits_is_gone_on_with(hub: HubServer, xet: Program, open_folder: Path) -> None:
    arguments = ("-c", SMALL, "publish", open_folder, "--repo", REPO, "--tag", "v1.0.0")
    # The client tries a commit again where the server fails; 403 is final.
    hub.fail("POST .*/commit/refs/pr/1", status=403, skip=1)
    child = xet(*arguments)
    _, err = child.communicate()
    assert child.returncode == 2
    assert "Uploading into refs/pr/1 failed: the Hub answered 403" in err
    repo = hub.repos[REPO]
    assert (len(repo.history("refs/pr/1")), published(repo)) == (2, {}), "one batch has arrived, main is empty"
    done = published(repo, "refs/pr/1")
    out, err = xet(*arguments).communicate()
    assert "Going on with pull request 1." in out, err
    assert (
        # Four come last: the card, croissant.json, the checksums and the manifest.
        f"Uploading {len(files(open_folder)) - 4 - len(done)} files into refs/pr/1; card, checksums and manifest follow."
        in out
    )
    assert_whole(hub, open_folder)
    titles = [commit.title for commit in reversed(repo.history("refs/pr/1"))][1:]
    told = [title.partition(": ")[2] for title in titles]
    parts = len(told) - 2
    assert parts > 2, "the rest took several commits"
    assert told == ["data", "data", *(f"data (part {number})" for number in range(2, parts + 1)), ""]
    trees = [set(commit.tree) for commit in repo.history("refs/pr/1")]
    assert {README, SUMS, MANIFEST} <= trees[0]
    assert not {README, SUMS, MANIFEST} & set.union(*trees[1:]), "card, checksums and manifest come in the last commit"


@pytest.mark.slow
def test_a_kill_in_the_middle_of_the_upload_is_gone_on_with(hub: HubServer, xet: Program, open_folder: Path) -> None:
    arguments = ("-c", SMALL, "publish", open_folder, "--repo", REPO, "--tag", "v1.0.0")
    child = xet(*arguments)

    def kill(line: str) -> None:
        if line.startswith("POST") and "/commit/refs/pr/1" in line and len(hub.repos[REPO].commits) == 2:
            child.send_signal(signal.SIGKILL)

    hub.before = kill
    child.communicate()
    hub.before = None
    assert child.returncode == -signal.SIGKILL
    again = xet(*arguments)
    _, err = again.communicate()
    assert again.returncode == 0, err
    assert_whole(hub, open_folder)


@pytest.mark.slow
def test_more_files_than_one_commit_takes(hub: HubServer, publish: Program, tmp_path: Path) -> None:
    """With the client's own numbers: 256 names a question, 250 files a commit; a shard for every sample."""
    made = make(("cholec80/01",), seconds=300, frames=False, tasks=("phase",))
    folder = write_folder(made, tmp_path / "many", shards=len(made.samples))
    assert len(list((folder / "data").iterdir())) > 256
    hub.page = 100
    hub.fail("POST .*/commit/refs/pr/1", "lost", skip=1)
    child = publish(folder)
    _, err = child.communicate()
    assert child.returncode == 0, err
    repo = assert_whole(hub, folder)
    assert [commit.title.partition(": ")[2] for commit in repo.history("refs/pr/1")][:2] == ["", "data (part 2)"]
    assert INDEX in repo.resolve(MAIN).tree
