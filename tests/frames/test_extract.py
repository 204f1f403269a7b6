"""A surgery's frames into one file: what is good is kept, the rest is listed with its reason."""

import hashlib
import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cotgen.errors import CotgenError
from cotgen.frames.encode import encode, pixels_sha256
from cotgen.frames.extract import extract
from cotgen.frames.store import FrameStore
from cotgen.sources.base import Footage


def video(path: Path, fps: str = "25/1") -> Footage:
    return Footage("cholec80", path.parent, video=path.name, fps=fps)


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_embed_stores_the_wanted_frames(film: Any, tmp_path: Path) -> None:
    steps: list[int] = []
    out = tmp_path / "01.frames"
    report = extract(video(film.plain()), [50, 0, 25, 25], "embed", out, progress=steps.append)
    assert (report.frames, report.missing, report.index_mode, report.notes) == (3, {}, "rank", ())
    assert steps == [1, 2, 3]
    with FrameStore.open(out) as store:
        assert store.report == report
        for index in (0, 25, 50):
            row, image = store.row(index), store.image(index)
            assert film.number(decoded(image)) == index
            assert (row.file, row.native_index) == ("plain.mp4", index)
            assert (row.width, row.height, row.crop) == (160, 96, (0, 0, 160, 96))
            assert row.sha256 == hashlib.sha256(image).hexdigest()
            assert [m.name for m in row.measured] == ["brightness", "contrast", "black", "sharpness", "lit"]


def test_the_hash_of_pixels_is_that_of_the_decoded_frame(film: Any, tmp_path: Path) -> None:
    extract(video(film.plain()), [77], "embed", tmp_path / "a")
    pixels = film.rgb(film.plain(), "-frames:v", "78")[77]
    with FrameStore.open(tmp_path / "a") as store:
        assert store.row(77).pixels == pixels_sha256(pixels)
        assert store.image(77) == encode(pixels)


