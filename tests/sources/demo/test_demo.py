"""The look-alike of Cholec80: the format of its files, the truth of its pictures, the stability of its bytes."""

import hashlib
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from cotgen.errors import CotgenError
from cotgen.sources import source
from cotgen.sources.demo import make_demo, stand_in_video, write_annotations
from cotgen.sources.demo.annotations import phase_text, tool_text
from cotgen.sources.demo.course import PHASES, TOOLS, Course, courses
from cotgen.sources.demo.film import PICTURES, Film
from cotgen.surgeries.splits import SplitPlan

SMALL = (320, 180)


def cast(surgeries: int = 8, seconds: int = 60, size: tuple[int, int] = SMALL) -> dict[int, Course]:
    return {course.number: course for course in courses(surgeries, 0, seconds, size)}


def order(course: Course) -> str:
    return "".join(str(a) for a, b in pairwise([*course.phases, -1]) if a != b)


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


# What the annotation files look like


def test_the_files_have_the_header_tabs_and_line_ends_of_the_real_ones() -> None:
    course = cast()[73]
    phases, tools = phase_text(course), tool_text(course)
    assert phases.startswith("Frame\tPhase\n0\tPreparation\n1\tPreparation\n")
    assert tools.startswith(
        "Frame\tGrasper\tBipolar\tHook\tScissors\tClipper\tIrrigator\tSpecimenBag\n0\t0\t0\t0\t0\t0\t0\t0\n25\t"
    )
    assert re.fullmatch(r"Frame\tPhase\n(\d+\t[A-Za-z]+\n)+", phases)
    assert re.fullmatch(r"Frame(\t[A-Za-z]+){7}\n(\d+(\t[01]){7}\n)+", tools)


def test_the_files_have_the_form_of_real_files(real_data: Path) -> None:
    course = cast()[73]
    for role, text in (("phase", phase_text(course)), ("tool", tool_text(course))):
        real = (real_data / "cholec80" / f"{role}_annotations" / f"video73-{role}.txt").read_bytes().decode()
        kind = r"[A-Za-z]+" if role == "phase" else r"[01](?:\t[01]){6}"
        for content in (real, text):
            assert content.splitlines()[0] == real.splitlines()[0]
            assert re.fullmatch(rf"{content.splitlines()[0]}\n(?:\d+\t{kind}\n)+", content)
        numbers = [[int(row.split("\t")[0]) for row in content.splitlines()[1:]] for content in (real, text)]
        for rows in numbers:
            assert rows == list(range(0, len(rows) * rows[1], rows[1]))


@pytest.mark.parametrize(("number", "more"), [(1, 1), (15, 2), (73, 1)])
def test_phase_rows_are_25_times_the_tool_rows_and_one_or_two(number: int, more: int) -> None:
    course = cast()[number]
    phase_rows, tool_rows = (len(text(course).splitlines()) - 1 for text in (phase_text, tool_text))
    assert phase_rows == 25 * tool_rows + more == course.frames


def test_the_small_demo_has_each_peculiarity_of_the_real_orders() -> None:
    orders = {number: order(course) for number, course in cast().items()}
    assert orders == {
        1: "0123456",
        2: "0123456",
        4: "123456",
        5: "012346",
        8: "0123546",
        13: "0123465",
        15: "0123456",
        73: "0123456",
    }


def test_the_small_demo_has_train_validation_and_test_surgeries() -> None:
    plan = SplitPlan.parse(["clean/1"])
    splits = [plan.of(f"cholec80/{number}") for number in cast()]
    assert splits[:3] == ["train", "test", "validation"]
    assert Counter(splits) == {"train": 6, "validation": 1, "test": 1}


def test_one_surgery_has_larger_pictures_and_one_begins_in_the_dark() -> None:
    demo = cast(size=(854, 480))
    assert {course.size for number, course in demo.items() if number != 2} == {(854, 480)}
    assert demo[2].size == (960, 540)
    assert {number: course.black for number, course in demo.items() if course.black} == {1: 2}
    assert all(demo[1].phases[s] == 0 and not demo[1].tools[s] for s in range(2))


def test_every_surgery_shows_the_tools_that_mark_its_phases() -> None:
    for course in cast().values():
        seen = {
            phase: set().union(*(t for p, t in zip(course.phases, course.tools, strict=True) if p == phase))
            for phase in range(7)
        }
        assert {"Clipper", "Scissors"} <= seen[2]
        assert "Hook" in seen[1] & seen[3]
        assert "SpecimenBag" in seen[4]
        assert 5 not in course.phases or seen[5] & {"Irrigator", "Bipolar"}
        clips, cuts = (
            [s for s, t in enumerate(course.tools) if course.phases[s] == 2 and tool in t]
            for tool in ("Clipper", "Scissors")
        )
        assert max(clips) < min(cuts)


