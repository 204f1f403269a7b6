"""What the reader makes of the forms in which users have Cholec80."""

import hashlib
import os
from pathlib import Path

import pytest

from cotgen.errors import CotgenError, SourceError
from cotgen.ontology import alias
from cotgen.records import Fact, canonical_json
from cotgen.sources import SOURCES, source
from cotgen.sources.base import FACTS_SCHEMA, FACTS_VERSION, LABELLED_SCHEMA, Scan, SurgeryFacts, SurgeryFiles
from tests.sources.conftest import PHASES, TOOLS, Download

READER = source("cholec80")


def scan(download: Download) -> Scan:
    found = READER.scan(download.root)
    assert found is not None
    return found


def facts(download: Download, step: int = 25) -> SurgeryFacts:
    (files,) = scan(download).surgeries
    return READER.facts(download.root, files, step)


def said(read: SurgeryFacts) -> dict[int, list[str]]:
    """Frame -> its terms without their kind, in row order."""
    found: dict[int, list[str]] = {}
    for index, terms in read.facts.select("index", "terms").iter_rows():
        found.setdefault(index, []).extend(term.partition(".")[2] for term in terms)
    return found


def labelled(read: SurgeryFacts) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for index, name in read.labelled.iter_rows():
        found.setdefault(index, []).append(name.partition(".")[2])
    return found


def texts(read: SurgeryFacts | Scan) -> list[str]:
    return [oddity.text for oddity in read.oddities]


USUAL = {
    0: ["preparation"],
    25: ["calot_triangle_dissection", "grasper", "hook"],
    50: ["clipping_and_cutting", "grasper", "clipper"],
    75: ["clipping_and_cutting"],
}


# The original release.


def test_a_surgery_of_the_release_is_found_and_read(download: Download) -> None:
    download.surgery(73)
    found = scan(download)
    assert found.root == download.root
    assert found.incomplete == ()
    assert found.surgeries == (
        SurgeryFiles(
            "cholec80/73",
            (
                ("phase", "phase_annotations/video73-phase.txt"),
                ("tool", "tool_annotations/video73-tool.txt"),
            ),
            "videos/video73.mp4",
        ),
    )
    assert said(facts(download)) == USUAL


def test_facts_are_rows_of_the_schema_and_valid_records(download: Download) -> None:
    download.surgery(73)
    read = facts(download)
    assert dict(read.facts.schema) == {name: read.facts.schema[name] for name in FACTS_SCHEMA}
    assert read.facts.schema == FACTS_SCHEMA
    assert read.labelled.schema == LABELLED_SCHEMA
    rows = read.facts.filter(index=50).drop("index").to_dicts()
    assert [Fact(**row).id for row in rows] == ["cholec80.phase.0", "cholec80.instrument.0", "cholec80.instrument.1"]
    assert [row["terms"] for row in rows] == [
        ["phase.clipping_and_cutting"],
        ["instrument.grasper"],
        ["instrument.clipper"],
    ]
    assert {(tuple(row["box"]), row["value"], row["source"]) for row in rows} == {((), 1.0, "cholec80")}


def test_no_tool_in_view_is_labelled_and_the_last_second_is_not(download: Download) -> None:
    """The release has no tool row for the last second: nothing is known of its instruments."""
    download.surgery(1)
    assert labelled(facts(download)) == {
        0: ["instrument", "phase"],
        25: ["instrument", "phase"],
        50: ["instrument", "phase"],
        75: ["phase"],
    }
    assert "no row for the last second, which has a phase: its instruments are not labelled" in texts(facts(download))


@pytest.mark.parametrize(
    ("step", "indices"),
    [(125, [0]), (50, [0, 50]), (25, [0, 25, 50, 75]), (10, [*range(0, 76, 10)]), (1, [*range(76)])],
)
def test_a_step_gives_other_rates_and_tools_stay_on_their_second(
    download: Download, step: int, indices: list[int]
) -> None:
    download.surgery(1)
    read = facts(download, step)
    assert list(labelled(read)) == indices
    assert [i for i, names in labelled(read).items() if "instrument" in names] == [
        i for i in indices if i % 25 == 0 and i < 75
    ]
    assert {i: terms for i, terms in said(read).items() if i % 25 == 0} == {
        i: terms for i, terms in USUAL.items() if i in indices
    }
    with pytest.raises(ValueError, match="step is 0"):
        facts(download, 0)


