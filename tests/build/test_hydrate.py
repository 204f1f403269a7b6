"""The pictures go back into a set that was published without them: bit for bit, the right ones only, whatever is missing."""

import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from cotgen.build.config import load_config
from cotgen.build.hydrate import NOT_FOUND, OTHER, Hydrating, Hydration, hydrate, preview
from cotgen.build.report import Reporter
from cotgen.build.run import build
from cotgen.cli import main
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.records import Manifest, canonical_json
from cotgen.shards.manifest import load, load_priors, seal, sums_text
from cotgen.shards.pack import Entry, pack
from cotgen.shards.stored import StoredRecords
from cotgen.shards.strip import without_pictures
from cotgen.shards.verify import verify
from cotgen.sources.demo.look_alikes import LOOK_ALIKES, make_look_alike
from tests.build.conftest import once, sums
from tests.build.test_resume import Command
from tests.build.test_sources import write_cholect50

Hydrate = Callable[..., Hydration]


def content(folder: Path) -> dict[str, str]:
    """sha256 of every shard and of the index."""
    return {
        name: digest for name, digest in sums(folder).items() if name.startswith("data/") or name == "index.parquet"
    }


def stripped(folder: Path) -> Path:
    """The same set without pictures, beside it."""
    out = folder.with_name(f"{folder.name}-bare")
    without_pictures(folder, out)
    return out


