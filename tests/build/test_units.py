"""Units: what their fingerprints hold, and that they run alone from plain data."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from cotgen.build import units
from cotgen.build.units import (
    ChainsUnit,
    FactsUnit,
    FramesUnit,
    HashUnit,
    PriorsUnit,
    chains_fingerprint,
    facts_fingerprint,
    frames_fingerprint,
    priors_fingerprint,
    read_facts,
    run_unit,
)
from cotgen.errors import SourceError
from cotgen.sources import source
from cotgen.sources.base import Footage, SurgeryFiles

FILES = SurgeryFiles("cholec80/5", (("phase", "p.txt"), ("tool", "t.txt")), "v.mp4")
FOOTAGE = Footage("cholec80", Path("/data"), "v.mp4")


def facts(**changed: Any) -> str:
    given = {"source": "cholec80", "files": FILES, "annotations": ["a", "b"], "step": 25}
    return facts_fingerprint(**{**given, **changed})


def frames(**changed: Any) -> str:
    given = {"footage": FOOTAGE, "content": "v", "wanted": [0, 25], "mode": "embed", "quality": 90, "max_side": 0}
    return frames_fingerprint(**{**given, **changed})


def priors(**changed: Any) -> str:
    return priors_fingerprint(**{"facts": ["a", "b"], "excluded": {}, "split": "clean/1", **changed})


def chains(**changed: Any) -> str:
    given = {
        "facts": ["f"],
        "frames": "v",
        "priors": "p",
        "wanted": [0, 25],
        "tasks": ["phase"],
        "split": "train",
        "seed": 0,
        "procedure": "cholecystectomy",
    }
    return chains_fingerprint(**{**given, **changed})


def test_facts_depend_on_annotations_and_step_and_not_on_where_they_lie() -> None:
    one = facts()
    assert one == facts()
    assert one != facts(annotations=["a", "c"])
    assert one != facts(step=125)
    assert one != facts(files=SurgeryFiles("cholec80/5", (("phase", "p.txt"),), "v.mp4"), annotations=["a"])
    # The video is none of their business; extracted pictures are: their last one must fit the last label.
    assert one == facts(files=SurgeryFiles("cholec80/5", FILES.annotations, "w.mp4"))
    assert one != facts(files=SurgeryFiles("cholec80/5", FILES.annotations, "", ((0, "0.png"),)))


def test_frames_depend_on_pixels_choice_and_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    one = frames()
    assert one == frames(footage=Footage("cholec80", Path("/elsewhere"), "v.mp4"))
    for change in ({"content": "w"}, {"wanted": [0]}, {"mode": "reference"}, {"quality": 80}, {"max_side": 100}):
        assert frames(**change) != one, change
    assert frames(footage=Footage("cholec80", Path("/data"), "v.mp4", crop=(0, 0, 8, 8))) != one
    # The same two pictures may stand for other instants, where one of those that are wanted is missing.
    shown = [Footage("x", Path("/data"), images=((0, "a.png"), (index, "b.png"))) for index in (25, 50)]
    assert len({frames(footage=footage, wanted=[0, 25, 50]) for footage in shown}) == 2
    monkeypatch.setattr("cotgen.frames.encode.encoder_version", lambda: "another")
    assert frames() != one
    assert frames(mode="none") == frames(mode="none", quality=80)


def test_priors_depend_on_the_facts_that_are_counted() -> None:
    one = priors()
    assert one == priors(facts=["b", "a"], excluded={"cholec80/1": []})
    for change in ({"facts": ["a"]}, {"split": "other"}, {"excluded": {"cholec80/1": [25]}}):
        assert priors(**change) != one, change


def test_chains_depend_on_facts_frames_priors_options_and_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    one = chains()
    for change in (
        {"facts": ["g"]},
        {"frames": "w"},
        {"priors": ""},
        {"wanted": [0]},
        {"tasks": ["phase", "tool_count"]},
        {"split": "test"},
        {"seed": 1},
        {"procedure": "other"},
        {"native": (("cholect50", (854, 480)),)},
        {"balance": "b"},
    ):
        assert chains(**change) != one, change
    monkeypatch.setattr("cotgen.chains.write.templates_sha256", lambda: "another")
    assert chains() != one


@pytest.mark.parametrize(
    ("make", "version"),
    [
        (facts, "cotgen.build.units.FACTS_VERSION"),
        (priors, "cotgen.build.units.PRIORS_VERSION"),
        (frames, "cotgen.frames.extract.FRAMES_VERSION"),
        (chains, "cotgen.chains.write.CHAINS_VERSION"),
    ],
)
def test_a_raised_version_makes_every_unit_of_its_step_anew(
    make: Any, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make()
    monkeypatch.setattr(version, 99)
    assert make() != one


def surgery(demo: Path) -> tuple[Path, SurgeryFiles]:
    scan = source("cholec80").scan(demo / "cholec80")
    assert scan is not None
    return scan.root, scan.surgeries[0]


def test_every_unit_runs_alone_from_what_can_be_sent_to_another_machine(demo: Path, tmp_path: Path) -> None:
    root, files = surgery(demo)
    footage = source("cholec80").frames(root, files)
    wanted = (0, 25, 50, 75)
    given: dict[str, Any] = {"part": tmp_path / "part"}
    paths = {name: tmp_path / f"of.{name}" for name in ("facts", "priors", "frames", "chains")}
    chain = [
        HashUnit(files.surgery, (root / files.video,), (files.video,), ends=False),
        FactsUnit("cholec80", root, files, 25, paths["facts"], **given),
        PriorsUnit(((paths["facts"],),), (), "clean/1", paths["priors"], **given),
        FramesUnit(files.surgery, footage, wanted, "embed", 90, 0, paths["frames"], **given),
        ChainsUnit(
            files.surgery,
            (paths["facts"],),
            paths["frames"],
            paths["priors"],
            wanted,
            ("phase",),
            "train",
            0,
            "cholecystectomy",
            "cholec80",
            "25/1",
            (),
            paths["chains"],
            **given,
        ),
    ]
    for unit in chain:
        run_unit(pickle.loads(pickle.dumps(unit)))
    assert all(path.exists() for path in paths.values())
    assert not given["part"].exists()
    before = paths["chains"].read_bytes()
    run_unit(chain[-1])
    assert paths["chains"].read_bytes() == before


def test_facts_come_back_as_the_source_gave_them(demo: Path, tmp_path: Path) -> None:
    root, files = surgery(demo)
    out = tmp_path / "a.facts"
    run_unit(FactsUnit("cholec80", root, files, 25, out, tmp_path / "part"))
    given, found = source("cholec80").facts(root, files, 25), read_facts(out)
    assert given.facts.equals(found.facts)
    assert given.labelled.equals(found.labelled)
    assert given.oddities == found.oddities


def test_a_unit_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("no header\n")
    files = SurgeryFiles("cholec80/5", (("phase", "p.txt"),), "v.mp4")
    with pytest.raises(SourceError):
        run_unit(FactsUnit("cholec80", tmp_path, files, 25, tmp_path / "out", tmp_path / "part"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.txt"]


def test_a_video_that_grows_while_it_is_read_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = tmp_path / "v.mp4"
    video.write_bytes(b"half")

    def growing(path: Path, progress: object) -> str:
        path.write_bytes(b"half and half")
        return "0" * 64

    monkeypatch.setattr(units, "hash_file", growing)
    with pytest.raises(Exception, match="changed while it was read"):
        run_unit(HashUnit("cholec80/5", (video,), ("v.mp4",), ends=False))


def test_pictures_are_known_by_name_size_and_content(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(name.encode())

    def hashed(*names: str) -> str:
        unit = HashUnit("cholec80/5", tuple(tmp_path / name for name in names), names, ends=False)
        return str(run_unit(unit)["sha256"])

    one = hashed("a.png", "b.png")
    assert one == hashed("a.png", "b.png")
    assert one != hashed("b.png", "a.png")
    (tmp_path / "b.png").write_bytes(b"other")
    assert one != hashed("a.png", "b.png")