def test_every_phase_and_tool_of_the_release_has_its_term(download: Download) -> None:
    download.phases(1, [phase for phase in PHASES for _ in range(25)] + [PHASES[-1]])
    download.tools(1, ["".join("1" if i == j else "0" for j in range(7)) for i in range(7)])
    download.video(1)
    read = facts(download)
    assert list(said(read).values()) == [
        ["preparation", "grasper"],
        ["calot_triangle_dissection", "bipolar"],
        ["clipping_and_cutting", "hook"],
        ["gallbladder_dissection", "scissors"],
        ["gallbladder_packaging", "clipper"],
        ["cleaning_and_coagulation", "irrigator"],
        ["gallbladder_extraction", "specimen_bag"],
        ["gallbladder_extraction"],
    ]
    assert list(alias("cholec80", "phase")) == PHASES
    assert list(alias("cholec80", "instrument")) == TOOLS


def test_phases_may_be_missing_and_come_in_any_order(download: Download) -> None:
    download.phases(
        1, ["CleaningCoagulation"] * 25 + ["GallbladderPackaging"] * 25 + ["CleaningCoagulation"] * 25 + [PHASES[6]]
    )
    download.video(1)
    read = facts(download)
    assert [terms[0] for terms in said(read).values()] == [
        "cleaning_and_coagulation",
        "gallbladder_packaging",
        "cleaning_and_coagulation",
        "gallbladder_extraction",
    ]
    assert "the phase Preparation does not occur" in texts(read)
    assert "the phase Gallbladder packaging does not occur" not in texts(read)
    assert "the phases come in another order than in most surgeries" in texts(read)


def test_two_rows_after_the_last_tool_row_are_two_frames_of_one_second(download: Download) -> None:
    """Videos 15 and 37 have 25 n + 2 phase rows."""
    download.phases(15, ["Preparation"] * 77)
    download.tools(15, ["0000000"] * 3)
    download.video(15)
    assert list(labelled(facts(download))) == [0, 25, 50, 75]
    assert list(labelled(facts(download, 1))) == list(range(77))
    assert "phase rows go on after the last whole second" in texts(facts(download))


# Forms of the files.


def _usual(download: Download) -> tuple[Path, Path]:
    download.surgery(1)
    return (
        download.root / "phase_annotations/video01-phase.txt",
        download.root / "tool_annotations/video01-tool.txt",
    )


FORMS = {
    "spaces between the columns where the release has tabs": lambda data: data.replace(b"\t", b" "),
    "lines end in CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "no line end after the last row": lambda data: data[:-1],
    "a byte order mark, skipped": lambda data: b"\xef\xbb\xbf" + data,
    "blanks at the ends of lines, ignored": lambda data: data.replace(b"\n", b" \t\n"),
    "blank lines, skipped": lambda data: data + b"\n \n",
}


@pytest.mark.parametrize("text", FORMS)
def test_the_form_of_a_file_may_differ_and_is_told(download: Download, text: str) -> None:
    plain = _usual(download)
    usual = facts(download)
    assert text not in texts(usual)
    for path in plain:
        path.write_bytes(FORMS[text](path.read_bytes()))
    read = facts(download)
    assert read.facts.equals(usual.facts)
    assert read.labelled.equals(usual.labelled)
    assert texts(read).count(text) == 2


def test_forms_may_come_together(download: Download) -> None:
    """Padded with spaces, with CRLF, a byte order mark and blank lines between the rows, and no end."""
    plain = _usual(download)
    usual = facts(download)
    for path in plain:
        lines = path.read_text().splitlines()
        path.write_bytes(b"\xef\xbb\xbf" + "\r\n\r\n".join("  ".join(line.split("\t")) for line in lines).encode())
    assert facts(download).facts.equals(usual.facts)


def test_columns_are_found_by_their_names(download: Download) -> None:
    """Swapped columns give the same facts with the same ids."""
    _, path = _usual(download)
    usual = facts(download)
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    path.write_text("".join("\t".join(row[::-1]) + "\n" for row in rows))
    read = facts(download)
    assert read.facts.equals(usual.facts)
    assert "columns in another order than the release's, read by their names" in texts(read)