def test_tools_follow_the_phases_as_often_as_in_the_real_files() -> None:
    """Against the shares over the 80 real surgeries, at their real length."""
    real = {
        (0, "Grasper"): 48.1,
        (1, "Hook"): 76.9,
        (1, "Grasper"): 65.7,
        (2, "Clipper"): 40.2,
        (2, "Scissors"): 19.6,
        (3, "Hook"): 76.0,
        (4, "SpecimenBag"): 78.2,
        (5, "Irrigator"): 38.5,
        (5, "Bipolar"): 30.7,
        (6, "SpecimenBag"): 28.0,
    }
    shown, total = Counter[tuple[int, str]](), Counter[int]()
    for course in cast(80, 2306).values():
        for phase, tools in zip(course.phases, course.tools, strict=True):
            total[phase] += 1
            shown.update((phase, tool) for tool in tools)
    for (phase, tool), share in real.items():
        assert 100 * shown[phase, tool] / total[phase] == pytest.approx(share, abs=8), (PHASES[phase], tool)
    assert not any(shown[phase, "SpecimenBag"] for phase in range(4))
    assert 100 * total[1] / total.total() == pytest.approx(40.6, abs=3)


def test_the_reader_of_the_real_data_reads_it(tmp_path: Path) -> None:
    write_annotations(tmp_path, surgeries=3, seconds=30)
    (tmp_path / "cholec80" / "videos").mkdir()
    for course in courses(3, 0, 30, SMALL):
        stand_in_video(tmp_path / "cholec80" / "videos" / f"video{course.number:02d}.mp4", course.seconds)
    reader = source("cholec80")
    scan = reader.scan(tmp_path / "cholec80")
    assert scan is not None
    assert [files.surgery for files in scan.surgeries] == ["cholec80/1", "cholec80/8", "cholec80/73"]
    for files in scan.surgeries:
        course = cast(3, 30)[int(files.surgery.split("/")[1])]
        facts = reader.facts(scan.root, files).facts
        assert (facts["kind"] == "instrument").sum() == sum(len(tools) for tools in course.tools)


# What is drawn is what is labelled


@pytest.fixture(scope="module")
def films() -> dict[int, Film]:
    return {number: Film(course, 0) for number, course in cast(3).items()}


def second_of(course: Course, phase: int) -> int:
    return course.phases.index(phase) + course.phases.count(phase) // 2


#: Each tool in a phase that shows it.
SHOWN = [
    ("Grasper", 1),
    ("Bipolar", 5),
    ("Hook", 3),
    ("Scissors", 2),
    ("Clipper", 2),
    ("Irrigator", 5),
    ("SpecimenBag", 4),
]


@pytest.mark.parametrize(("tool", "phase"), SHOWN)
@pytest.mark.parametrize("number", [1, 8, 73])
def test_a_tool_in_view_changes_the_picture_around_its_tip(
    films: dict[int, Film], tool: str, phase: int, number: int
) -> None:
    film = films[number]
    at = PICTURES * second_of(film.course, phase)
    without, shown = (film.picture(at, frozenset(tools)).astype(int) for tools in ((), (tool,)))
    changed = np.abs(shown - without).max(axis=2) > 24
    # Nothing changes outside the lit field, and within it the tip and more than a tip's worth of shaft.
    lit = without.max(axis=2) > 16
    assert not (changed & ~lit).any() or (changed & ~lit).sum() < 0.02 * changed.sum()
    assert 0.01 < changed.mean() < 0.20
    # The part of the tool that is farthest from where its shaft enters lies well inside the picture.
    height, width = changed.shape
    inner = changed[round(0.1 * height) : round(0.9 * height), round(0.15 * width) : round(0.85 * width)]
    assert inner.sum() > 0.35 * changed.sum()


@pytest.mark.parametrize("phase", [1, 3])
def test_the_hook_ends_in_a_bare_l_behind_a_white_sleeve(films: dict[int, Film], phase: int) -> None:
    film = films[73]
    at = PICTURES * second_of(film.course, phase)
    without, shown = (film.picture(at, frozenset(tools)).astype(int) for tools in ((), ("Hook",)))
    pale = (shown.min(axis=2) > 110) & (np.abs(shown - without).max(axis=2) > 40)
    assert 150 < pale.sum() < 3000
    grasper = film.picture(at, frozenset({"Irrigator"})).astype(int)
    assert not np.array_equal(grasper, shown)