@pytest.fixture(scope="module")
def bare(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(out: Path) -> None:
        without_pictures(built, out)

    return once(tmp_path_factory, "bare", make)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder of all these tests: what is decoded in one is there in the next."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture
def put(work: Path, tmp_path: Path) -> Hydrate:
    def run(data: Path, out: Path, *roots: object, **given: Any) -> Hydration:
        given = {"work": work, "workers": 1, **given}
        what = Hydrating(data, [str(root) for root in roots], out, **given)
        return hydrate(what, Reporter(None), cwd=tmp_path, env={})

    return run


def embedded(base: Path, *names: str, **given: Any) -> Path:
    """A build with pictures of what lies in `base/data`."""
    config = {"source": names, "root": [str(base / "data")], "out": base / "set", "workers": 1, **given}
    assert build(load_config(None, config), Reporter(None), env={}).exit_code == 0
    return base / "set"


def assert_the_same_again(put: Hydrate, base: Path, built: Path) -> None:
    """Without its pictures and with them again, it is the same bit for bit."""
    done = put(stripped(built), base / "out", base / "data")
    assert (done.exit_code, done.gaps, done.changed) == (0, [], 0)
    assert content(base / "out") == content(built)
    assert verify(base / "out").ok


def test_a_joined_build_of_video_and_pictures_made_smaller(demo: Path, put: Hydrate, tmp_path: Path) -> None:
    """Operation 1 has its video in Cholec80, 73 only its pictures in CholecT50."""
    shutil.copytree(demo, tmp_path / "data")
    (tmp_path / "data/cholec80/videos/video73.mp4").unlink()
    write_cholect50(tmp_path / "data")
    built = embedded(tmp_path, "cholec80", "cholect50", max_side=100, shards=2, seed=7)
    with StoredRecords(built) as stored:
        frames = [orjson.loads(stored.record(place)[0])["frame"] for place in stored.places()]
    assert {(frame["source"], frame["width"]) for frame in frames} == {("cholec80", 100), ("cholect50", 100)}
    assert_the_same_again(put, tmp_path, built)


@pytest.mark.slow
@pytest.mark.parametrize(
    # Made smaller: one of videos, one of pictures with masks.
    ("name", "max_side"),
    [*((name, 0) for name in LOOK_ALIKES), ("cholec80", 200), ("endoscapes", 200)],
)
def test_every_look_alike_is_the_same_again(name: str, max_side: int, put: Hydrate, tmp_path: Path) -> None:
    make_look_alike(name, tmp_path / "data", seconds=10, surgeries=3 if name in ("cholec80", "endoscapes") else None)
    assert_the_same_again(put, tmp_path, embedded(tmp_path, name, max_side=max_side))


def test_a_set_of_videos_gets_its_pictures_back(
    built: Path, bare: Path, demo: Path, put: Hydrate, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = put(bare, out, demo)
    assert (done.exit_code, done.placed, done.outcome.executed["frames"]) == (0, 24, 2)
    assert content(out) == content(built)
    there, before, original = load(out), load(bare), load(built)
    assert (there.kind, there.parents, there.config) == ("hydrated", [before.fingerprint], original.config)
    assert (there.counts, there.sources, there.splits) == (original.counts, before.sources, before.splits)
    assert there.fingerprint not in (before.fingerprint, original.fingerprint)
    assert verify(out).ok
    assert done.closed == ["Cholec80"]


def test_the_same_command_again_needs_not_even_the_videos(
    bare: Path, demo: Path, put: Hydrate, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    put(bare, out, demo)
    before = sums(out)
    again = put(bare, out, work=tmp_path / "another-work")
    assert (again.outcome.unchanged, again.outcome.executed, again.exit_code) == (True, {}, 0)
    shard = min((out / "data").iterdir())
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    mended = put(bare, out, demo)
    assert (mended.outcome.executed, sums(out)) == ({"pack": 1}, before)


@pytest.mark.slow
def test_another_folder_has_the_same_bytes(bare: Path, demo: Path, put: Hydrate, tmp_path: Path) -> None:
    put(bare, tmp_path / "one", demo)
    put(bare, tmp_path / "two", demo, work=tmp_path / "new", workers=2)
    assert sums(tmp_path / "one") == sums(tmp_path / "two")


@pytest.mark.slow
def test_a_build_with_reference_is_hydrated_alike(built: Path, demo: Path, put: Hydrate, tmp_path: Path) -> None:
    config = load_config(
        None, {"source": "cholec80", "root": [str(demo)], "out": tmp_path / "reference", "workers": 1}
    )
    build(config.model_copy(update={"frames": "reference"}), Reporter(None), env={})
    put(tmp_path / "reference", tmp_path / "out", demo)
    assert content(tmp_path / "out") == content(built)


@pytest.mark.parametrize(
    "names",
    [
        ("videos/video01.mp4", "videos/video73.mp4"),
        ("Download/Videos/VIDEO01.MP4", "Download/Videos/video73.mp4"),
        ("video01.mp4", "video73.mp4"),
    ],
)
def test_the_videos_alone_are_enough_wherever_they_lie(
    names: tuple[str, str], built: Path, bare: Path, demo: Path, put: Hydrate, tmp_path: Path
) -> None:
    for name, number in zip(names, ("01", "73"), strict=True):
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(demo / f"cholec80/videos/video{number}.mp4")
    done = put(bare, tmp_path / "out", tmp_path / "mine")
    assert (done.exit_code, content(tmp_path / "out")) == (0, content(built))


@pytest.fixture
def mine(demo: Path, tmp_path: Path) -> Path:
    """One's own download: the video of operation 1, and none of 73."""
    (tmp_path / "mine" / "videos").mkdir(parents=True)
    (tmp_path / "mine/videos/video01.mp4").symlink_to(demo / "cholec80/videos/video01.mp4")
    return tmp_path / "mine"


def test_what_is_missing_is_listed_and_the_rest_is_whole(
    built: Path, bare: Path, demo: Path, mine: Path, put: Hydrate, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = put(bare, out, mine)
    (gap,) = done.gaps
    assert (done.exit_code, done.placed, gap.surgery, gap.file, gap.frames) == (
        1,
        11,
        "cholec80/73",
        "videos/video73.mp4",
        13,
    )
    assert f"{mine} (--root {mine})" in done.looked
    assert done.listing is not None
    assert done.listing.read_text().splitlines()[0] == "cholec80-73-000000\tvideos/video73.mp4\twas not found"
    manifest = load(out)
    rows = {(item.what, item.reason): item.count for item in manifest.left_out}
    assert rows["frame", NOT_FOUND] == 13
    assert rows["surgery", "no picture of it could be put back"] == 1
    assert str(tmp_path) not in (out / "manifest.json").read_text()
    assert manifest.splits == {"train": ["cholec80/1"]}
    assert verify(out).ok
    again = put(bare, out, mine)
    assert (again.outcome.unchanged, again.exit_code, again.gaps) == (True, 1, done.gaps)
    (mine / "videos/video73.mp4").symlink_to(demo / "cholec80/videos/video73.mp4")
    whole = put(bare, out, mine)
    assert (whole.exit_code, content(out)) == (0, content(built))


def test_another_video_is_not_put_in_and_that_is_said_once(
    bare: Path, demo: Path, mine: Path, put: Hydrate, tmp_path: Path
) -> None:
    (mine / "videos/video73.mp4").symlink_to(demo / "cholec80/videos/video01.mp4")
    done = put(bare, tmp_path / "out", mine)
    (gap,) = done.gaps
    assert (gap.surgery, gap.reason, gap.frames, gap.all) == ("cholec80/73", OTHER, 13, True)
    assert gap.why == f"{mine}/videos/video73.mp4: all its frames have other pixels than the data set was made from."
    assert str(tmp_path) not in (tmp_path / "out/manifest.json").read_text()
    assert verify(tmp_path / "out").ok
    with pytest.raises(CotgenError, match=r"(?s)No picture could be put back.*Other pixels mean another release"):
        only = tmp_path / "only" / "videos"
        only.mkdir(parents=True)
        (only / "video73.mp4").symlink_to(demo / "cholec80/videos/video01.mp4")
        put(bare, tmp_path / "nothing", only.parent)
    assert not (tmp_path / "nothing").exists()


def test_nothing_found_writes_nothing_and_says_where_it_looked(bare: Path, put: Hydrate, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(CotgenError) as caught:
        put(bare, tmp_path / "out", tmp_path / "mine")
    text = str(caught.value)
    for part in ("cholec80/73: videos/video73.mp4: was not found", f"{tmp_path}/mine (--root", "request form"):
        assert part in text
    assert not (tmp_path / "out").exists()
    with pytest.raises(CotgenError, match="is no folder; check the path"):
        put(bare, tmp_path / "out", tmp_path / "mistyped")


def changed(folder: Path, out: Path, change: Callable[[dict[str, Any]], None], **manifest: Any) -> Path:
    """The set with changed records, packed and sealed as a publisher would."""
    with StoredRecords(folder) as stored:
        places = list(stored.places())
        records = []
        for place in places:
            record = orjson.loads(stored.record(place)[0])
            change(record)
            records.append(canonical_json(record))
    entries = [
        Entry(p.key, p.split, 0, len(r), (n, 0))  # type: ignore[arg-type]
        for n, (p, r) in enumerate(zip(places, records, strict=True))
    ]
    receipts = out.with_name(f"{out.name}.receipts")
    packed = pack(
        out,
        entries,
        lambda e: (records[e.where[0]], b""),
        fingerprint="f" * 64,
        seed=0,
        shards=None,
        receipts=receipts,
    )
    before = load(folder)
    update = {"shards": packed.shards, "fingerprint": "f" * 64, **manifest}
    seal(out, Manifest.model_validate(before.model_copy(update=update).model_dump(by_alias=True)), load_priors(folder))
    return out


def test_a_single_other_picture_is_named(bare: Path, demo: Path, put: Hydrate, tmp_path: Path) -> None:
    def other(record: dict[str, Any]) -> None:
        if record["key"] == "cholec80-73-000100":
            record["frame"]["pixels"] = "0" * 64

    done = put(changed(bare, tmp_path / "other", other), tmp_path / "out", demo)
    (gap,) = done.gaps
    assert (gap.keys, gap.file, gap.reason, gap.all) == (("cholec80-73-000100",), "videos/video73.mp4", OTHER, False)
    assert (done.exit_code, done.placed, verify(tmp_path / "out").ok) == (1, 23, True)
    assert load(tmp_path / "out").counts["samples"] == 23


def test_another_encoder_gives_valid_shards_of_its_own(
    built: Path, bare: Path, demo: Path, put: Hydrate, tmp_path: Path
) -> None:
    """A publisher whose quality 85 is what is quality 90 here: the same pixels, other bytes."""
    before = load(bare)
    versions = {**before.versions, "encoder": "Pillow 1.0, libjpeg 6, 4:2:0"}
    published = changed(
        bare, tmp_path / "published", lambda record: None, config={**before.config, "quality": 85}, versions=versions
    )
    done = put(published, tmp_path / "out", demo)
    assert (done.exit_code, done.placed, done.changed) == (0, 24, 24)
    assert done.tools["encoder"][0] == "Pillow 1.0, libjpeg 6, 4:2:0"
    assert verify(tmp_path / "out").ok
    assert load(tmp_path / "out").versions["encoder"] == load(built).versions["encoder"]
    shards, theirs = content(tmp_path / "out"), content(built)
    assert [name for name in shards if shards[name] == theirs[name]] == [], "offsets in the index are others as well"
    with StoredRecords(tmp_path / "out") as here, StoredRecords(published) as there:
        for place, other in zip(here.places(), there.places(), strict=True):
            mine, theirs = (orjson.loads(s.record(p)[0])["frame"] for s, p in ((here, place), (there, other)))
            assert mine.pop("sha256") != theirs.pop("sha256")
            assert mine == theirs
    assert put(published, tmp_path / "out", demo).outcome.unchanged


@pytest.mark.parametrize(
    ("field", "value"),
    [("file", "../../secret.mp4"), ("file", "/etc/hosts"), ("file", "videos/../../x.mp4"), ("source", "../x")],
)
def test_a_record_that_climbs_out_of_the_root_is_refused(
    field: str, value: str, bare: Path, demo: Path, put: Hydrate, tmp_path: Path
) -> None:
    def tamper(record: dict[str, Any]) -> None:
        record["frame"][field] = value

    with pytest.raises(CotgenError, match="was tampered with: nothing of it was used"):
        put(changed(bare, tmp_path / "bad", tamper), tmp_path / "out", demo)
    assert not (tmp_path / "out").exists()


def test_a_manifest_that_climbs_out_of_the_folder_is_refused(
    bare: Path, demo: Path, put: Hydrate, tmp_path: Path
) -> None:
    bad = Path(shutil.copytree(bare, tmp_path / "bad"))
    manifest = load(bad)
    shards = [shard.model_copy(update={"file": f"../{shard.file}"}) for shard in manifest.shards]
    seal(bad, manifest.model_copy(update={"shards": shards}), load_priors(bare))
    with pytest.raises(CotgenError, match=r"names '\.\./data/.*no file of a data set"):
        put(bad, tmp_path / "out", demo)


def test_a_manifest_without_the_index_is_refused(bare: Path, demo: Path, put: Hydrate, tmp_path: Path) -> None:
    """Any index could lie there, since no checksum is known of it."""
    bad = Path(shutil.copytree(bare, tmp_path / "bad"))
    manifest = load(bad)
    files = {name: digest for name, digest in manifest.files.items() if name != "index.parquet"}
    edited = manifest.model_copy(update={"files": files})
    (bad / "SHA256SUMS").write_bytes(sums_text(edited, edited.to_json()))
    (bad / "manifest.json").write_bytes(edited.to_json())
    with pytest.raises(CotgenError, match=r"does not name index\.parquet"):
        put(bad, tmp_path / "out", demo)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda rows: rows.with_columns(pl.lit("train").alias("split")),
            r"index\.parquet says that cholec80-73-\d+ is of train",
        ),
        (
            lambda rows: rows.filter(~pl.col("key").str.starts_with("cholec80-73")),
            r"names 11 samples, its shards hold 24",
        ),
    ],
)
def test_an_index_that_says_other_than_the_records_is_refused(
    change: Callable[[pl.DataFrame], pl.DataFrame], said: str, bare: Path, demo: Path, put: Hydrate, tmp_path: Path
) -> None:
    """All checksums are right, as a publisher would make them."""
    bad = Path(shutil.copytree(bare, tmp_path / "bad"))
    change(pl.read_parquet(bad / "index.parquet")).write_parquet(bad / "index.parquet")
    seal(bad, load(bad), load_priors(bad))
    with pytest.raises(CotgenError, match=said):
        put(bad, tmp_path / "out", demo)
    assert not (tmp_path / "out").exists()


def test_a_source_that_this_cotgen_has_not(bare: Path, demo: Path, put: Hydrate, tmp_path: Path) -> None:
    def newer(record: dict[str, Any]) -> None:
        if record["key"].startswith("cholec80-73"):
            record["frame"] |= {"source": "cholec2030", "file": "films/73.mp4"}

    newest = changed(bare, tmp_path / "newest", newer)
    done = put(newest, tmp_path / "out", demo)
    assert (done.exit_code, done.placed) == (1, 11)
    assert done.gaps[0].why.startswith("this cotgen has no source 'cholec2030' (it has cholec80, ")
    (tmp_path / "mine/films").mkdir(parents=True)
    (tmp_path / "mine/films/73.mp4").symlink_to(demo / "cholec80/videos/video73.mp4")
    assert put(newest, tmp_path / "out", demo, tmp_path / "mine").exit_code == 0, "its file lies where the record says"


def test_what_has_pictures_or_no_hashes_is_refused(
    built: Path, bare: Path, demo: Path, put: Hydrate, tmp_path: Path
) -> None:
    def blank(record: dict[str, Any]) -> None:
        record["frame"] |= {"pixels": "", "sha256": ""}

    with pytest.raises(CotgenError, match="has its pictures already: there is nothing to do"):
        put(built, tmp_path / "out", demo)
    with pytest.raises(CotgenError, match="was built with --frames none: nothing could prove"):
        put(changed(bare, tmp_path / "none", blank), tmp_path / "out", demo)
    with pytest.raises(CotgenError, match="merged from builds with different pictures"):
        parents = [{"quality": 90}, {"quality": 80}]
        put(
            changed(bare, tmp_path / "merged", lambda record: None, config={"parents": parents}),
            tmp_path / "out",
            demo,
        )
    assert not (tmp_path / "out").exists()


def test_a_flipped_byte_is_found_before_anything_and_named(
    bare: Path, demo: Path, put: Hydrate, tmp_path: Path
) -> None:
    for name in sums(bare):
        bad = Path(shutil.copytree(bare, tmp_path / "bad", dirs_exist_ok=True))
        data = bytearray((bad / name).read_bytes())
        data[draw(0, name) % len(data)] ^= 1
        (bad / name).write_bytes(data)
        with pytest.raises(CotgenError, match=name):
            put(bad, tmp_path / "out", demo)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_ours_is_never_written_to(
    built: Path, bare: Path, demo: Path, put: Hydrate, tmp_path: Path
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("mine")
    with pytest.raises(CotgenError, match="holds files that this build did not write"):
        put(bare, tmp_path / "notes", demo)
    other = Path(shutil.copytree(built, tmp_path / "other"))
    with pytest.raises(CotgenError, match=r"holds a data set of another configuration.*--replace"):
        put(bare, other, demo)
    assert sums(other) == sums(built)
    put(bare, other, demo, replace=True)
    assert load(other).kind == "hydrated"
    with pytest.raises(CotgenError, match="must be apart"):
        put(bare, bare / "out", demo)


def test_a_dry_run_decodes_nothing_and_touches_nothing(bare: Path, demo: Path, mine: Path, tmp_path: Path) -> None:
    what = Hydrating(bare, [str(mine)], tmp_path / "out")
    found = preview(what, Reporter(None), cwd=tmp_path, env={})
    assert found.found == {"cholec80/1": mine / "videos/video01.mp4"}
    assert (found.placed, found.exit_code, found.outcome.executed) == (11, 1, {})
    assert [gap.file for gap in found.gaps] == ["videos/video73.mp4"]
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.work").exists()


def test_the_command(
    bare: Path, demo: Path, mine: Path, work: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    def run(*arguments: object) -> tuple[int, str]:
        given = ["cotgen", "hydrate", *arguments, "--work", work, "--workers", 1]
        monkeypatch.setattr(sys, "argv", list(map(str, given)))
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0), capsys.readouterr().out

    out = tmp_path / "out"
    code, said = run(bare, "--root", mine, "--out", out, "--dry-run")
    assert (code, "11 of 24 pictures have their file here" in said, out.exists()) == (1, True, False)
    code, said = run(bare, "--root", mine, "--out", out)
    assert (code, "11 of 24 samples are in" in said, "videos/video73.mp4" in said) == (1, True, True)
    code, said = run(bare, "--root", demo, "--out", out, "-q")
    assert (code, said) == (0, "")
    code, said = run(bare, "--root", demo, "--out", out)
    assert (code, "Nothing to do" in said, "may not be passed on under the terms of Cholec80" in said) == (
        0,
        True,
        True,
    )


class HydrateCommand(Command):
    """`cotgen hydrate` as a process of its own."""

    LINE = [sys.executable, "-m", "cotgen", "hydrate", "--workers", "2"]


def moments(seconds: float) -> Iterator[float]:
    for attempt in range(12):
        yield 0.9 * seconds * (draw(0, "hydrate", str(attempt)) % 1000) / 1000


@pytest.mark.slow
def test_killed_at_twelve_moments_and_started_again(built: Path, bare: Path, demo: Path, tmp_path: Path) -> None:
    start = time.monotonic()
    first = HydrateCommand(demo, tmp_path / "first", str(bare))
    assert first.wait() is not None and first.process.returncode == 0
    seconds = time.monotonic() - start
    expected, killed = sums(tmp_path / "first"), 0
    for number, moment in enumerate(moments(seconds)):
        out = tmp_path / str(number) / "out"
        out.parent.mkdir()
        child = HydrateCommand(demo, out, str(bare))
        time.sleep(moment)
        killed += child.process.poll() is None
        child.process.send_signal(signal.SIGKILL)
        child.process.wait()
        again = HydrateCommand(demo, out, str(bare))
        text = again.wait()
        assert again.process.returncode == 0, text
        assert sums(out) == expected
        assert not child.alive()
    assert killed >= 8
    assert content(tmp_path / "first") == content(built)