def test_the_last_second_may_have_its_tool_row(download: Download) -> None:
    download.surgery(1)
    download.tools(1, ["0000000"] * 4)
    assert labelled(facts(download))[75] == ["instrument", "phase"]
    assert not [text for text in texts(facts(download)) if "row" in text]


# Files that end too early but are whole lines: told, since only the release's counts show it.


def test_a_shorter_tool_file_is_told_with_the_row_count_of_the_release(download: Download) -> None:
    download.surgery(78)
    download.tools(78, ["0000000"])
    assert labelled(facts(download)) == {0: ["instrument", "phase"], 25: ["phase"], 50: ["phase"], 75: ["phase"]}
    assert (
        "ends at second 0, but phase_annotations/video78-phase.txt at second 3: "
        "it may be cut: it has 1 rows, the release 739" in texts(facts(download))
    )


def test_a_shorter_phase_file_is_told(download: Download) -> None:
    download.surgery(78)
    download.phases(78, ["Preparation"] * 26)
    read = facts(download)
    assert labelled(read)[50] == ["instrument"]
    (oddity,) = [oddity for oddity in read.oddities if "may be cut" in oddity.text]
    assert oddity.file == "phase_annotations/video78-phase.txt"
    assert oddity.text.endswith("it has 26 rows, the release 18,476")


def test_one_short_file_alone_is_compared_with_the_release(download: Download) -> None:
    download.tools(78, ["0000000"] * 738)
    download.video(78)
    assert "may be cut: it has 738 rows, the release 739" in texts(facts(download))
    download.tools(78, ["0000000"] * 739)
    assert not [text for text in texts(facts(download)) if "cut" in text]


def test_a_look_alike_whose_two_files_fit_each_other_is_not_called_cut(download: Download) -> None:
    download.surgery(1)
    assert not [text for text in texts(facts(download)) if "cut" in text]


# Other layouts.


def test_letter_case_and_one_extra_top_folder_are_forgiven(tmp_path: Path) -> None:
    download = Download(tmp_path / "Cholec80_download" / "Cholec80")
    download.phases(7, ["Preparation"] * 26, "Phase_Annotations/Video07-Phase.TXT")
    download.tools(7, ["0000000"], "TOOL_ANNOTATIONS/video07-tool.txt")
    download.video(7, "Videos/VIDEO07.MP4")
    found = READER.scan(tmp_path / "Cholec80_download")
    assert found is not None
    assert found.root == download.root
    assert [files.video for files in found.surgeries] == ["Videos/VIDEO07.MP4"]
    assert list(labelled(READER.facts(found.root, found.surgeries[0]))) == [0, 25]


@pytest.mark.parametrize("name", ["video01.mp4", "video1.mp4", "video001.avi", "video01.MKV", "video01.mov"])
def test_videos_may_be_in_other_containers_and_numbered_without_zeros(download: Download, name: str) -> None:
    download.phases(1, ["Preparation"] * 26)
    download.video(1, f"videos/{name}")
    (files,) = scan(download).surgeries
    assert (files.surgery, files.video) == ("cholec80/1", f"videos/{name}")
    assert READER.frames(download.root, files).kind == "video"


def test_pictures_stand_in_for_a_video_and_count_from_one(download: Download) -> None:
    """`video01_000001.png` is the first frame of the video, `_000002` the one a second later."""
    download.surgery(1)
    (download.root / "videos/video01.mp4").unlink()
    download.pictures(1, 4)
    (files,) = scan(download).surgeries
    footage = READER.frames(download.root, files)
    assert footage.kind == "images"
    assert footage.fps == "25/1"
    assert footage.images == (
        (0, "frames/video01/video01_000001.png"),
        (25, "frames/video01/video01_000002.png"),
        (50, "frames/video01/video01_000003.png"),
        (75, "frames/video01/video01_000004.png"),
    )
    assert said(facts(download)) == USUAL