def test_bipolar_forceps_are_the_only_blue_instrument(films: dict[int, Film]) -> None:
    def blue(film: Film, at: int, tool: str) -> int:
        red, _, blue_ = np.moveaxis(film.picture(at, frozenset({tool})).astype(int), 2, 0)
        return int((blue_ > red + 35).sum())

    for film in films.values():
        at = PICTURES * second_of(film.course, 5)
        counts = {tool: blue(film, at, tool) for tool in TOOLS}
        assert counts.pop("Bipolar") > 500
        # The drawstring of the bag is a thin blue line.
        assert max(counts.values()) < 300, counts


def test_the_bag_is_the_largest_pale_thing(films: dict[int, Film]) -> None:
    for film in films.values():
        at = PICTURES * second_of(film.course, 4)
        pale = {tool: (film.picture(at, frozenset({tool})).min(axis=2) > 120).sum() for tool in TOOLS}
        assert max(pale, key=lambda tool: pale[tool]) == "SpecimenBag"
        assert pale["SpecimenBag"] > 1500


def test_every_two_instruments_look_different(films: dict[int, Film]) -> None:
    film = films[73]
    at = PICTURES * second_of(film.course, 5)
    pictures = {tool: film.picture(at, frozenset({tool})).astype(int) for tool in TOOLS}
    for a in TOOLS:
        for b in TOOLS:
            if a < b:
                assert (np.abs(pictures[a] - pictures[b]).max(axis=2) > 24).sum() > 300, (a, b)


def test_at_each_labelled_second_exactly_the_labelled_tools_are_drawn(films: dict[int, Film]) -> None:
    """The film draws what the tool file says; only a second grasper may stand beside a labelled one."""
    for film in films.values():
        for second in range(0, film.course.seconds, 2):
            tools = film.course.tools[second]
            drawn, asked = film.picture(PICTURES * second), film.picture(PICTURES * second, tools)
            if "Grasper" not in tools:
                assert np.array_equal(drawn, asked)
            elif second >= film.course.black:
                assert not np.array_equal(drawn, film.picture(PICTURES * second, frozenset()))


def test_each_phase_has_its_own_scene(films: dict[int, Film]) -> None:
    film = films[73]
    scenes = [film.picture(PICTURES * second_of(film.course, phase), frozenset()).astype(int) for phase in range(7)]
    for n, scene in enumerate(scenes):
        for other in scenes[n + 1 :]:
            assert np.abs(scene - other).mean() > 4


def test_a_lit_round_field_lies_on_black(films: dict[int, Film]) -> None:
    for film in films.values():
        picture = film.picture(PICTURES * 10).astype(int)
        corners = [picture[y, x] for y in (0, -1) for x in (0, -1)]
        assert max(int(corner.max()) for corner in corners) <= 12
        lit = picture.max(axis=2) > 24
        assert 0.5 < lit.mean() < 0.95
        assert lit[90, 160]


def test_black_seconds_are_black_and_the_next_one_is_not(films: dict[int, Film]) -> None:
    film = films[1]
    assert film.picture(0).max() == 0 and film.picture(PICTURES * film.course.black - 1).max() == 0
    assert film.picture(PICTURES * film.course.black).mean() > 20


def test_neighbouring_seconds_and_surgeries_differ(films: dict[int, Film]) -> None:
    for film in films.values():
        pictures = [film.picture(PICTURES * s).astype(int) for s in range(film.course.black, 20)]
        assert all(np.abs(a - b).mean() > 0.3 for a, b in pairwise(pictures))
    first, other = (films[number].picture(PICTURES * 20).astype(int) for number in (1, 73))
    assert np.abs(first - other).mean() > 10


# Files, bytes and folders


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    make_demo(folder, surgeries=2, seconds=12, size=SMALL)
    return folder


def test_the_tree_is_that_of_the_download(demo: Path) -> None:
    visible = {path.relative_to(demo).as_posix() for path in demo.rglob("*") if path.is_file() and path.name[0] != "."}
    assert visible == {
        f"cholec80/{name}"
        for number in ("01", "73")
        for name in (
            f"videos/video{number}.mp4",
            f"phase_annotations/video{number}-phase.txt",
            f"tool_annotations/video{number}-tool.txt",
        )
    }


