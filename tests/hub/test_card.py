"""The card tells what the index and the manifest say, loaders need nothing else, and it is written once."""

import re
from pathlib import Path

import polars as pl
import pytest
import yaml

from cotgen.hub.card import write_card
from cotgen.hub.licences import Permission, permission, sources_of
from cotgen.shards.index import scan_index
from cotgen.shards.manifest import MANIFEST, load
from cotgen.shards.strip import without_pictures
from cotgen.shards.verify import verify

pytest.importorskip("jinja2")
hf = pytest.importorskip("huggingface_hub")


def allowed(folder: Path) -> Permission:
    manifest = load(folder)
    return permission(sources_of(folder, manifest), manifest, frames=bool(manifest.counts.get("images")))


def written(folder: Path, tag: str = "") -> str:
    write_card(folder, "lab/set", tag, allowed(folder))
    return (folder / "README.md").read_text()


def test_the_folder_with_its_card_is_whole_and_written_once(open_folder: Path) -> None:
    before = {shard.file: shard.sha256 for shard in load(open_folder).shards}
    text = written(open_folder)
    assert verify(open_folder).ok
    assert {shard.file: shard.sha256 for shard in load(open_folder).shards} == before
    stamp = (open_folder / MANIFEST).stat().st_mtime_ns
    assert written(open_folder) == text
    assert (open_folder / MANIFEST).stat().st_mtime_ns == stamp


def test_its_head_has_features_licence_and_gate(open_folder: Path) -> None:
    data = hf.DatasetCard(written(open_folder)).data.to_dict()
    assert data["license"] == "cc-by-nc-sa-4.0"
    assert {item["name"] for item in data["dataset_info"]["features"]} == {"jpg", "json", "__key__", "__url__"}
    assert [item["split"] for item in data["configs"][0]["data_files"]] == sorted(
        {shard.split for shard in load(open_folder).shards}, key=["train", "validation", "test"].index
    )
    assert "Endoscapes2023: CC BY-NC-SA 4.0" in data["extra_gated_prompt"]
    assert [field["type"] for field in data["extra_gated_fields"].values()] == ["checkbox"] * 3


def test_its_numbers_are_those_of_the_index(open_folder: Path) -> None:
    text = written(open_folder)
    rows = re.findall(r"^\| (\w+) \| (\w+) \| `([^`]+)` \| ([\d,]+) \| ([\d,]+) \|", text, re.MULTILINE)
    index = scan_index(open_folder).collect()
    assert sum(int(row[4].replace(",", "")) for row in rows) == index.height
    for split, task, writer, surgeries, pairs in rows:
        of = index.filter(pl.col("split") == split, pl.col("task") == task, pl.col("writer") == writer)
        assert (of["surgery"].n_unique(), of.height) == (int(surgeries), int(pairs.replace(",", "")))


def test_the_release_is_what_its_snippets_load(open_folder: Path) -> None:
    assert 'load_dataset("lab/set", revision="v1.0.0", streaming=True)' in written(open_folder, "v1.0.0")
    for snippet in re.findall(r"```python\n(.*?)```", written(open_folder), re.DOTALL):
        compile(snippet, "card", "exec")


def test_a_card_without_pictures_says_so(closed_folder: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    without_pictures(closed_folder, bare)
    text = written(bare)
    head = yaml.safe_load(text.split("---\n")[1])
    assert "jpg" not in {item["name"] for item in head["dataset_info"]["features"]}
    assert "**There are no pictures in it.**" in text
    assert "\ncotgen hydrate lab/set --root DIR --out OUT    # DIR: your own download\n```\n\n## How" in text
    assert "cotgen hydrate lab/set@v1.0.0 --root" in written(bare, "v1.0.0")
    assert "decode(" not in text
    assert verify(bare).ok