def test_pictures_may_be_jpeg_and_have_gaps(download: Download) -> None:
    download.surgery(1)
    (download.root / "videos/video01.mp4").unlink()
    download.pictures(1, 4, "jpg")
    (download.root / "frames/video01/video01_000002.jpg").unlink()
    (files,) = scan(download).surgeries
    assert [index for index, _ in files.images] == [0, 50, 75]
    assert said(facts(download)) == USUAL


def test_the_video_wins_over_pictures_and_that_is_told(download: Download) -> None:
    download.surgery(1)
    download.pictures(1, 4)
    (files,) = scan(download).surgeries
    assert files.images == ()
    assert READER.frames(download.root, files).video == "videos/video01.mp4"
    assert [(oddity.file, oddity.text) for oddity in scan(download).oddities] == [
        ("frames/video01", "not used, since there is a video")
    ]


def test_pictures_at_another_rate_are_refused(download: Download) -> None:
    """They would get the labels of other instants."""
    download.surgery(1)
    (download.root / "videos/video01.mp4").unlink()
    download.pictures(1, 76)
    with pytest.raises(SourceError, match=r"second 75, but the labels end at second 3: .* not one a second") as caught:
        facts(download)
    assert caught.value.file == "frames/video01/video01_000076.png"


def test_pictures_that_count_from_zero_are_refused(download: Download) -> None:
    download.surgery(1)
    (download.root / "videos/video01.mp4").unlink()
    download.pictures(1, 4)
    download.write("frames/video01/video01_000000.png", b"")
    ((surgery, why),) = scan(download).incomplete
    assert surgery == "cholec80/1"
    assert "number 0: pictures count from 1" in why


def test_pictures_of_another_video_are_not_taken(download: Download) -> None:
    download.surgery(1)
    (download.root / "videos/video01.mp4").unlink()
    download.pictures(1, 4)
    download.write("frames/video01/video02_000005.png", b"")
    (files,) = scan(download).surgeries
    assert len(files.images) == 4
    assert [(oddity.file, oddity.count) for oddity in scan(download).oddities] == [("frames/video01", 1)]


def test_two_pictures_of_one_second_are_refused(download: Download) -> None:
    download.surgery(1)
    (download.root / "videos/video01.mp4").unlink()
    download.pictures(1, 4)
    download.write("frames/video01/video01_000002.jpg", b"")
    ((_, why),) = scan(download).incomplete
    assert "video01_000002.jpg and frames/video01/video01_000002.png are both of one second" in why


# Partial downloads.


def test_what_keeps_a_surgery_from_being_built_is_said(download: Download) -> None:
    download.surgery(1)
    download.video(2)
    download.phases(3, ["Preparation"] * 26)
    download.surgery(4)
    (download.root / "videos/video04.mp4").unlink()
    (download.root / "videos/video04.mp4").mkdir()
    download.surgery(5)
    (download.root / "videos/video05.mp4").unlink()
    (download.root / "videos/video05.mp4").symlink_to(download.root / "away.mp4")
    download.pictures(6, 2)
    found = scan(download)
    why = dict(found.incomplete)
    assert list(why) == [f"cholec80/{number}" for number in (2, 4, 5, 6)]
    assert why["cholec80/2"].startswith("videos/video02.mp4 has no annotation")
    # Labels alone are of use where another source has the pictures.
    assert [(files.surgery, files.video) for files in found.surgeries] == [
        ("cholec80/1", "videos/video01.mp4"),
        ("cholec80/3", ""),
    ]
    assert any("no videos/video03.mp4 and nothing in frames/video03/" in odd.text for odd in found.oddities)
    assert why["cholec80/4"] == why["cholec80/5"].replace("video05", "video04")
    assert "a folder or a broken link" in why["cholec80/4"]
    assert why["cholec80/6"].startswith("frames/video06 has no annotation")


@pytest.mark.parametrize(("kind", "other"), [("phase", "tools"), ("tool", "phases")])
def test_one_kind_of_label_is_enough_and_the_other_is_not_labelled(download: Download, kind: str, other: str) -> None:
    download.surgery(1)
    for path in download.root.glob("*_annotations/*"):
        if kind not in path.name:
            path.unlink()
    read = facts(download)
    name = "instrument" if kind == "tool" else kind
    assert {tuple(names) for names in labelled(read).values()} == {(name,)}
    assert set(read.facts["kind"]) == {name}
    assert len(labelled(read)) == (3 if kind == "tool" else 4)
    assert texts(scan(download)) == [f"the only annotation of its surgery: {other} are not labelled"]


