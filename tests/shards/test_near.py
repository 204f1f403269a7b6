"""Pictures that look like surgery: a bright round field with smooth shapes."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from cotgen.errors import CotgenError
from cotgen.frames.encode import encode
from cotgen.records import Sample
from cotgen.shards.near import MOST_BITS, MOST_FINE_BITS, _pairs, hash_picture, near_duplicates
from tests.shards.samples import Made, make, write_folder

Rgb = npt.NDArray[np.uint8]
#: One surgery of train, validation and test each, by clean/1.
SURGERIES = ("cholec80/1", "cholec80/8", "cholec80/73")


def scenery(seed: int, size: tuple[int, int] = (320, 180)) -> Rgb:
    """Smooth shapes of random colours in a bright round field."""
    draws = np.random.default_rng(seed)
    coarse = Image.fromarray(draws.integers(0, 256, (6, 8, 3), np.uint8))
    picture = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)).copy()
    y, x = np.mgrid[: size[1], : size[0]]
    picture[(x - size[0] / 2) ** 2 + (y - size[1] / 2) ** 2 > (0.55 * size[1]) ** 2] = 0
    return picture


def hashed(rgb: Rgb, quality: int = 90) -> npt.NDArray[np.uint64]:
    found = hash_picture(encode(rgb, quality))
    assert found is not None
    return found


def bits(one: npt.NDArray[np.uint64], other: npt.NDArray[np.uint64]) -> tuple[int, int]:
    differ = np.bitwise_count(one ^ other)
    return int(differ[0]), int(differ[1:].sum())


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("size", "quality"), [((320, 180), 40), ((640, 360), 90), ((240, 135), 75), ((427, 240), 90)])
def test_another_size_and_quality_is_the_same_picture(seed: int, size: tuple[int, int], quality: int) -> None:
    rgb = scenery(seed)
    other = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))
    coarse, fine = bits(hashed(rgb), hashed(other, quality))
    assert coarse <= MOST_BITS and fine <= MOST_FINE_BITS


def test_other_pictures_are_far_away() -> None:
    hashes = [hashed(scenery(seed)) for seed in range(40)]
    distances = [bits(one, other) for n, one in enumerate(hashes) for other in hashes[:n]]
    assert min(coarse for coarse, _ in distances) > MOST_BITS
    assert min(fine for _, fine in distances) > MOST_FINE_BITS


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_plain_picture_has_no_hash(value: int) -> None:
    assert hash_picture(encode(np.full((48, 64, 3), value, np.uint8))) is None


def test_a_damaged_picture_is_an_error() -> None:
    with pytest.raises(CotgenError, match="cannot be decoded"):
        hash_picture(encode(scenery(0))[:500])


def with_pictures(made: Made, pictures: dict[str, Rgb]) -> Made:
    """The same samples with these pictures."""
    jpgs = {key: encode(rgb) for key, rgb in pictures.items()}
    samples = []
    for sample in made.samples:
        height, width = pictures[sample.key].shape[:2]
        sha256 = hashlib.sha256(jpgs[sample.key]).hexdigest()
        frame = sample.frame.model_copy(
            update={"width": width, "height": height, "crop": [0, 0, width, height], "sha256": sha256}
        )
        samples.append(Sample.model_validate({**sample.model_dump(by_alias=True), "frame": frame.model_dump()}))
    return Made(samples, jpgs)


@pytest.fixture(scope="module")
def made() -> Made:
    made = make(SURGERIES, seconds=5)
    return with_pictures(made, {sample.key: scenery(n) for n, sample in enumerate(made.samples)})


def test_splits_that_share_no_picture(made: Made, tmp_path: Path) -> None:
    report = near_duplicates(write_folder(made, tmp_path / "set"))
    assert (report.pictures, report.plain, report.alike) == (len(made.samples), 0, ())


def twin_splits() -> Made:
    """Two seconds of the test surgery are those of the train surgery, stored smaller; a frame of another is black."""
    plain = make(SURGERIES, seconds=5)
    pictures = {sample.key: scenery(n) for n, sample in enumerate(plain.samples)}
    own, twins = (sorted(key for key in pictures if key.startswith(f"cholec80-{n}-")) for n in (1, 73))
    for one, other in zip(own[1:3], twins[1:3], strict=True):
        smaller = Image.fromarray(pictures[one]).resize((214, 120), Image.Resampling.BICUBIC)
        pictures[other] = np.asarray(smaller)
    pictures["cholec80-8-000000"] = np.zeros((90, 160, 3), np.uint8)
    return with_pictures(plain, pictures)


def test_a_picture_that_lies_in_two_splits_under_two_names_is_found(tmp_path: Path) -> None:
    made = twin_splits()
    out = write_folder(made, tmp_path / "set")
    report = near_duplicates(out)
    assert (report.pictures, report.plain) == (len(made.samples) - 1, 1)
    (found,) = report.alike
    assert found.surgeries == ("cholec80/1", "cholec80/73")
    assert found.splits == ("train", "test")
    assert found.pairs == 2
    assert found.keys[0].removeprefix("cholec80-1-") == found.keys[1].removeprefix("cholec80-73-")
    assert found.bits <= MOST_FINE_BITS
    assert near_duplicates(out, workers=2) == report


def test_pictures_of_one_split_are_not_compared(made: Made, tmp_path: Path) -> None:
    one = {key: scenery(0) if key.startswith("cholec80-1-") else scenery(n) for n, key in enumerate(made.pictures, 50)}
    assert near_duplicates(write_folder(with_pictures(made, one), tmp_path / "set")).alike == ()


def test_a_data_set_without_pictures_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(CotgenError, match="--frames embed"):
        near_duplicates(write_folder(make(SURGERIES, seconds=3, frames=False), tmp_path / "set"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_shard_is_named(made: Made, tmp_path: Path, workers: int) -> None:
    out = write_folder(made, tmp_path / "set")
    shard = sorted((out / "data").glob("train-*.tar"))[0]
    shard.write_bytes(shard.read_bytes()[:1000])
    with pytest.raises(CotgenError, match=shard.name):
        near_duplicates(out, workers=workers)


def test_bands_miss_no_pair_and_show_none_twice() -> None:
    """Against comparing everything with everything: 3,000 hashes, of which many are a few bits from another."""
    draws = np.random.default_rng(3)
    rows = draws.integers(0, 1 << 63, (3_000, 5), np.uint64)
    for n in range(1_500, 3_000):
        rows[n] = rows[draws.integers(0, 1_500)]
        for bit in draws.choice(64, draws.integers(0, 7), replace=False):
            rows[n, 0] ^= np.uint64(1) << np.uint64(bit)
    splits = draws.integers(0, 3, 3_000)
    found = [
        (i, j) for one, other, _ in _pairs(rows, splits) for i, j in zip(one.tolist(), other.tolist(), strict=True)
    ]
    near = np.bitwise_count(rows[:, None, 0] ^ rows[None, :, 0]) <= MOST_BITS
    fine = (rows[:, None, 1:] == rows[None, :, 1:]).all(axis=2)
    expected = np.argwhere(near & fine & (splits[:, None] < splits[None, :]))
    assert len(expected) > 500
    assert sorted(found) == sorted((int(i), int(j)) for i, j in expected)


@pytest.mark.real
@pytest.mark.slow
def test_real_pictures(real_data: Path) -> None:
    """A real frame is known again after it was stored smaller, and no frame of another data set looks like it."""
    video = [
        Image.open(path).convert("RGB")
        for path in sorted((real_data / "cholect50-challenge-val/videos/VID73").iterdir())
    ]
    others = [Image.open(path).convert("RGB") for path in sorted((real_data / "endoscapes").glob("t*/*.jpg"))]
    own = [hash_picture(encode(np.asarray(picture))) for picture in video]
    again = [hash_picture(encode(np.asarray(p.resize((427, 240), Image.Resampling.BICUBIC)), 60)) for p in video]
    foreign = [found for picture in others if (found := hash_picture(encode(np.asarray(picture)))) is not None]
    assert len(video) == 176 and len(foreign) >= 50
    for one, other in zip(own, again, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            coarse, fine = bits(one, other)
            assert coarse <= MOST_BITS and fine <= MOST_FINE_BITS
            assert all(bits(one, far)[0] > MOST_BITS and bits(one, far)[1] > MOST_FINE_BITS for far in foreign)
