"""Several sources in one build: joined on one clock, or side by side, with the pictures of one of them."""

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from rich.console import Console

import cotgen
from cotgen.build.config import load_config
from cotgen.build.files import SealedWriter
from cotgen.build.output import Samples
from cotgen.build.report import Outcome, Reporter, show_estimate, show_outcome
from cotgen.build.run import estimate
from cotgen.errors import CotgenError
from cotgen.records import Sample
from cotgen.shards.verify import verify
from tests.build.test_resume import Command, leftovers, until

Run = Callable[..., Outcome]
Sums = Callable[[Path], dict[str, str]]
BOTH = ["cholec80", "cholect50"]
SECONDS = 12
#: grasper, retract, gallbladder; hook, dissect, gallbladder; the idle hook: numbers of CholecT50's list.
ACTS = ((17,), (17, 60), (60,), (96,), ())


def write_cholect50(root: Path, numbers: tuple[int, ...] = (1, 73), *, pictures: bool = True) -> Path:
    """The text of CholecT45 for these surgeries, with small pictures of the aspect of the demo's video."""
    base = root / "cholect50"
    (base / "triplet").mkdir(parents=True)
    for number in numbers:
        lines = []
        for second in range(SECONDS):
            acts = ACTS[(second + number) % len(ACTS)]
            lines.append(",".join(map(str, [second, *(int(n in acts) for n in range(100))])))
        (base / "triplet" / f"VID{number:02d}.txt").write_text("\n".join([*lines, ""]))
        folder = base / "data" / f"VID{number:02d}"
        for second in range(SECONDS) if pictures else ():
            folder.mkdir(parents=True, exist_ok=True)
            level = 60 + 10 * second
            picture = np.full((90, 160, 3), level, np.uint8)
            picture[:, : 80 + second] = (level, 40, 40)
            Image.fromarray(picture).save(folder / f"{second:06d}.png")
    return root


def write_table(root: Path) -> Path:
    """One's own cholecystectomy, looked at twice a second, with a picture for each instant."""
    base = root / "table"
    (base / "frames" / "op_a").mkdir(parents=True)
    kinds = ("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator", "specimen_bag")
    rows = [f"case,frame,phase,{','.join(kinds)},split"]
    for index in range(8):
        rows.append(f"op_a,{index},{'clip' if index > 3 else 'prep'},{int(index % 3 > 0)},0,0,0,0,0,0,train")
        Image.fromarray(np.full((48, 64, 3), 90 + index, np.uint8)).save(base / f"frames/op_a/{index}.png")
    (base / "labels.csv").write_text("\n".join([*rows, ""]))
    (base / "mapping.yaml").write_text(
        "procedure: cholecystectomy\nclock: 2/1\nlabels: labels.csv\nsurgery: case\n"
        "time: {column: frame, unit: frame}\nsplit: {column: split}\n"
        'pictures: {images: "frames/{surgery}/{index}.png"}\n'
        "columns:\n  phase: {kind: phase, words: {prep: phase.preparation, clip: phase.clipping_and_cutting}}\n"
        + "".join(f"  {kind}: {{kind: instrument, present: instrument.{kind}}}\n" for kind in kinds)
    )
    return root


