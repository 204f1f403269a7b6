"""What happens to a published folder on its way: one byte anywhere, a cut, an exchange, an edit. `verify` names the file."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.hub.testing import HubServer
from cotgen.records import Shard
from cotgen.shards.index import INDEX
from cotgen.shards.manifest import MANIFEST, README, SUMS, load, replace_card, sums_text
from cotgen.shards.verify import verify
from cotgen.shards.whole import check_names, damaged
from tests.hub.conftest import TOKEN, use_lfs
from tests.hub.test_publish import REPO, files
from tests.shards.samples import make, write_folder

hf = pytest.importorskip("huggingface_hub")

FLIPS = 200


def named_by_verify(folder: Path) -> list[str]:
    """What is wrong with a folder, as `FILE: what`; [] where nothing is."""
    return [f"{problem.file}: {problem.what}" for problem in verify(folder).problems]


def named_by_whole(folder: Path) -> list[str]:
    """The same of what `pull` and `hydrate` look at: bytes and nothing else."""
    try:
        manifest = load(folder)
        check_names(manifest)
        return [f"{name}: {what}" for name, what in damaged(folder, manifest)]
    except CotgenError as error:
        return [str(error)]


#: Commands that must find damage: name -> folder -> sentences that name files.
READERS: dict[str, Callable[[Path], list[str]]] = {"verify": named_by_verify, "pull and hydrate": named_by_whole}


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder with pictures as it comes back from the Hub, without what git keeps beside it."""
    base = tmp_path_factory.mktemp("damage")
    made = make(("cholec80/01", "cholec80/73"), seconds=2, tasks=("phase", "tool_presence"))
    folder = write_folder(made, base / "set", shards=1)
    names = (README, "croissant.json", "preview/train.tar", "preview/train.parquet", "pictures/pairs.png")
    replace_card(folder, load(folder), {name: name.encode() * 20 for name in names})
    with HubServer() as hub, pytest.MonkeyPatch.context() as patch:
        use_lfs(patch)
        api = hf.HfApi(endpoint=hub.url, token=TOKEN)
        api.create_repo(REPO, repo_type="dataset")
        api.upload_folder(repo_id=REPO, repo_type="dataset", folder_path=folder)
        api.snapshot_download(REPO, repo_type="dataset", local_dir=base / "copy", ignore_patterns=".gitattributes")
    shutil.rmtree(base / "copy/.cache")
    assert files(base / "copy") == files(folder)
    return base / "copy"


@pytest.fixture
def copy(downloaded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(downloaded, tmp_path / "copy"))


def shards(folder: Path) -> list[Path]:
    return sorted((folder / "data").iterdir())


def flips(folder: Path, count: int) -> Iterator[tuple[Path, int, int]]:
    """Places drawn over all bytes of all files, an equal number in each file: file, offset, which bit."""
    names = sorted(files(folder))
    for number in range(count):
        path = folder / names[number % len(names)]
        offset = draw(0, "offset", str(number)) % path.stat().st_size
        yield path, offset, draw(0, "bit", str(number)) % 8


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_one_byte_anywhere_is_found_and_its_file_named(copy: Path, reader: str) -> None:
    find = READERS[reader]
    assert find(copy) == []
    missed = []
    for path, offset, bit in flips(copy, FLIPS):
        name = path.relative_to(copy).as_posix()
        with path.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1 << bit]))
        if not any(name in sentence for sentence in find(copy)):
            missed.append((name, offset, bit))
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(bytes([byte]))
    assert missed == []
    assert find(copy) == [], "the last flip was put back"


@pytest.mark.parametrize("reader", READERS)
def test_one_flip_in_each_file_is_found(copy: Path, reader: str) -> None:
    """The fast part of the test above: one in each file."""
    for path, offset, bit in flips(copy, len(files(copy))):
        whole = path.read_bytes()
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1 << bit]) + whole[offset + 1 :])
        assert any(path.relative_to(copy).as_posix() in sentence for sentence in READERS[reader](copy))
        path.write_bytes(whole)