def test_the_video_has_a_frame_for_each_phase_row_and_shows_the_course(demo: Path) -> None:
    for number, course in cast(2, 12).items():
        video = frames(demo / "cholec80" / "videos" / f"video{number:02d}.mp4")
        rows = (demo / "cholec80" / "phase_annotations" / f"video{number:02d}-phase.txt").read_text().splitlines()[1:]
        assert len(video) == len(rows) == course.frames
        assert {frame.shape for frame in video} == {(180, 320, 3)}
        film = Film(course, 0)
        hold = 25 // PICTURES
        for n in range(course.black * PICTURES, course.seconds * PICTURES + 1, 3):
            right, other = film.picture(n).astype(int), film.picture(max(0, n - PICTURES)).astype(int)
            for frame in video[hold * n : hold * n + hold]:
                # Compression changes little; the picture of a second earlier is farther off.
                assert np.abs(frame - right).mean() < 3.5
                if np.abs(right - other).mean() > 1:
                    assert np.abs(frame - right).mean() < np.abs(frame - other).mean()


def test_the_video_is_h264_at_25_frames_a_second_with_b_frames(demo: Path) -> None:
    with av.open(str(demo / "cholec80" / "videos" / "video73.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 25
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert any(packet.pts != packet.dts for packet in packets)
        assert len({packet.pts for packet in packets}) == len(packets)


def test_the_same_bytes_for_any_number_of_workers_and_of_surgeries(demo: Path, tmp_path: Path) -> None:
    make_demo(tmp_path, surgeries=3, seconds=12, size=SMALL, workers=1)
    once, again = hashes(demo / "cholec80"), hashes(tmp_path / "cholec80")
    common = [name for name in once if not name.startswith(".")]
    assert len(common) == 6
    assert {name: once[name] for name in common} == {name: again[name] for name in common}


def test_another_seed_gives_another_demo(tmp_path: Path) -> None:
    write_annotations(tmp_path / "a", surgeries=2, seconds=60)
    write_annotations(tmp_path / "b", surgeries=2, seconds=60, seed=1)
    assert set(hashes(tmp_path / "a").values()).isdisjoint(hashes(tmp_path / "b").values())


@pytest.mark.slow
def test_a_complete_demo_is_left_alone_and_an_incomplete_one_completed(demo: Path, tmp_path: Path) -> None:
    make_demo(tmp_path, surgeries=2, seconds=12, size=SMALL)
    before = hashes(tmp_path)
    video = tmp_path / "cholec80" / "videos" / "video01.mp4"
    stamp = video.stat().st_mtime_ns
    make_demo(tmp_path, surgeries=2, seconds=12, size=SMALL)
    assert video.stat().st_mtime_ns == stamp
    video.unlink()
    # What a killed run leaves behind goes as well.
    (video.parent / ".video01.1234.part.mp4").write_bytes(b"half")
    make_demo(tmp_path, surgeries=2, seconds=12, size=SMALL)
    assert hashes(tmp_path) == before


def test_an_interrupted_demo_leaves_no_video_that_looks_whole(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        make_demo(tmp_path, surgeries=2, seconds=12, size=SMALL, progress=stop)
    assert list((tmp_path / "cholec80" / "videos").iterdir()) == []
    assert threading.active_count() == before
    make_demo(tmp_path, surgeries=2, seconds=12, size=SMALL)
    assert len(list((tmp_path / "cholec80" / "videos").iterdir())) == 2


def test_other_settings_take_the_place_of_what_the_demo_wrote(tmp_path: Path) -> None:
    write_annotations(tmp_path, surgeries=5, seconds=30)
    write_annotations(tmp_path, surgeries=2, seconds=30)
    assert len(list((tmp_path / "cholec80" / "tool_annotations").iterdir())) == 2


def test_a_real_download_is_never_written_into(tmp_path: Path) -> None:
    annotations = tmp_path / "cholec80" / "phase_annotations"
    annotations.mkdir(parents=True)
    (annotations / "video01-phase.txt").write_text("Frame\tPhase\n")
    with pytest.raises(CotgenError, match="did not write"):
        make_demo(tmp_path, surgeries=1, seconds=12, size=SMALL)
    # Nor beside one: roots are searched by name and by content.
    for folder in (tmp_path / "cholec80", tmp_path / "other"):
        (folder / "Videos").mkdir(parents=True)
        with pytest.raises(CotgenError, match="looks like a download"):
            make_demo(folder, surgeries=1, seconds=12, size=SMALL)
    (tmp_path / "mixed" / "Cholec80").mkdir(parents=True)
    with pytest.raises(CotgenError, match="looks like a real download"):
        make_demo(tmp_path / "mixed", surgeries=1, seconds=12, size=SMALL)
    assert hashes(tmp_path) == {
        "cholec80/phase_annotations/video01-phase.txt": hashlib.sha256(b"Frame\tPhase\n").hexdigest()
    }


def test_a_changed_file_is_not_overwritten(tmp_path: Path) -> None:
    write_annotations(tmp_path, surgeries=1, seconds=12)
    file = tmp_path / "cholec80" / "tool_annotations" / "video01-tool.txt"
    file.write_text("mine\n")
    with pytest.raises(CotgenError, match="changed since"):
        write_annotations(tmp_path, surgeries=2, seconds=12)
    assert file.read_text() == "mine\n"


def test_two_demos_are_not_written_into_one_folder_at_once(tmp_path: Path) -> None:
    refused: list[CotgenError] = []

    def again(done: int, total: int) -> None:
        if done == 1:
            with pytest.raises(CotgenError, match="Another demo") as caught:
                write_annotations(tmp_path, surgeries=1, seconds=12)
            refused.append(caught.value)

    make_demo(tmp_path, surgeries=1, seconds=12, size=(96, 64), progress=again)
    assert len(refused) == 1
    assert (tmp_path / "cholec80" / "videos" / "video01.mp4").is_file()


@pytest.mark.slow
def test_a_killed_demo_is_completed_by_the_same_call(demo: Path, tmp_path: Path) -> None:
    settings = "surgeries=2, seconds=12, size=(320, 180), progress=lambda n, _: print(n, flush=True)"
    code = "import sys; from pathlib import Path; from cotgen.sources.demo import make_demo; "
    code += f"make_demo(Path(sys.argv[1]), {settings})"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    # The encoders of the killed run end by themselves as their input closes; a late one may still open its file.
    ends = time.monotonic() + 10
    while any(str(tmp_path) in " ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])):
        assert time.monotonic() < ends
        time.sleep(0.05)
    left = [path.name for path in (tmp_path / "cholec80" / "videos").iterdir()]
    assert left and all(name.startswith(".") for name in left)
    make_demo(tmp_path, surgeries=2, seconds=12, size=SMALL)
    assert hashes(tmp_path) == hashes(demo)


@pytest.mark.parametrize("record", [b"", b"[]", b"{}", b'{"complete": true, "files": {"../../mine.txt": ""}}'])
def test_a_damaged_record_removes_nothing(tmp_path: Path, record: bytes) -> None:
    root = tmp_path / "a" / "cholec80"
    root.mkdir(parents=True)
    (tmp_path / "mine.txt").write_text("mine")
    (root / ".cotgen-demo.json").write_bytes(record)
    with pytest.raises(CotgenError, match="damaged"):
        write_annotations(tmp_path / "a", surgeries=1, seconds=12)
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"surgeries": 0}, "1 to 80"),
        ({"surgeries": 81}, "1 to 80"),
        ({"seconds": 9}, "10 s or more"),
        ({"size": (321, 180)}, "even width"),
        ({"source": "cholect50"}, "cholec80"),
    ],
)
def test_settings_out_of_range_are_explained(tmp_path: Path, settings: dict[str, object], words: str) -> None:
    with pytest.raises(CotgenError, match=words):
        make_demo(tmp_path, **settings)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CotgenError, match="is a file"):
        make_demo(tmp_path / "file", surgeries=1, seconds=12, size=SMALL)
    with pytest.raises(CotgenError, match="could not be written"):
        make_demo(tmp_path / "file" / "below", surgeries=1, seconds=12, size=SMALL)