@pytest.fixture(scope="module")
def download(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo of Cholec80 and, beside it, triplets of the same two surgeries."""
    root = tmp_path_factory.mktemp("joined") / "data"
    shutil.copytree(demo, root)
    return write_cholect50(root)


@pytest.fixture(scope="module")
def joined(download: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished build of both; its work folder is beside it. Never write into it."""
    from cotgen.build.run import build

    out = tmp_path_factory.mktemp("joined") / "out"
    given = {"source": BOTH, "root": [str(download)], "out": out, "workers": 1}
    assert build(load_config(None, given), Reporter(None), env={}).exit_code == 0
    return out


def records(out: Path) -> list[Sample]:
    return [sample.record for sample in cotgen.open(out)]


def test_one_sample_has_what_both_sources_say_of_its_frame(joined: Path) -> None:
    report = verify(joined)
    assert report.problems == []
    found = records(joined)
    both = [sample for sample in found if sample.sources == BOTH]
    assert both
    for sample in both:
        assert {"cholec80.phase", "cholect50.triplet"} <= set(sample.labelled)
        assert {fact.source for fact in sample.facts} <= set(BOTH)
        assert (sample.frame.source, sample.frame.file[:7]) == ("cholec80", "videos/")
    manifest = cotgen.open(joined).manifest
    assert manifest.config["source"] == "cholec80+cholect50"
    assert [terms.name for terms in manifest.sources] == BOTH
    assert manifest.splits == {"train": ["cholec80/1"], "test": ["cholec80/73"]}


def test_what_is_asked_is_counted_by_the_source_whose_labels_answer(joined: Path) -> None:
    counts = cotgen.open(joined).manifest.counts
    by_source: dict[str, dict[str, int]] = counts["pairs_by_source_and_task"]
    assert by_source["cholec80"]["phase"] == counts["pairs_by_task"]["phase"]
    assert sum(sum(tasks.values()) for tasks in by_source.values()) == counts["pairs"]
    text = (joined / "README.md").read_text()
    assert "Cholec80 and CholecT50" in text
    assert "| labels of |" in text


def test_frames_in_which_the_sources_contradict_one_another_are_counted(joined: Path) -> None:
    from cotgen.records.scene import disputes

    found = records(joined)
    disputed = [kind for sample in found for kind in disputes(sample.facts, sample.labelled)]
    counted: dict[str, int] = cotgen.open(joined).manifest.counts["disputed"]
    # A disputed frame may have lost its last question, so the manifest may count more than the samples show.
    for kind in set(disputed):
        assert counted[kind] >= disputed.count(kind) > 0


def test_the_order_and_the_form_of_the_sources_change_nothing(
    download: Path, joined: Path, run: Run, sums_of: Sums, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    shutil.copytree(f"{joined}.work", work)
    outcome = run(download, tmp_path / "out", work=work, source="cholect50,cholec80")
    assert set(outcome.executed) == {"pack"}
    assert sums_of(tmp_path / "out") == sums_of(joined)
    assert run(download, tmp_path / "out", work=work, source="all").unchanged


@pytest.mark.slow
def test_a_joined_build_that_was_killed_goes_on(download: Path, joined: Path, sums_of: Sums, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = Command(download, out, "--source", "cholect50")
    assert until(lambda: any((tmp_path / "out.work").glob("frames/*.frames")), 60)
    first.process.kill()
    first.process.wait()
    assert until(lambda: not first.alive(), 5)
    second = Command(download, out, "--source", "cholect50")
    text = second.wait()
    assert second.process.returncode == 0, text
    assert sums_of(out) == sums_of(joined)
    assert leftovers(out, tmp_path / "out.work") == []


def test_the_pictures_are_those_of_the_first_source_that_has_some(download: Path, run: Run, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(download, root)
    (root / "cholec80/videos/video73.mp4").unlink()
    # Not every labelled second has a picture in every copy of CholecT50; that is told, and is no failure.
    (root / "cholect50/data/VID73/000003.png").unlink()
    given = {"source": BOTH, "frames": "reference", "work": tmp_path / "work"}
    outcome = run(root, tmp_path / "default", **given)
    assert outcome.exit_code == 0
    assert outcome.manifest is not None
    lost = {item.reason: item.examples for item in outcome.manifest.left_out}
    assert lost["The source has no image of this frame."] == ["cholec80-73-000075"]
    by_surgery = {sample.surgery: sample.frame.source for sample in records(tmp_path / "default")}
    assert by_surgery == {"cholec80/1": "cholec80", "cholec80/73": "cholect50"}
    assert verify(tmp_path / "default").problems == []
    run(root, tmp_path / "named", pixels="cholect50", **given)
    assert {sample.frame.source for sample in records(tmp_path / "named")} == {"cholect50"}
    # Neither source has pictures: the labels are of no use, and that is said.
    shutil.rmtree(root / "cholect50/data/VID73")
    outcome = run(root, tmp_path / "none", **given)
    assert outcome.manifest is not None
    lost = {item.reason: item.examples for item in outcome.manifest.left_out if item.what == "surgery"}
    assert lost == {
        "it has labels and no video or pictures; add them, or name another source that has them as well": [
            "cholec80/73"
        ]
    }
    with pytest.raises(CotgenError, match="--pixels: 'cholec8' is not known; did you mean cholec80"):
        run(root, tmp_path / "x", pixels="cholec8", **given)


def test_labels_without_pictures_are_joined(demo: Path, run: Run, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(demo, root)
    write_cholect50(root, pictures=False)
    run(root, tmp_path / "out", source=BOTH, frames="none")
    assert any("cholect50.triplet" in sample.labelled for sample in records(tmp_path / "out"))
    with pytest.raises(CotgenError, match=r"No surgery of .* can be built\. it has labels and no video or pictures"):
        run(root, tmp_path / "alone", source="cholect50", frames="none")


@pytest.mark.slow
def test_data_sets_of_their_own_stand_side_by_side_in_one_folder(demo: Path, run: Run, tmp_path: Path) -> None:
    """One's own table has another clock: two frames a second, every second one of which is taken at one a second."""
    root = tmp_path / "data"
    shutil.copytree(demo, root)
    write_table(root)
    outcome = run(root, tmp_path / "out", source="all", frames="reference")
    assert outcome.manifest is not None
    assert outcome.manifest.splits == {"train": ["cholec80/1", "table/op_a"], "test": ["cholec80/73"]}
    assert verify(tmp_path / "out").problems == []
    own = [sample.frame for sample in records(tmp_path / "out") if sample.surgery == "table/op_a"]
    assert {frame.index for frame in own} <= {0, 2, 4, 6}
    tasks = {
        pair.task for sample in records(tmp_path / "out") if sample.surgery == "table/op_a" for pair in sample.pairs
    }
    assert {"phase", "tool_presence"} <= tasks
    assert {(frame.fps, frame.index / 2 == frame.time_s) for frame in own} == {("2/1", True)}
    assert "table: at --fps 1, one of 2 frames is taken; --fps table=2 takes all of them" in outcome.warnings
    # A rate that not every clock has is refused, with the name of the one that has not.
    with pytest.raises(CotgenError, match="--fps 2: the clock of cholec80 has 25 frames a second"):
        run(root, tmp_path / "x", source="all", fps="2", frames="none")
    own_rates = run(root, tmp_path / "own", source="all", fps=["table=2", "cholec80=1/2"], frames="none")
    assert own_rates.manifest is not None and own_rates.manifest.config["fps"] == "1,cholec80=1/2,table=2"
    frames = [sample.frame for sample in records(tmp_path / "own")]
    assert {frame.index % 50 for frame in frames if frame.fps == "25/1"} == {0}
    assert {frame.index % 2 for frame in frames if frame.fps == "2/1"} == {0, 1}
    with pytest.raises(CotgenError, match="--fps: 'tabel' is not known; did you mean table"):
        run(root, tmp_path / "x", source="all", fps="tabel=2", frames="none")
    five = run(root, tmp_path / "five", source="all", fps="5", frames="none")
    assert "table: its labels have 2 frames a second, fewer than --fps 5: each is taken" in five.warnings
    own = [sample.frame for sample in records(tmp_path / "five") if sample.surgery == "table/op_a"]
    assert {frame.index % 2 for frame in own} == {0, 1}
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "For the whole the strictest of these terms hold: frames must not be shared, and text must not" in readme


def test_a_table_that_does_not_say_what_is_not_there_is_asked_for_no_set(run: Run, tmp_path: Path) -> None:
    root = write_table(tmp_path / "data")
    mapping = root / "table" / "mapping.yaml"
    mapping.write_text(mapping.read_text().replace("  hook: {kind: instrument, present: instrument.hook}\n", ""))
    with pytest.raises(CotgenError, match=r"gave a question.*no column says whether there is hook"):
        run(root, tmp_path / "out", source="table", frames="none", fps="2")


def test_a_rate_that_clocks_do_not_have_names_each_source_and_says_what_fits(
    download: Path, run: Run, tmp_path: Path
) -> None:
    with pytest.raises(CotgenError) as caught:
        run(download, tmp_path / "x", source=BOTH, fps="2", frames="none")
    text = str(caught.value)
    assert "the clock of cholec80 and cholect50 has 25 frames a second" in text
    assert text.endswith("--fps 2 --fps cholec80=1 --fps cholect50=1.")
    with pytest.raises(CotgenError, match=r"joined frame by frame.*--fps cholec80=1/5 --fps cholect50=1/5"):
        run(download, tmp_path / "x", source=BOTH, fps="2,cholec80=1/5", frames="none")


def test_what_a_folder_shows_is_told_by_a_build_a_dry_run_and_where_nothing_is_to_be_done(
    demo: Path, run: Run, tmp_path: Path
) -> None:
    root = write_cholect50(tmp_path / "data", pictures=False)
    shutil.copytree(demo, root, dirs_exist_ok=True)
    told = ("cholect50/triplet/VID01.txt", "no pictures beside it: of use where another source has them", 1)
    first = run(root, tmp_path / "out", source=BOTH, frames="none")
    again = run(root, tmp_path / "out", source=BOTH, frames="none")
    given = {"source": BOTH, "root": [str(root)], "out": tmp_path / "out", "frames": "none"}
    dry = estimate(load_config(None, given), Reporter(None), env={})
    shown = []
    for notes, show, what in (
        (first.notes, show_outcome, first),
        (again.notes, show_outcome, again),
        (dry.notes, show_estimate, dry),
    ):
        assert (told[0].partition("/")[2], *told[1:]) in notes
        console = Console(file=io.StringIO(), width=200)
        show(console, what)  # type: ignore[operator]
        shown.append(console.file.getvalue())  # type: ignore[attr-defined]
    assert again.unchanged
    assert all("no pictures beside it" in text for text in shown)


def test_a_name_that_is_not_utf_8_leaves_out_its_surgery_alone(demo: Path, run: Run, tmp_path: Path) -> None:
    root = write_cholect50(tmp_path / "data")
    shutil.copytree(demo, root, dirs_exist_ok=True)
    inner = root / "cholect50" / "data" / "VID01"
    strange = os.fsdecode(b"copy\xff")
    (root / "cholect50" / strange).mkdir()
    (root / "cholect50" / strange / "data").mkdir()
    inner.rename(root / "cholect50" / strange / "data" / "VID01")
    outcome = run(root, tmp_path / "out", source="cholect50")
    assert outcome.manifest is not None and outcome.manifest.splits == {"test": ["cholec80/73"]}
    lost = [item for item in outcome.manifest.left_out if item.what == "surgery"]
    assert [(item.examples, "is not UTF-8; rename" in item.reason) for item in lost] == [(["cholec80/1"], True)]


def test_a_dry_run_counts_by_source(download: Path, joined: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(f"{joined}.work", work)
    given = {"source": BOTH, "root": [str(download)], "out": tmp_path / "out", "workers": 1, "work": work}
    found = estimate(load_config(None, given), Reporter(None), env={})
    assert set(found.by_source) == set(BOTH)
    by_task: dict[str, int] = {}
    for tasks in found.by_source.values():
        for task, count in tasks.items():
            by_task[task] = by_task.get(task, 0) + count
    assert by_task == found.pairs
    assert set(found.distinct) == set(found.pairs)
    assert all(0 < found.distinct[task] <= count for task, count in found.pairs.items())
    assert found.distinct["phase"] < found.pairs["phase"] / 2, "two questions a second, and a phase lasts"
    assert found.surgeries == cotgen.open(joined).manifest.splits


def test_an_operation_that_two_clocks_show_is_one_in_the_split_table(tmp_path: Path) -> None:
    """Endoscapes 2 is Cholec80 68, filmed once and cut twice: keys differ, the operation and its split do not."""
    chains = []
    for name in ("cholec80/68", "endoscapes/2"):
        path = tmp_path / name.replace("/", "-")
        footer: dict[str, Any] = {"surgery": name, "split": "train", "samples": [[f"{path.name}-000000", 0, 0, 0, 0]]}
        with SealedWriter(path) as writer:
            writer.seal({**footer, "by_source": {}, "disputed": {}, "left_out": [], "notes": [], "damaged": []})
        chains.append((path, path))
    gathered = Samples(chains).gather()
    assert set(gathered.surgeries["train"]) == {"cholec80/68"}
    assert [entry.key for entry in gathered.entries] == ["cholec80-68-000000", "endoscapes-2-000000"]


def test_the_index_names_the_sources_of_every_question(joined: Path) -> None:
    index = pl.read_parquet(joined / "index.parquet")
    assert set(index["sources"].explode()) == set(BOTH)
