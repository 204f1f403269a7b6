import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from cotgen.errors import CotgenError
from cotgen.records import LeftOut
from cotgen.shards.manifest import (
    README,
    WAITS,
    finish_card,
    is_sealed,
    load,
    load_priors,
    parse_sums,
    replace_card,
    seal,
    unseal,
    with_card,
)
from cotgen.shards.verify import verify
from cotgen.surgeries.priors import Priors
from tests.shards.samples import TERMS, Made, write_folder

PRIORS = Priors(source="cholec80", split_table="clean/1", surgeries=["cholec80/01"], tables={})


def test_sha256sum_reads_the_sums(folder: Path) -> None:
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=True)
    listed = {line.partition(":")[0] for line in done.stdout.splitlines()}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert listed == there - {"SHA256SUMS"}


def test_seal_then_load_gives_the_manifest_with_the_files(made: Made, folder: Path) -> None:
    manifest = load(folder)
    assert set(manifest.files) == {"README.md", "index.parquet"}
    assert manifest.counts["samples"] == len(made.samples)
    assert manifest.counts["pairs_by_task"]["phase"] == sum(p.task == "phase" for s in made.samples for p in s.pairs)


def test_priors_travel_with_the_folder_and_go_when_there_are_none(made: Made, tmp_path: Path) -> None:
    out = write_folder(made, tmp_path / "set")
    manifest = load(out)
    assert set(seal(out, manifest, PRIORS).files) == {"README.md", "index.parquet", "priors.json"}
    assert load_priors(out) == PRIORS
    seal(out, manifest)
    assert load_priors(out) is None


def test_an_unsealed_folder_is_not_taken_for_whole(made: Made, tmp_path: Path) -> None:
    out = write_folder(made, tmp_path / "set")
    unseal(out)
    assert not is_sealed(out)
    assert not (out / "SHA256SUMS").exists()
    with pytest.raises(CotgenError, match="no finished data set"):
        load(out)
    unseal(out)


def test_damaged_files_give_a_sentence(made: Made, tmp_path: Path) -> None:
    out = write_folder(made, tmp_path / "set")
    (out / "manifest.json").write_bytes(b"\xff{")
    (out / "priors.json").write_text("[]")
    with pytest.raises(CotgenError, match="copy or build the data set again"):
        load(out)
    with pytest.raises(CotgenError, match="copy or build the data set again"):
        load_priors(out)
    with pytest.raises(CotgenError, match="is not there"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("data", [b"", b"abc\n", b"0" * 64 + b"  a", b"0" * 64 + b" *a\n", b"\xff\n"])
def test_sums_of_another_form_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"line|byte"):
        parse_sums(data)


def test_readme_tells_loaders_the_features_and_people_what_was_left_out(made: Made, tmp_path: Path) -> None:
    out = write_folder(made, tmp_path / "set")
    left_out = LeftOut(what="surgery", reason="no tool labels", count=2, examples=["cholec80/03", "cholec80/04"])
    seal(out, load(out).model_copy(update={"left_out": [left_out]}))
    _, head, body = (out / "README.md").read_text().split("---\n", 2)
    header = yaml.safe_load(head)
    assert [feature["name"] for feature in header["dataset_info"]["features"]] == ["jpg", "json", "__key__", "__url__"]
    assert header["license"] == "cc-by-nc-sa-4.0"
    assert [item["split"] for item in header["configs"][0]["data_files"]] == ["train", "validation", "test"]
    assert "- 2 surgeries: no tool labels (cholec80/03, cholec80/04)" in body
    train = [sample for sample in made.samples if sample.split == "train"]
    assert f"| train | 2 | {len(train)} | {sum(len(sample.pairs) for sample in train)} |" in body


def test_readme_of_joined_sources_names_every_licence_and_the_strictest_terms(made: Made, tmp_path: Path) -> None:
    out = write_folder(made, tmp_path / "set")
    manifest = load(out)
    other = TERMS.model_copy(update={"name": "x", "title": "Set X", "licence": "CC BY 4.0", "share_text": False})
    third = TERMS.model_copy(update={"name": "y", "title": "Own", "homepage": "", "citation": ""})
    counts = {
        **manifest.counts,
        "pairs_by_source_and_task": {"cholec80": {"phase": 1200}, "x": {"triplet": 3}},
        "disputed": {"instrument": 7, "phase": 1},
    }
    seal(out, manifest.model_copy(update={"sources": [TERMS, other, third], "counts": counts}))
    _, head, body = (out / "README.md").read_text().split("---\n", 2)
    header = yaml.safe_load(head)
    assert header["pretty_name"] == "Three-level chains of thought on Cholec80, Set X and Own"
    assert (header["license"], "license_name" in header) == ("cc-by-nc-sa-4.0", False)
    for text in (
        "**Cholec80** (https://example.org/cholec80): CC BY-NC-SA 4.0.",
        "**Set X** (https://example.org/cholec80): CC BY 4.0. Under these terms frames may be shared, and text derived "
        "from the labels must not be shared.",
        "**Own**: CC BY-NC-SA 4.0.",
        "For the whole the strictest of these terms hold: frames may be shared, and text must not be shared.",
        "| labels of | phase | triplet |",
        "| cholec80 | 1,200 | 0 |",
        "nothing is asked of that kind: 7 frames in instrument and 1 frames in phase.",
    ):
        assert text in body, text