@pytest.mark.parametrize("reader", READERS)
def test_a_tar_that_ends_at_a_block_is_found(copy: Path, reader: str) -> None:
    """Readers of tar take such a file for whole: after a sample, between picture and record, after a header, empty."""
    shard = shards(copy)[0]
    whole = shard.read_bytes()
    blocks = len(whole) // 512
    for kept in sorted({0, 1, 2, blocks // 3, blocks // 2, blocks - 21, blocks - 2, blocks - 1}):
        shard.write_bytes(whole[: 512 * kept])
        found = READERS[reader](copy)
        assert any(f"data/{shard.name}" in sentence for sentence in found), f"{kept} of {blocks} blocks"
    shard.write_bytes(whole)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["data", INDEX, README, SUMS, MANIFEST])
def test_a_file_that_is_gone_is_named(copy: Path, reader: str, name: str) -> None:
    path = shards(copy)[0] if name == "data" else copy / name
    path.unlink()
    assert any(path.relative_to(copy).as_posix() in sentence for sentence in READERS[reader](copy))


@pytest.mark.parametrize("name", ["data/train-00000-of-00009.tar", "data/notes.txt", "extra.parquet"])
def test_a_file_too_many_is_named(copy: Path, name: str) -> None:
    (copy / name).write_bytes(shards(copy)[0].read_bytes())
    assert [sentence.partition(":")[0] for sentence in named_by_verify(copy)] == [name]


@pytest.mark.parametrize("reader", READERS)
def test_two_shards_in_each_others_place_are_named(copy: Path, reader: str) -> None:
    one, two = shards(copy)[:2]
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    found = READERS[reader](copy)
    assert {f"data/{path.name}" for path in (one, two)} <= {sentence.partition(":")[0] for sentence in found}


def forged(folder: Path, **changes: Any) -> None:
    """Edit the manifest, and the checksums so that they fit."""
    manifest = load(folder).model_copy(update=changes)
    data = manifest.to_json()
    (folder / MANIFEST).write_bytes(data)
    (folder / SUMS).write_bytes(sums_text(manifest, data))


def test_a_manifest_that_was_edited_with_its_checksums_is_found_out(copy: Path) -> None:
    """What is counted in it is counted again."""
    manifest = load(copy)
    forged(copy, counts={**manifest.counts, "pairs": manifest.counts["pairs"] + 1})
    assert named_by_verify(copy) == [
        f"{MANIFEST}: states pairs as {manifest.counts['pairs'] + 1}, but it is {manifest.counts['pairs']}"
    ]
    moved = manifest.splits["test"][0]
    splits = {**manifest.splits, "train": sorted([*manifest.splits["train"], moved])}
    splits["test"] = [name for name in splits["test"] if name != moved]
    forged(copy, counts=manifest.counts, splits=splits)
    assert any(f"surgery {moved} is in train, but test by" in sentence for sentence in named_by_verify(copy))


def test_a_shard_that_was_edited_with_all_checksums_is_found_out(copy: Path) -> None:
    """A record says something else, as long as before, and the sums were made anew: the sentence lacks its evidence."""
    manifest = load(copy)
    shard = shards(copy)[0]
    whole = shard.read_bytes()
    start = whole.index(b'{"context"')
    record = orjson.loads(whole[start : whole.index(b"\0", start)])
    answer = record["pairs"][0]["answer"]
    edited = whole.replace(f'"answer":"{answer}"'.encode(), f'"answer":"{answer[::-1]}"'.encode())
    assert (edited != whole, len(edited)) == (True, len(whole))
    shard.write_bytes(edited)
    told: list[Shard] = [
        one.model_copy(update={"sha256": hashlib.sha256(edited).hexdigest()})
        if one.file == f"data/{shard.name}"
        else one
        for one in manifest.shards
    ]
    forged(copy, shards=told)
    found = named_by_verify(copy)
    assert found
    assert {sentence.partition(":")[0] for sentence in found} <= {f"data/{shard.name}", INDEX}


@pytest.mark.slow
def test_the_command_says_which_file_and_ends_with_an_error(
    copy: Path, program: Callable[..., "subprocess.Popen[str]"]
) -> None:
    shard = shards(copy)[-1]
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1024] + b"\1" + whole[-1023:])
    child = program("-m", "cotgen", "verify", copy)
    out, err = child.communicate()
    assert child.returncode == 1, err
    assert shard.name in out + err
