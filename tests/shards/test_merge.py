"""A is surgeries 01 and 73, B is 02 and 73; 73 is in both, with other tasks."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.evaluation.blind import blind_counts, blind_scores
from cotgen.records import Manifest, Sample
from cotgen.shards import merge as module
from cotgen.shards.manifest import load, load_priors, seal
from cotgen.shards.merge import merge
from cotgen.shards.tar import read_shard
from cotgen.shards.verify import verify
from cotgen.surgeries.priors import Priors
from tests.shards.samples import Made, damage_a_record, make, write_folder

TOOLS = ("tool_presence", "tool_count", "tool_yesno")


def records(folder: Path) -> dict[str, Sample]:
    found = (item for path in sorted((folder / "data").iterdir()) for item in read_shard(path))
    return {item.key: Sample.from_json(item.json) for item in found}


@pytest.fixture(scope="module")
def a(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make(("cholec80/01", "cholec80/73"), seconds=5)
    return write_folder(made, tmp_path_factory.mktemp("a") / "a", fingerprint="a" * 64)


@pytest.fixture(scope="module")
def b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make(("cholec80/02", "cholec80/73"), seconds=7, tasks=TOOLS)
    return write_folder(made, tmp_path_factory.mktemp("b") / "b", fingerprint="b" * 64)


def test_the_union_has_every_sample_once_and_the_pairs_of_both(a: Path, b: Path, tmp_path: Path) -> None:
    manifest = merge(a, b, tmp_path / "c")
    in_a, in_b, in_c = records(a), records(b), records(tmp_path / "c")
    assert in_c.keys() == in_a.keys() | in_b.keys()
    assert in_a.keys() & in_b.keys()
    for key, sample in in_c.items():
        ids = [pair.id for folder in (in_a, in_b) if key in folder for pair in folder[key].pairs]
        assert [pair.id for pair in sample.pairs] == list(dict.fromkeys(ids))
    assert (manifest.kind, manifest.parents) == ("merged", ["a" * 64, "b" * 64])
    assert manifest.splits == {"train": ["cholec80/01", "cholec80/02"], "test": ["cholec80/73"]}
    assert verify(tmp_path / "c").problems == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c"]


def test_the_pictures_are_those_of_the_parents(a: Path, b: Path, tmp_path: Path) -> None:
    merge(a, b, tmp_path / "c", shards=1)
    pictures = {i.key: i.jpg for f in (a, b) for p in (f / "data").iterdir() for i in read_shard(p)}
    assert {i.key: i.jpg for p in (tmp_path / "c/data").iterdir() for i in read_shard(p)} == pictures


def test_what_only_a_build_counts_is_kept_for_each_parent(a: Path, b: Path, tmp_path: Path) -> None:
    """So the card of a union still says which chains a model wrote, and how blind answers do in the union."""
    taught = Path(shutil.copytree(b, tmp_path / "taught"))
    manifest, told = (
        load(taught),
        {"model": "some/model", "fallback": "none", "pixels": 1, "prompt": "1", "temperature": 0},
    )
    counts = {"asked": 9, "accepted": 7, "mended": 2, "judged": {}, "by_basis": {}}
    config, more = {**manifest.config, "teacher": told}, {"teacher": counts, **blind_counts(b)}
    changed = {"config": config, "counts": {**manifest.counts, **more}, "fingerprint": "d" * 64}
    seal(taught, manifest.model_copy(update=changed), load_priors(b))
    merged = merge(a, taught, tmp_path / "c", count=blind_counts)
    assert merged.counts["parents"] == [{}, {"teacher": counts}]
    assert merged.counts["blind"].keys() == {score.name for score in blind_scores(tmp_path / "c")}
    again = merge(tmp_path / "c", a, tmp_path / "d")
    assert [row.get("parents") for row in again.counts["parents"]] == [[{}, {"teacher": counts}], None]
    card = (tmp_path / "d" / "README.md").read_text()
    assert "`some/model` was asked for the chains of 9 questions" in card
    assert card.count("## Chains by a model") == 1
    assert verify(tmp_path / "d").problems == []


def test_merging_with_itself_changes_nothing_but_the_manifest(a: Path, tmp_path: Path) -> None:
    merge(a, a, tmp_path / "c", shards=2)
    assert {p.name: p.read_bytes() for p in (tmp_path / "c/data").iterdir()} == {
        p.name: p.read_bytes() for p in (a / "data").iterdir()
    }


def test_an_interrupted_merge_goes_on_and_gives_the_same_bytes(
    a: Path, b: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge(a, b, tmp_path / "whole", shards=4)

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "seal", stop)
        merge(a, b, tmp_path / "c", shards=4)
    with pytest.raises(CotgenError, match="no finished data set"):
        load(tmp_path / "c")
    done = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "c/data").iterdir()}
    merge(a, b, tmp_path / "c", shards=4)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "c/data").iterdir()} == done
    for path in (tmp_path / "whole").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "c" / path.relative_to(tmp_path / "whole")).read_bytes()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda s: s.model_copy(update={"facts": s.facts[:1]}), "another facts"),
        (lambda s: s.model_copy(update={"frame": s.frame.model_copy(update={"sha256": "0" * 64})}), "another frame"),
        (
            lambda s: s.model_copy(update={"pairs": [s.pairs[0].model_copy(update={"answer": "x"}), *s.pairs[1:]]}),
            "another phase.open",
        ),
    ],
)
def test_contradictions_are_listed(a: Path, tmp_path: Path, change: Callable[[Sample], Sample], what: str) -> None:
    made = make(("cholec80/01", "cholec80/73"), seconds=5)
    other = Made([change(made.samples[0]), *made.samples[1:]], made.pictures)
    write_folder(other, tmp_path / "b")
    with pytest.raises(CotgenError, match=rf"1 samples are in both .*{made.samples[0].key} \({what}\)"):
        merge(a, tmp_path / "b", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def sealed_again(folder: Path, to: Path, priors: Priors | None = None, **update: object) -> Path:
    copy = Path(shutil.copytree(folder, to))
    manifest: Manifest = load(copy)
    seal(copy, manifest.model_copy(update=update), priors)
    return copy


def test_folders_that_split_differently_are_refused(a: Path, b: Path, tmp_path: Path) -> None:
    table = sealed_again(b, tmp_path / "table", split_table="cholec80=40_40")
    with pytest.raises(CotgenError, match="uses the split table clean/1"):
        merge(a, table, tmp_path / "c")
    moved = sealed_again(b, tmp_path / "moved", splits={"train": ["cholec80/73"]})
    with pytest.raises(CotgenError, match=r"1 operations are in another split in each folder: cholec80/73"):
        merge(a, moved, tmp_path / "c")


def test_folders_with_and_without_pictures_are_refused(a: Path, tmp_path: Path) -> None:
    bare = make(("cholec80/02",), seconds=3, frames=False)
    with pytest.raises(CotgenError, match="has no pictures"):
        merge(a, write_folder(bare, tmp_path / "bare"), tmp_path / "c")


def test_priors_are_kept_and_must_agree(a: Path, b: Path, tmp_path: Path) -> None:
    one = Priors(source="cholec80", split_table="clean/1", surgeries=["cholec80/01"], tables={})
    two = one.model_copy(update={"surgeries": ["cholec80/02"]})
    left, right = sealed_again(a, tmp_path / "a", one), sealed_again(b, tmp_path / "b", two)
    with pytest.raises(CotgenError, match="cite different statistics"):
        merge(left, right, tmp_path / "c")
    merge(left, sealed_again(b, tmp_path / "b2", one), tmp_path / "c")
    assert load_priors(tmp_path / "c") == one


def test_a_folder_without_priors_goes_with_none_that_has_them(a: Path, b: Path, tmp_path: Path) -> None:
    """What statistics support in one folder, nothing would support in the other."""
    priors = Priors(source="cholec80", split_table="clean/1", surgeries=["cholec80/01"], tables={})
    counted = sealed_again(a, tmp_path / "a", priors)
    for pair in ((counted, b), (b, counted)):
        with pytest.raises(
            CotgenError, match=r"b has none, .*; build .*b again with --replace --priors .*a/priors\.json"
        ):
            merge(*pair, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_the_new_folder_must_be_free(a: Path, b: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(a, tmp_path / "full"))
    with pytest.raises(CotgenError, match="holds a finished data set"):
        merge(a, b, copy)
    with pytest.raises(CotgenError, match="is one of the folders"):
        merge(copy, b, copy)
    with pytest.raises(CotgenError, match="one of the folders to be merged; give a new one outside"):
        merge(copy, b, copy / "deeper" / "new")
    assert not (copy / "deeper").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    with pytest.raises(CotgenError, match="is not empty"):
        merge(a, b, tmp_path / "other")
    with pytest.raises(CotgenError, match="no finished data set"):
        merge(tmp_path / "other", b, tmp_path / "c")


def test_a_damaged_record_does_not_get_new_checksums(a: Path, b: Path, tmp_path: Path) -> None:
    bad = Path(shutil.copytree(b, tmp_path / "bad"))
    shard = damage_a_record(bad)
    with pytest.raises(CotgenError, match=f"is not whole: {shard} has another sha256"):
        merge(a, bad, tmp_path / "out")
    assert not (tmp_path / "out").exists()