def test_only_a_part_of_the_surgeries_is_enough_and_they_come_by_number(download: Download) -> None:
    for number in (10, 9, 80):
        download.surgery(number)
    assert [files.surgery for files in scan(download).surgeries] == ["cholec80/9", "cholec80/10", "cholec80/80"]


def test_two_files_of_one_number_are_refused(download: Download) -> None:
    """Never a silent choice."""
    for number in (1, 2):
        download.surgery(number)
    download.video(1, "videos/video1.mp4")
    download.phases(2, ["Preparation"], "phase_annotations/video2-phase.txt")
    assert dict(scan(download).incomplete) == {
        "cholec80/1": "videos/video01.mp4 and videos/video1.mp4 are both of this surgery; keep one of them",
        "cholec80/2": "phase_annotations/video02-phase.txt and phase_annotations/video2-phase.txt are both of this "
        "surgery; keep one of them",
    }


def test_numbers_that_cholec80_does_not_have_are_left_out(download: Download) -> None:
    download.surgery(80)
    download.surgery(81)
    download.surgery(0)
    assert [files.surgery for files in scan(download).surgeries] == ["cholec80/80"]
    assert [surgery for surgery, _ in scan(download).incomplete] == ["cholec80/0", "cholec80/81"]


def test_files_that_are_not_needed_are_ignored(download: Download) -> None:
    download.surgery(1)
    for file in ("videos/video01-timestamp.txt", "videos/._video01.mp4", "phase_annotations/.DS_Store", "README.txt"):
        download.write(file, b"\0")
    assert len(scan(download).surgeries) == 1
    assert scan(download).incomplete == ()


def test_symlinks_that_the_user_made_are_followed(download: Download, tmp_path: Path) -> None:
    """Videos on another disk, annotations linked one by one, the root itself a link."""
    download.surgery(1)
    (tmp_path / "disk").mkdir()
    (download.root / "videos").rename(tmp_path / "disk/videos")
    (download.root / "videos").symlink_to(tmp_path / "disk/videos")
    path = download.root / "tool_annotations/video01-tool.txt"
    path.rename(tmp_path / "disk/tools.txt")
    path.symlink_to(tmp_path / "disk/tools.txt")
    (tmp_path / "link").symlink_to(download.root)
    assert said(facts(Download(tmp_path / "link"))) == USUAL


def test_a_file_name_may_not_leave_the_root(download: Download) -> None:
    download.surgery(1)
    for file in ("../cholec80/phase_annotations/video01-phase.txt", "/etc/hosts", "C:\\video01-phase.txt", ""):
        with pytest.raises(SourceError, match="no path below the root"):
            READER.facts(download.root, SurgeryFiles("cholec80/1", (("phase", file),)))
        with pytest.raises(SourceError, match="no path below the root"):
            READER.frames(download.root, SurgeryFiles("cholec80/1", (), images=((0, file),)))


def test_what_is_no_cholec80_is_not_recognised_and_why_is_said(download: Download, tmp_path: Path) -> None:
    assert READER.scan(download.root) is None
    assert READER.missing(download.root).endswith("it holds nothing")
    download.video(1)
    assert READER.scan(download.root) is None
    assert "no phase_annotations/videoNN-phase.txt" in READER.missing(download.root)
    assert READER.missing(download.root).endswith("it holds videos")
    download.write("cholec80-train.tfrecord-00000", b"")
    assert "the text files of the original release are needed" in READER.missing(download.root)
    assert READER.scan(tmp_path / "nowhere") is None
    assert READER.missing(tmp_path / "nowhere") == "is not there"
    assert READER.missing(download.root / "videos/video01.mp4") == "is a file, not a folder"


def test_two_copies_below_one_folder_are_not_chosen_between(tmp_path: Path) -> None:
    Download(tmp_path / "old").surgery(1)
    Download(tmp_path / "new").surgery(1)
    with pytest.raises(CotgenError, match=r"more than once: new, old. Name one of them: --root cholec80="):
        READER.scan(tmp_path)


# Errors: file, line, what was expected.