def test_readme_of_a_folder_without_pictures_names_no_picture(made: Made, tmp_path: Path) -> None:
    out = write_folder(Made(made.samples, dict.fromkeys(made.pictures, b"")), tmp_path / "set")
    header = yaml.safe_load((out / "README.md").read_text().split("---\n", 2)[1])
    assert [feature["name"] for feature in header["dataset_info"]["features"]] == ["json", "__key__", "__url__"]


CARD = {
    "README.md": b"---\n---\n# A card\n",
    "croissant.json": b"{}\n",
    "preview/train.tar": b"tar",
    "preview/train.parquet": b"parquet",
    "pictures/sample-1.jpg": b"jpeg",
    "pictures/lengths.png": b"png",
}


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_card_stands_in_manifest_and_sums_and_the_next_one_replaces_it(made: Made, tmp_path: Path) -> None:
    out = write_folder(made, tmp_path / "set")
    plain = names(out)
    sealed = replace_card(out, load(out), CARD)
    assert sealed == load(out) == with_card(sealed, CARD)
    assert {name: (out / name).read_bytes() for name in CARD} == CARD
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, check=True)
    assert verify(out).ok
    fewer = {name: CARD[name] for name in ("README.md", "croissant.json")}
    replace_card(out, load(out), fewer)
    assert (names(out), (out / "preview").exists(), verify(out).ok) == (plain | {"croissant.json"}, False, True)
    seal(out, load(out))
    assert (names(out), verify(out).ok) == (plain, True)


def test_files_of_a_card_are_a_closed_set_and_each_flipped_byte_of_one_is_found(made: Made, tmp_path: Path) -> None:
    out = write_folder(made, tmp_path / "set")
    replace_card(out, load(out), CARD)
    for name, data in CARD.items():
        (out / name).write_bytes(bytes([data[0] ^ 1]) + data[1:])
        assert [(p.kind, p.file) for p in verify(out).problems] == [("checksum", name)]
        (out / name).unlink()
        assert [(p.kind, p.file) for p in verify(out).problems] == [("folder", name)]
        (out / name).write_bytes(data)
    for name in ("preview/other.tar", "pictures/mine.png", "pictures/deep/lengths.png", "preview.json"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(b"x")
        assert {p.kind for p in verify(out).problems} == {"folder"}
        (out / name).unlink()
        if name.count("/") == 2:
            (out / name).parent.rmdir()
    assert verify(out).ok
    manifest = load(out)
    extra = manifest.model_copy(update={"files": {**manifest.files, "../x": "0" * 64, "pictures/x.svg": "0" * 64}})
    (out / "manifest.json").write_bytes(extra.to_json())
    assert {p.file for p in verify(out).problems if p.kind == "folder"} == {"../x", "pictures/x.svg"}


@pytest.mark.slow
def test_a_card_that_is_killed_while_it_is_put_in_place_is_finished_by_the_next_call(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = write_folder(made, tmp_path / "whole")
    before = load(whole)
    replace_card(whole, before, {**CARD, "pictures/answers-1.png": b"of an earlier card"})
    real = Path.replace
    for steps in range(30):
        out = tmp_path / f"killed-{steps}"
        shutil.copytree(whole, out)
        left = steps

        def stop(path: Path, to: Path) -> Path:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return real(path, to)

        monkeypatch.setattr(Path, "replace", stop)
        try:
            replace_card(out, load(out), CARD)
            killed = False
        except KeyboardInterrupt:
            killed = True
        monkeypatch.setattr(Path, "replace", real)
        if not is_sealed(out):
            assert [p.what for p in verify(out).problems] == [f"is not there: the folder {WAITS}"]
            with pytest.raises(
                CotgenError, match="was getting its card when that was stopped: run the `cotgen publish`"
            ):
                load(out)
        finish_card(out)
        assert verify(out).ok
        assert {p.name for p in out.iterdir() if p.name.startswith(".")} == set()
        assert load(out) in (with_card(before, CARD), load(whole))
        if not killed:
            assert load(out) == with_card(before, CARD)
            break
    else:
        pytest.fail("the card was never whole")


def test_a_card_that_waits_is_dropped_when_the_folder_is_packed_anew(made: Made, tmp_path: Path) -> None:
    out = write_folder(made, tmp_path / "set")
    stage = out / ".cotgen-card"
    shutil.copytree(out, tmp_path / "copy")
    replace_card(tmp_path / "copy", load(out), CARD)
    shutil.copytree(tmp_path / "copy", stage)
    write_folder(made, out, shards=1)
    finish_card(out)
    assert (load(out).files.keys() & CARD.keys(), verify(out).ok) == ({"README.md"}, True)


def test_a_card_that_waits_is_dropped_whole_or_not_at_all(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it is dropped, it is not taken for a card that was killed while it was put in place."""
    out = write_folder(made, tmp_path / "set")
    shutil.copytree(out, tmp_path / "copy")
    replace_card(tmp_path / "copy", load(out), CARD)
    shutil.copytree(tmp_path / "copy", out / ".cotgen-card")

    def killed(folder: Path, ignore_errors: bool = False) -> None:
        (folder / README).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cotgen.shards.manifest.shutil.rmtree", killed)
        unseal(out)
    finish_card(out)
    assert verify(out).ok