def test_progress_counts_every_second_once(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    make_demo(
        tmp_path, surgeries=2, seconds=12, size=(96, 64), progress=lambda done, total: seen.append((done, total))
    )
    total = sum(course.seconds for course in courses(2, 0, 12, (96, 64)))
    assert seen == [(n + 1, total) for n in range(total)]


@pytest.mark.parametrize("extra", [1, 2])
def test_a_stand_in_video_has_the_right_length_and_moves(tmp_path: Path, extra: int) -> None:
    stand_in_video(tmp_path / "video.mp4", 20, extra=extra)
    video = frames(tmp_path / "video.mp4")
    assert len(video) == 25 * 20 + extra
    assert video[0].shape == (48, 64, 3)
    assert all(np.abs(a.astype(int) - b).mean() > 0.5 for a, b in pairwise(video[:50]))


@pytest.mark.slow
def test_the_default_demo_is_small_and_has_every_kind_of_tool_set(tmp_path: Path) -> None:
    make_demo(tmp_path)
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert size < 60e6
    sets = {tools for course in courses(8, 0, 60, (854, 480)) for tools in course.tools}
    wanted = ["", "Grasper", "Hook", "Grasper Hook", "Clipper", "Grasper Clipper", "Scissors", "Grasper Scissors"]
    wanted += ["Bipolar", "Irrigator", "Grasper SpecimenBag"]
    assert {frozenset(tools.split()) for tools in wanted} <= sets
