"""The card tells what the index and the manifest say, loaders need nothing else, and it is made once."""

import html
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
import yaml

from cotgen.build.config import load_config
from cotgen.build.report import Reporter
from cotgen.build.run import build
from cotgen.errors import CotgenError
from cotgen.hub import card as card_module
from cotgen.hub.card import Release, key_of, make_card
from cotgen.hub.writers import terms_of_writer
from cotgen.records import Sample
from cotgen.shards.index import scan_index
from cotgen.shards.manifest import CARD_FILE, README, load, replace_card
from cotgen.shards.stored import StoredRecords
from cotgen.shards.strip import without_pictures
from cotgen.shards.verify import verify
from tests.hub.conftest import REPO, release_of
from tests.shards.samples import Made, write_folder

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")
hf = pytest.importorskip("huggingface_hub")
splits_of_datasets = pytest.importorskip("datasets.splits")


def head_of(text: str) -> dict[str, Any]:
    found = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="session")
def text(carded: Path) -> str:
    return (carded / README).read_text()


@pytest.fixture(scope="session")
def bare(closed: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without pictures, of a source whose frames may not be shown, with its card."""
    base = tmp_path_factory.mktemp("bare")
    without_pictures(write_folder(closed, base / "closed"), base / "bare")
    replace_card(base / "bare", load(base / "bare"), make_card(release_of(base / "bare", "")))
    return base / "bare"


def test_the_folder_with_its_card_is_whole_and_the_card_says_what_it_was_made_for(built: Path, carded: Path) -> None:
    assert verify(carded).ok
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=carded, check=True)
    assert load(carded).shards == load(built).shards
    release = release_of(carded)
    assert (release.has_card(), key_of((carded / README).read_bytes())) == (True, release.key)
    assert release.key == release_of(built).key, "the card is no part of what it is made for"
    assert not release_of(built).has_card()


@pytest.mark.slow
def test_another_tag_repository_content_or_version_is_another_card(
    carded: Path, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = release_of(carded)
    keys = {release.key, release_of(carded, "v1.0.1").key, release_of(bare).key}
    monkeypatch.setattr("cotgen.__version__", "9")
    keys.add(release.key)
    monkeypatch.setattr(card_module, "CARD_VERSION", 99)
    keys.add(release.key)
    assert len(keys) == 5


@pytest.mark.slow
def test_a_card_that_is_made_twice_is_the_same(carded: Path) -> None:
    there = {name: (carded / name).read_bytes() for name in load(carded).files if CARD_FILE.fullmatch(name)}
    assert make_card(release_of(carded)) == there


def test_its_head_has_features_sizes_licence_and_gate(carded: Path, text: str) -> None:
    data = hf.DatasetCard(text).data.to_dict()
    assert data == head_of(text)
    assert data["license"] == "cc-by-nc-sa-4.0"
    assert (data["size_categories"], data["source_datasets"]) == (["n<1K"], ["extended|other-endoscapes"])
    assert data["annotations_creators"] == ["machine-generated", "expert-generated"]
    default, preview = data["dataset_info"]
    assert {item["name"] for item in default["features"]} == {"jpg", "json", "__key__", "__url__"}
    shards = load(carded).shards
    splits = [item["split"] for item in data["configs"][0]["data_files"]]
    assert splits == sorted({shard.split for shard in shards}, key=["train", "validation", "test"].index)
    counts = {split: sum(shard.samples for shard in shards if shard.split == split) for split in splits}
    sizes = {split: sum(shard.bytes for shard in shards if shard.split == split) for split in splits}
    assert default["splits"] == [
        {"name": name, "num_bytes": sizes[name], "num_examples": count} for name, count in counts.items()
    ]
    for info in (default, preview):
        read = splits_of_datasets.SplitDict._from_yaml_list(
            info["splits"]
        )  # says what a reader passes over with a warning
        assert all(split.num_bytes for split in read.values())
    assert default["download_size"] == sum((carded / shard.file).stat().st_size for shard in shards)
    assert ([c["config_name"] for c in data["configs"]], data["configs"][0]["default"]) == (
        ["default", "preview"],
        True,
    )
    assert [item["name"] for item in preview["splits"]] == splits
    assert "Endoscapes2023: CC BY-NC-SA 4.0" in data["extra_gated_prompt"]
    assert [field["type"] for field in data["extra_gated_fields"].values()] == ["checkbox"] * 3


def test_its_numbers_are_those_of_the_index(carded: Path, text: str) -> None:
    rows = re.findall(r"^\| (\w+) \| (\w+) \| `([^`]+)` \| ([\d,]+) \| ([\d,]+) \|", text, re.MULTILINE)
    index = scan_index(carded).collect()
    assert sum(int(row[4].replace(",", "")) for row in rows) == index.height
    for split, task, writer, surgeries, pairs in rows:
        of = index.filter(pl.col("split") == split, pl.col("task") == task, pl.col("writer") == writer)
        assert (of["surgery"].n_unique(), of.height) == (int(surgeries), int(pairs.replace(",", "")))
    one = index.filter(split="test", task="cvs").filter(pl.col("id").str.starts_with("cvs.one"))
    most = one["answer"].value_counts(sort=True)["count"][0]
    assert re.search(rf"\| cvs\.one \| test \| {one.height} \| .* \| {100 * most / one.height:.1f} % \|", text)


def test_a_sample_is_shown_with_its_boxes_and_its_chain(carded: Path, text: str) -> None:
    shown = re.findall(r'<img src="(pictures/sample-\d\.jpg)" alt="([^"#]+)#([^"]+)"></td>(.*?)</tr>', text)
    assert len(shown) == 4
    assert len({pair.split(".")[0] for _, _, pair, _ in shown}) > 1
    with StoredRecords(carded) as stored:
        places = {place.key: place for place in stored.places()}
        for file, key, name, told in shown:
            sample = Sample.from_json(stored.read(places[html.unescape(key)]).json)
            pair = next(pair for pair in sample.pairs if pair.id == name)
            assert sample.split == "train"
            assert (carded / file).read_bytes()[:2] == b"\xff\xd8"
            for sentence in pair.statements:
                numbered = re.sub(r"<bbox:(\d+)>", lambda m: f"[{int(m[1]) + 1}]", sentence.text)
                assert html.escape(numbered, quote=False) in told


def test_every_picture_that_it_names_is_there_and_none_besides(carded: Path, text: str) -> None:
    named = set(re.findall(r"\]\((pictures/[^)]+)\)|src=\"(pictures/[^\"]+)\"", text))
    there = {name for name in load(carded).files if name.startswith("pictures/")}
    assert {a or b for a, b in named} == there
    assert {name.partition(".")[2] for name in there} == {"png", "jpg"}


def test_the_release_is_what_its_snippets_load(text: str) -> None:
    assert f'load_dataset("{REPO}", revision="v1.0.0", streaming=True)' in text
    assert f'load_dataset("{REPO}", "preview", revision="v1.0.0")' in text
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for snippet in snippets:
        compile(snippet, "card", "exec")
    assert len(snippets) == 3


def test_a_card_without_pictures_shows_no_frame(bare: Path) -> None:
    text = (bare / README).read_text()
    assert "jpg" not in {item["name"] for info in head_of(text)["dataset_info"] for item in info["features"]}
    assert "**There are no pictures in it.**" in text
    assert "\ncotgen hydrate lab/set --root DIR --out OUT    # DIR: your own download\n```\n\n## How" in text
    assert card_module._hydrate(release_of(bare)) == "cotgen hydrate lab/set@v1.0.0 --root DIR --out OUT"
    assert "decode(" not in text
    assert not [name for name in load(bare).files if name.endswith(".jpg")]
    assert b"\xff\xd8\xff" not in b"".join((bare / name).read_bytes() for name in load(bare).files)
    assert "<table>\n<tr><td><b>Q</b>" in text, "chains are shown all the same"
    assert verify(bare).ok


def test_what_a_writer_model_allows_is_told_and_what_is_unknown_is_called_unknown() -> None:
    assert "Apache-2.0" in terms_of_writer("Qwen/Qwen3-VL-8B-Instruct")
    assert "no commercial use" in terms_of_writer("Qwen/Qwen2.5-VL-3B-Instruct")
    assert "compete" in terms_of_writer("gpt-5-mini")
    assert "Apache-2.0" in terms_of_writer("openai/gpt-oss-20b")
    assert "is not known to cotgen" in terms_of_writer("our-own-finetune")


@pytest.mark.slow
def test_chains_of_models_are_told_with_the_terms_of_each_and_of_the_parents(bare: Path) -> None:
    counts = {
        "asked": 1200,
        "accepted": 1000,
        "mended": 100,
        "by_basis": {"label": {"written": 2000, "sound": 1900, "kept": 1800}},
        "judged": {"looks judged": 50, "looks dropped": 5},
    }
    taught = {
        "model": "Qwen/Qwen3-VL-8B-Instruct",
        "prompt": 3,
        "temperature": 0.7,
        "fallback": "template",
        "pixels": 0,
        "judge": {"model": "our-judge"},
    }
    manifest = load(bare)
    config = {**manifest.config, "teacher": taught}
    changed = manifest.model_copy(update={"config": config, "counts": {**manifest.counts, "teacher": counts}})
    files = make_card(replace(release_of(bare), manifest=changed))
    text = files[README].decode()
    assert "The checks let 1,000 pass" in text
    assert "- `Qwen/Qwen3-VL-8B-Instruct` is by its name a Qwen-VL" in text
    assert "The licence of `our-judge`" in text
    origin = orjson.loads(files["croissant.json"])["prov:wasGeneratedBy"][0]["prov:wasAssociatedWith"]
    assert [item["prov:label"] for item in origin[1:]] == [
        "Qwen/Qwen3-VL-8B-Instruct (wrote chains)",
        "our-judge (judged chains)",
    ]
    merged = manifest.model_copy(update={"kind": "merged", "config": {"parents": [config, manifest.config]}})
    files = make_card(replace(release_of(bare), manifest=merged))
    assert b"our-judge (judged chains)" in files["croissant.json"]
    text = files[README].decode()
    assert "`Qwen/Qwen3-VL-8B-Instruct` is by its name" in text


def test_a_picture_that_cannot_be_made_stops_it_in_words(carded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("no font")

    monkeypatch.setattr(card_module, "pictures", broken)
    monkeypatch.setattr(card_module, "statistics", lambda *_, **__: None)
    with pytest.raises(CotgenError, match=r"pictures of the card cannot be made \(RuntimeError: no font\)"):
        make_card(release_of(carded))


@pytest.mark.slow
def test_a_build_into_a_published_folder_keeps_its_card_until_something_changes(
    built: Path, carded: Path, tmp_path: Path
) -> None:
    """The same command finds nothing to do; another configuration leaves nothing of the old card."""
    demo, out = built.parent / "demo", tmp_path / "out"
    given: dict[str, Any] = {"source": "endoscapes", "root": [str(demo)], "out": out, "workers": 1, "shards": 2}
    given["work"] = tmp_path / "work"
    assert build(load_config(None, given), Reporter(None), env={}).exit_code == 0
    assert load(out).fingerprint == load(carded).fingerprint
    card = {name: (carded / name).read_bytes() for name in load(carded).files if CARD_FILE.fullmatch(name)}
    replace_card(out, load(out), card)
    again = build(load_config(None, given), Reporter(None), env={})
    assert (again.exit_code, again.unchanged) == (0, True)
    assert {name: (out / name).read_bytes() for name in card} == card
    (out / "pictures" / "lengths.png").unlink()
    mended = build(load_config(None, given), Reporter(None), env={})
    assert (mended.exit_code, verify(out).ok, (out / "pictures").exists()) == (0, True, False)
    replace_card(out, load(out), card)
    other = build(load_config(None, {**given, "shards": 1, "replace": True}), Reporter(None), env={})
    assert (other.exit_code, verify(out).ok) == (0, True)
    assert {path.name for path in out.iterdir()} == {path.name for path in built.iterdir()}


@pytest.mark.slow
def test_a_card_says_how_to_put_pictures_back_where_hashes_prove_them(bare: Path, tmp_path: Path) -> None:
    """Of a merged set its parents tell; of one that was built with `--frames none` nothing is promised."""
    release = release_of(bare)

    def of(config: dict[str, Any]) -> Release:
        return replace(release, manifest=release.manifest.model_copy(update={"config": config}))

    merged = of({"parents": [{"frames": "reference"}, {"parents": [{"frames": "none"}]}]})
    assert card_module._hydrate(merged) == "cotgen hydrate lab/set@v1.0.0 --root DIR --out OUT"
    for nothing in ({"frames": "none"}, {"parents": [{"frames": "none"}, {"frames": "none"}]}):
        text = make_card(of(nothing))[README].decode()
        assert "no hash proves that a picture is the same" in text
        assert "cotgen hydrate" not in text and "the sha256 of its pixels" not in text
