"""The preview: the same pairs as tars and as a table, read by their declared types alone."""

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import orjson
import polars as pl
import pytest
from PIL import Image

from cotgen.hub.preview import LIMIT, SIDE, draw_pairs, preview
from cotgen.hub.repos import MAIN, Repo, StoredFile
from cotgen.hub.testing import HubServer
from cotgen.records import SPLITS
from cotgen.shards.index import scan_index
from cotgen.shards.manifest import load
from cotgen.shards.stored import StoredRecords
from cotgen.shards.strip import without_pictures
from cotgen.shards.tar import read_shard
from tests.hub.conftest import REPO

pytest.importorskip("pyarrow")
Program = Callable[..., "subprocess.Popen[str]"]


def test_both_forms_hold_the_same_pairs_and_the_chain_of_each(carded: Path) -> None:
    index = scan_index(carded).collect()
    for split in SPLITS:
        table = pl.read_parquet(carded / "preview" / f"{split}.parquet")
        records = list(read_shard(carded / "preview" / f"{split}.tar"))
        assert [orjson.loads(item.json) for item in records] == table.drop("thumbnail").to_dicts()
        assert [item.jpg for item in records] == [row["bytes"] for row in table["thumbnail"]]
        there = index.filter(split=split)
        assert table.height == min(LIMIT, there.height)
        assert set(table.select("key", "id").rows()) <= set(there.select("key", "id").rows())
        assert table["chain"].str.starts_with("<think>Level 1: ").all()
        assert not table["chain"].str.contains("<bbox", literal=True).any(), "boxes are numbers, in thousandths"
        with Image.open(io.BytesIO(records[0].jpg)) as small:
            assert max(small.size) == SIDE


def test_tasks_take_turns_and_the_draw_does_not_depend_on_how_the_index_is_read(
    carded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = scan_index(carded)
    drawn = draw_pairs(index, 8, "preview")
    assert drawn.group_by("split", maintain_order=True).len().rows() == [(split, 8) for split in SPLITS]
    tasks = drawn.filter(split="train")["task"].to_list()
    assert len(set(tasks[:4])) == 4 and tasks[:4] == tasks[4:]
    monkeypatch.setattr("cotgen.hub.preview._BLOCK", 7)
    assert draw_pairs(index, 8, "preview").equals(drawn)
    assert draw_pairs(index, 3, "preview").rows() == [
        row for split in SPLITS for row in drawn.filter(split=split).head(3).rows()
    ]


def test_without_stored_frames_there_is_no_picture(closed_folder: Path, tmp_path: Path) -> None:
    without_pictures(closed_folder, tmp_path / "bare")
    with StoredRecords(tmp_path / "bare") as stored:
        found = preview(stored)
    assert "thumbnail" not in pl.read_parquet(io.BytesIO(found.files["preview/train.parquet"])).columns
    assert b".jpg" not in found.files["preview/train.tar"]


#: The builder looks at samples to learn the types with the function that is taken away here.
_LOAD = """
import sys
import datasets
del sys.modules["datasets.packaged_modules.webdataset.webdataset"].cast_to_python_objects
datasets.disable_progress_bars()
for arguments in ((), ("preview",)):
    for streaming in (False, True):
        found = datasets.load_dataset(REPO, *arguments, streaming=streaming)
        for split, rows in found.items():
            row = next(iter(rows))
            print(*arguments, streaming, split, len(rows) if not streaming else "", sorted(rows.features), row["jpg"].size,
                  isinstance(rows.features["json"], datasets.Json), row["json"]["key"])
table = datasets.load_dataset("parquet", data_files="hf://datasets/" + REPO + "/preview/train.parquet", split="train")
print(type(table.features["thumbnail"]).__name__, table.features["options"], table[0]["thumbnail"].size)
"""


@pytest.mark.slow
def test_both_configurations_load_from_the_hub_by_declared_types(
    hub: HubServer, program: Program, carded: Path
) -> None:
    """Whole and streamed; nothing is inferred, for the first samples would hide what only later ones have."""
    put(hub, carded)
    out, err = program("-c", f"REPO = {REPO!r}\n{_LOAD}").communicate()
    lines = out.splitlines()
    assert len(lines) == 13, err
    columns = str(["__key__", "__url__", "jpg", "json"])
    counts = {s: sum(shard.samples for shard in load(carded).shards if shard.split == s) for s in SPLITS}
    for line, split in zip(lines, [*SPLITS] * 4, strict=False):
        assert split in line and columns in line
    assert [line.split()[2] for line in lines[:3]] == [str(counts[split]) for split in SPLITS]
    assert all(("preview" in line) == (number >= 6) for number, line in enumerate(lines[:12]))
    assert all(("True endoscapes" in line) == (number < 6) for number, line in enumerate(lines[:12]))
    assert lines[12].startswith("Image List(Value('string')) (320, ")


@pytest.mark.slow
def test_a_configuration_of_parquet_beside_tars_cannot_be_loaded(
    hub: HubServer, program: Program, carded: Path
) -> None:
    """Why the preview is made of tars: `datasets` reads all configurations with the builder of the first."""
    repo = put(hub, carded)
    tree = dict(repo.resolve(MAIN).tree)
    head = tree["README.md"].data.replace(b"path: preview/train.tar", b"path: preview/train.parquet")
    repo.commit(MAIN, "as a table", {**tree, "README.md": StoredFile(head, False)})
    out, err = program("-c", f"import datasets\ndatasets.load_dataset({REPO!r}, 'preview')").communicate()
    assert (out, "ReadError" in err) == ("", True)


def put(hub: HubServer, folder: Path) -> Repo:
    """The folder as it is, on main."""
    repo = hub.repos.setdefault(REPO, Repo(REPO, private=False))
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    tree = {name: StoredFile((folder / name).read_bytes(), name.endswith((".tar", ".parquet"))) for name in names}
    repo.commit(MAIN, "all", {**repo.resolve(MAIN).tree, **tree})
    return repo