PHASE, TOOL = "phase_annotations/video01-phase.txt", "tool_annotations/video01-tool.txt"
HEADER = "Frame\t" + "\t".join(TOOLS) + "\n"
BAD = {
    "phase header": (PHASE, 1, "Frame\tStep\n0\tPreparation\n", "header has 'Step'; the header Frame Phase was exp"),
    "no header": (PHASE, 1, "0\tPreparation\n1\tPreparation\n", "the header has '0'"),
    "a web page": (PHASE, 1, "<!DOCTYPE html>\n<html>\n", "the header has '<!DOCTYPE'"),
    "missing column": (TOOL, 1, HEADER.replace("Hook\t", "") + "0\t0\t0\t0\t0\t0\t0\n", "the header lacks Hook"),
    "doubled column": (TOOL, 1, HEADER.replace("Hook", "Grasper"), "the header has Grasper twice"),
    "column on top": (TOOL, 1, HEADER.replace("Hook", "Hook\tNeedle"), "the header has 'Needle'"),
    "unknown phase": (
        PHASE,
        3,
        "Frame\tPhase\n0\tPreparation\n1\tSewing\n",
        "Phase is 'Sewing'; one of Preparation, Cal",
    ),
    "other case": (PHASE, 2, "Frame\tPhase\n0\tpreparation\n", "Phase is 'preparation'"),
    "word": (
        PHASE,
        3,
        "Frame\tPhase\n0\tPreparation\none\tPreparation\n",
        "'one'; a whole number from 0 on was expected",
    ),
    "negative": (PHASE, 2, "Frame\tPhase\n-1\tPreparation\n", "the frame number is '-1'"),
    "fraction": (
        TOOL,
        3,
        HEADER + "0\t0\t0\t0\t0\t0\t0\t0\n25.0\t0\t0\t0\t0\t0\t0\t0\n",
        "the frame number is '25.0'",
    ),
    "huge number": (PHASE, 2, f"Frame\tPhase\n{10**30}\tPreparation\n", "the frame number is '10000"),
    "falling": (
        PHASE,
        4,
        "Frame\tPhase\n0\tPreparation\n1\tPreparation\n0\tPreparation\n",
        "frame 0 stands where frame 2",
    ),
    "twice": (PHASE, 3, "Frame\tPhase\n0\tPreparation\n0\tPreparation\n", "frame 0 is there twice"),
    "gap": (
        PHASE,
        3,
        "Frame\tPhase\n0\tPreparation\n2\tPreparation\n",
        "frame 2 stands where frame 1 was expected; rows are",
    ),
    "late start": (PHASE, 2, "Frame\tPhase\n1\tPreparation\n", "frame 1 stands where frame 0 was expected"),
    "off the grid": (
        TOOL,
        3,
        HEADER + "0\t0\t0\t0\t0\t0\t0\t0\n30\t0\t0\t0\t0\t0\t0\t0\n",
        "frame 30 is no multiple of 25",
    ),
    "tool gap": (
        TOOL,
        3,
        HEADER + "0\t0\t0\t0\t0\t0\t0\t0\n50\t0\t0\t0\t0\t0\t0\t0\n",
        "frame 50 stands where frame 25",
    ),
    "value": (TOOL, 2, HEADER + "0\t0\t0\t2\t0\t0\t0\t0\n", "Hook is '2'; 0 or 1 was expected"),
    "empty field": (TOOL, 2, HEADER + "0\t0\t0\t\t0\t0\t0\t0\n", "Hook is ''; 0 or 1 was expected"),
    "short row": (TOOL, 2, HEADER + "0\t0\t0\t0\t0\t0\t0\n", "has 7 fields; 8 were expected: Frame, Grasper"),
    "long row": (PHASE, 2, "Frame\tPhase\n0\tPreparation\tPreparation\n", "has 3 fields; 2 were expected"),
    "cut row": (PHASE, 3, "Frame\tPhase\n0\tPreparation\n1\tPrepa", "Phase is 'Prepa'"),
    "latin 1": (PHASE, 3, b"Frame\tPhase\n0\tPreparation\n1\tPr\xe9paration\n", "byte 0xe9, which is not UTF-8"),
    "utf 16": (
        PHASE,
        1,
        "Frame\tPhase\n0\tPreparation\n".encode("utf-16"),
        "is UTF-16; save it as plain text in UTF-8",
    ),
    "nul": (PHASE, 3, b"Frame\tPhase\n0\tPreparation\n1\tPrepa\0ration\n", "holds a NUL byte"),
    "cr": (PHASE, 1, b"Frame\tPhase\r0\tPreparation\r", "a carriage return that ends no line"),
    "empty": (PHASE, 1, b"", "is empty"),
    "white": (PHASE, 1, b"\n \n", "is empty"),
    "header alone": (PHASE, 2, "Frame\tPhase\n", "the file ends after its header"),
    "huge line": (PHASE, 3, b"Frame\tPhase\n0\tPreparation\n1\tPreparation" + b" " * 10**7, "more than 1,000 bytes"),
    "huge file": (PHASE, 0, b"x" * (33 * 2**20), "larger than 32 MiB"),
    "many lines": (PHASE, 0, b"\n" * 2_000_000, "more than 1,000,000 lines"),
    "line after blank lines": (
        PHASE,
        5,
        "Frame\tPhase\n\n0\tPreparation\n\n2\tPreparation\n",
        "frame 2 stands where frame 1",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_file_line_and_what_was_expected(download: Download, case: str) -> None:
    download.surgery(1)
    file, line, content, text = BAD[case]
    download.write(file, content)
    with pytest.raises(SourceError) as caught:
        facts(download)
    assert (caught.value.file, caught.value.line) == (file, line)
    assert text in caught.value.message
    assert len(str(caught.value)) < 400


def test_the_message_of_an_error_is_a_sentence_for_the_user(download: Download) -> None:
    download.surgery(1)
    download.write(TOOL, HEADER + "0\t0\t0\t2\t0\t0\t0\t0\n")
    with pytest.raises(SourceError) as caught:
        facts(download)
    assert str(caught.value) == "tool_annotations/video01-tool.txt:2: Hook is '2'; 0 or 1 was expected"


def test_what_is_no_readable_file_is_refused(download: Download) -> None:
    download.surgery(1)
    path = download.root / PHASE
    path.unlink()
    path.mkdir()
    with pytest.raises(SourceError, match=f"{PHASE}: is a folder; a text file was expected"):
        facts(download)
    path.rmdir()
    path.symlink_to(path)
    with pytest.raises(SourceError, match="cannot be read"):
        facts(download)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(SourceError, match="not a plain file"):
        facts(download)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SourceError, match="not a plain file"):
        facts(download)
    (files,) = scan(download).surgeries
    path.unlink()
    with pytest.raises(SourceError, match="cannot be read"):
        READER.facts(download.root, files)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_rights_that_are_missing_are_named(download: Download) -> None:
    download.surgery(1)
    (download.root / PHASE).chmod(0)
    with pytest.raises(SourceError, match=r"cannot be read .Permission denied."):
        facts(download)
    (download.root / "phase_annotations").chmod(0)
    with pytest.raises(SourceError, match="phase_annotations: cannot be listed"):
        scan(download)
    (download.root / "phase_annotations").chmod(0o755)


# The description and the registry.


def test_the_description_says_what_a_user_must_know() -> None:
    described = READER.describe()
    assert described.terms.licence == "CC BY-NC-SA 4.0"
    assert (described.terms.share_frames, described.terms.share_text) == (False, True)
    assert "EndoNet" in described.terms.citation
    assert "camma.unistra.fr" in described.access
    assert described.fps == "25/1"


def test_the_registry_lists_what_it_knows() -> None:
    assert source("cholec80") is SOURCES["cholec80"]
    assert all(name == one.name == one.describe().terms.name for name, one in SOURCES.items())
    with pytest.raises(CotgenError, match="There is no source 'colec80'; known are: cholec80"):
        source("colec80")


def test_the_bytes_of_facts_change_only_with_the_version(download: Download) -> None:
    download.surgery(1)
    read = facts(download)
    digest = hashlib.sha256(canonical_json([read.facts.to_dicts(), read.labelled.to_dicts()])).hexdigest()
    assert (FACTS_VERSION, digest[:16]) == (4, "e15b188be32ef27f")