def test_numbers_may_come_from_numpy(film: Any, tmp_path: Path) -> None:
    for name, wanted in (("a", list(np.array([25, 50]))), ("b", [25, 50])):
        extract(video(film.plain()), wanted, "embed", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_reference_has_the_same_rows_without_images(film: Any, tmp_path: Path) -> None:
    extract(video(film.plain()), range(0, 260, 50), "embed", tmp_path / "embed")
    extract(video(film.plain()), range(0, 260, 50), "reference", tmp_path / "reference")
    with FrameStore.open(tmp_path / "embed") as embed, FrameStore.open(tmp_path / "reference") as reference:
        for index, row in embed.rows().items():
            other = reference.row(index)
            assert (other.pixels, other.sha256, other.measured) == (row.pixels, row.sha256, row.measured)
            assert (other.offset, other.length) == (0, 0)
        with pytest.raises(CotgenError, match="--frames reference: it holds no images"):
            reference.image(0)
    assert (tmp_path / "reference").stat().st_size < 5000


def test_none_decodes_nothing(film: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cotgen.frames.extract.index_video", None)
    monkeypatch.setattr("cotgen.frames.extract.decode", None)
    report = extract(video(film.plain()), [0, 259, 260], "none", tmp_path / "none", max_side=80)
    assert (report.frames, report.index_mode, report.decoder) == (2, "header", "")
    assert report.missing == {260: "plain.mp4 ends before this frame."}
    with FrameStore.open(tmp_path / "none") as store:
        row = store.row(259)
        assert (row.width, row.height, row.crop) == (80, 48, (0, 0, 160, 96))
        assert (row.pixels, row.sha256, row.measured) == ("", "", ())


def test_none_says_so_where_the_header_has_no_count(film: Any, tmp_path: Path) -> None:
    path = film.render("b.ts", preset="veryfast", bf=3, g=50)
    report = extract(video(path), [0, 10**6], "none", tmp_path / "none")
    assert report.missing == {}
    assert "does not say how many frames" in report.notes[0]


def test_max_side_scales_and_keeps_the_native_crop(film: Any, tmp_path: Path) -> None:
    extract(video(film.plain()), [3], "embed", tmp_path / "a", max_side=100)
    with FrameStore.open(tmp_path / "a") as store:
        row = store.row(3)
        assert (row.width, row.height, row.crop) == (100, 60, (0, 0, 160, 96))
        assert decoded(store.image(3)).shape == (60, 100, 3)


def test_the_same_call_gives_the_same_bytes(film: Any, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    copy = moved / "plain.mp4"
    copy.write_bytes(film.plain().read_bytes())
    for name, path in (("a", film.plain()), ("b", film.plain()), ("c", copy)):
        extract(video(path), range(0, 300, 25), "embed", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "c").read_bytes()


def test_frames_beyond_the_end_are_listed(film: Any, tmp_path: Path) -> None:
    report = extract(video(film.plain()), [250, 275, 300], "embed", tmp_path / "a")
    assert report.frames == 1
    assert report.missing == dict.fromkeys((275, 300), "plain.mp4 ends before this frame.")


def test_a_broken_off_video_keeps_what_is_good_and_names_the_last_good_frame(film: Any, tmp_path: Path) -> None:
    path = film.cut(film.plain(), 0.5)
    report = extract(video(path), range(0, 260, 10), "embed", tmp_path / "a")
    assert 10 <= report.frames < 14
    assert list(report.missing) == list(range(report.frames * 10, 260, 10))
    assert all("the last good frame is" in reason for reason in report.missing.values())
    with FrameStore.open(tmp_path / "a") as store:
        assert [film.number(decoded(store.image(n))) for n in store.indices()] == list(
            range(0, report.frames * 10, 10)
        )


def test_no_video_at_all_is_a_report_not_an_error(film: Any, tmp_path: Path) -> None:
    text = tmp_path / "video01.mp4"
    text.write_text("Frame\tPhase\n" * 100)
    for path in (text, tmp_path / "video02.mp4"):
        for mode in ("embed", "none"):
            report = extract(video(path), [0, 25], mode, tmp_path / "a")  # type: ignore[arg-type]
            assert report.frames == 0
            assert path.name in report.missing[25]
            assert str(tmp_path) not in report.missing[25]


def test_counted_frames_are_reported(film: Any, tmp_path: Path) -> None:
    report = extract(video(film.render("b.avi", preset="veryfast", bf=3, g=50)), [0, 100], "embed", tmp_path / "a")
    assert (report.index_mode, report.index_reason) == ("count", "AVI stores no presentation time stamps")
    assert report.frames == 2


def test_another_frame_rate_than_the_labels_is_noted(film: Any, tmp_path: Path) -> None:
    report = extract(video(film.plain(), fps="30/1"), [0], "embed", tmp_path / "a")
    assert "25.00 frames a second, the labels count 30.00" in report.notes[0]
    assert extract(video(film.plain(), fps=str(Fraction(25)) + "/1"), [0], "embed", tmp_path / "a").notes == ()


def save(folder: Path, name: str, rgb: np.ndarray, **options: Any) -> str:
    (folder / name).parent.mkdir(exist_ok=True)
    Image.fromarray(rgb).save(folder / name, **options)
    return name


def test_images_jpeg_goes_in_as_it_is_and_png_becomes_jpeg(film: Any, tmp_path: Path) -> None:
    rgb = film.picture(9)
    jpeg = save(tmp_path, "frames/video01_000002.jpg", rgb, quality=71)
    png = save(tmp_path, "frames/video01_000003.png", rgb)
    footage = Footage("cholec80", tmp_path, images=((25, jpeg), (50, png)))
    report = extract(footage, [0, 25, 50, 75], "embed", tmp_path / "a")
    assert (report.frames, report.index_mode) == (2, "images")
    assert report.missing == {0: "The source has no image of this frame.", 75: "frames ends before this frame."}
    with FrameStore.open(tmp_path / "a") as store:
        assert store.image(25) == (tmp_path / jpeg).read_bytes()
        assert store.row(25).pixels == pixels_sha256(decoded(store.image(25)))
        assert store.image(50) == encode(rgb)
        assert store.row(50).pixels == pixels_sha256(rgb)
        assert [store.row(n).native_index for n in (25, 50)] == [2, 3]
        assert store.row(25).measured[0].name == "brightness"


def test_images_are_scaled_and_encoded_only_where_they_are_too_large(film: Any, tmp_path: Path) -> None:
    jpeg = save(tmp_path, "f/1.jpg", film.picture(9))
    footage = Footage("cholec80", tmp_path, images=((0, jpeg),))
    for max_side, size in ((80, (80, 48)), (160, (160, 96)), (500, (160, 96))):
        extract(footage, [0], "embed", tmp_path / "a", max_side=max_side)
        with FrameStore.open(tmp_path / "a") as store:
            assert (store.row(0).width, store.row(0).height) == size
            assert decoded(store.image(0)).shape == (size[1], size[0], 3)
            assert (store.image(0) == (tmp_path / jpeg).read_bytes()) == (size == (160, 96))


def test_images_of_other_kinds_become_rgb_jpeg(film: Any, tmp_path: Path) -> None:
    rgb = Image.fromarray(film.picture(9))
    kinds = {"P": "png", "RGBA": "png", "L": "png", "CMYK": "jpg", "1": "png"}
    files = []
    for number, (kind, suffix) in enumerate(kinds.items()):
        rgb.convert(kind).save(tmp_path / f"{number}.{suffix}")
        files.append((number, f"{number}.{suffix}"))
    report = extract(Footage("x", tmp_path, images=tuple(files)), range(5), "embed", tmp_path / "a")
    assert report.missing == {}
    with FrameStore.open(tmp_path / "a") as store:
        assert {Image.open(io.BytesIO(store.image(n))).mode for n in range(5)} == {"RGB"}


def test_a_turned_jpeg_is_encoded_again_so_that_no_viewer_turns_it(film: Any, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    jpeg = save(tmp_path, "f/1.jpg", film.picture(9), exif=exif)
    extract(Footage("x", tmp_path, images=((0, jpeg),)), [0], "embed", tmp_path / "a")
    with FrameStore.open(tmp_path / "a") as store:
        image = Image.open(io.BytesIO(store.image(0)))
        assert image.size == (160, 96)
        assert not image.getexif()


CROP = (32, 16, 128, 80)


@pytest.mark.parametrize("max_side", [0, 48])
def test_only_the_part_that_is_labelled_is_kept_and_hashed(film: Any, tmp_path: Path, max_side: int) -> None:
    """A video, a PNG and a JPEG of one picture; the JPEG is no longer what it was, so it is encoded again."""
    rgb = film.picture(9)
    files = ((0, save(tmp_path, "f/0.png", rgb)), (1, save(tmp_path, "f/1.jpg", rgb)))
    images = Footage("endovis17", tmp_path, images=files, crop=CROP)
    film_ = Footage("endovis17", film.plain().parent, film.plain().name, crop=CROP)
    assert extract(images, [0, 1], "embed", tmp_path / "a", max_side=max_side).missing == {}
    assert extract(film_, [9], "embed", tmp_path / "b", max_side=max_side).missing == {}
    size = (48, 32) if max_side else (96, 64)
    whole = film.rgb(film.plain(), "-frames:v", "10")[9]
    for store, index, source in (("a", 0, rgb), ("a", 1, None), ("b", 9, whole)):
        with FrameStore.open(tmp_path / store) as found:
            row, image = found.row(index), found.image(index)
            assert (row.width, row.height, row.crop) == (*size, CROP)
            assert decoded(image).shape == (size[1], size[0], 3)
            if source is not None and not max_side:
                kept = np.ascontiguousarray(source[16:80, 32:128])
                assert (row.pixels, image) == (pixels_sha256(kept), encode(kept))
    assert extract(images, [0], "none", tmp_path / "c", max_side=max_side).frames == 1
    assert extract(film_, [9], "none", tmp_path / "d", max_side=max_side).frames == 1
    for store, index in (("c", 0), ("d", 9)):
        with FrameStore.open(tmp_path / store) as found:
            assert (found.row(index).width, found.row(index).height, found.row(index).crop) == (*size, CROP)


@pytest.mark.parametrize("mode", ["embed", "none"])
def test_a_picture_that_was_cropped_before_is_refused(film: Any, tmp_path: Path, mode: Any) -> None:
    name = save(tmp_path, "f/0.png", film.picture(9))
    too_large = (320, 28, 1600, 1052)
    images = Footage("endovis17", tmp_path, images=((0, name),), crop=too_large)
    report = extract(images, [0], mode, tmp_path / "a")
    assert "it is 160x96, and the part [320, 28, 1600, 1052] that is labelled is not inside it" in report.missing[0]
    shown = Footage("endovis17", film.plain().parent, film.plain().name, crop=too_large)
    assert "use the files as they were released" in extract(shown, [0], mode, tmp_path / "b").missing[0]


@pytest.mark.parametrize("mode", ["embed", "none"])
def test_a_damaged_or_missing_image_is_a_missing_frame(film: Any, tmp_path: Path, mode: Any) -> None:
    good = save(tmp_path, "f/1.png", film.picture(1))
    for number, suffix in ((2, "png"), (3, "jpg")):
        data = (tmp_path / save(tmp_path, f"f/{number}.{suffix}", film.picture(number))).read_bytes()
        (tmp_path / f"f/{number}.{suffix}").write_bytes(data[: len(data) // 2])
    (tmp_path / "f/4.jpg").write_text("no image")
    files = ((0, good), (25, "f/2.png"), (50, "f/3.jpg"), (75, "f/4.jpg"), (100, "f/5.jpg"))
    report = extract(Footage("x", tmp_path, images=files), range(0, 125, 25), mode, tmp_path / "a")
    # Without decoding, a cut file with a sound head is not noticed.
    assert list(report.missing) == ([25, 50, 75, 100] if mode == "embed" else [75, 100])
    for number, reason in report.missing.items():
        assert f"f/{number // 25 + 1}." in reason
        assert str(tmp_path) not in reason


def test_an_older_store_is_replaced_only_by_a_whole_one(film: Any, tmp_path: Path) -> None:
    out = tmp_path / "a"
    extract(video(film.plain()), [0], "embed", out)
    before = out.read_bytes()

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(video(film.plain()), [0, 25], "embed", out, progress=stop)
    assert out.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
