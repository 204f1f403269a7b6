"""Numbers from pixels, equal on every machine."""

from fractions import Fraction

import numpy as np
import pytest

from cotgen.frames.measure import field_of_view, measure
from cotgen.records import Measured


def values(rgb: np.ndarray) -> dict[str, float]:
    return {m.name: m.value for m in measure(rgb) if m.name != "lit"}


def flat(level: int, shape: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*shape, 3), level, np.uint8)


def test_a_flat_picture() -> None:
    assert values(flat(100)) == {"brightness": 100.0, "contrast": 0.0, "black": 0.0, "sharpness": 0.0}


@pytest.mark.parametrize(("level", "black"), [(0, 1.0), (4, 1.0), (5, 0.0), (16, 0.0)])
def test_black_is_dark_and_flat(level: int, black: float) -> None:
    assert values(flat(level))["black"] == black


def test_a_small_bright_thing_in_the_dark_is_no_black_picture() -> None:
    rgb = flat(0, (480, 640))
    rgb[200:260, 300:360] = 250
    found = values(rgb)
    assert found["brightness"] < 5
    assert found["black"] == 0.0


def test_half_black_half_white() -> None:
    rgb = flat(0, (48, 66))
    rgb[:, 33:] = 255
    found = values(rgb)
    assert (found["brightness"], found["contrast"]) == (127.5, 127.5)


def test_colours_weigh_as_in_bt601() -> None:
    for channel, luma in enumerate((76.2, 149.7, 29.1)):
        rgb = flat(0)
        rgb[..., channel] = 255
        assert values(rgb)["brightness"] == luma


def test_blur_lowers_sharpness() -> None:
    rng = np.random.default_rng(1)
    sharp = rng.integers(0, 256, (96, 128, 3)).astype(np.uint8)
    wide = sharp.astype(int)
    blurred = ((np.roll(wide, 1, 1) + wide + np.roll(wide, -1, 1)) // 3).astype(np.uint8)
    assert values(blurred)["sharpness"] < values(sharp)["sharpness"] / 2


def test_numbers_are_those_of_exact_arithmetic() -> None:
    """The same sums by whole numbers, pixel by pixel."""
    rgb = np.random.default_rng(2).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    luma = [
        sum(int(rgb[y, x, c]) * w for c, w in enumerate((299, 587, 114)))
        for y in range(0, 40, 4)
        for x in range(1, 49, 4)
    ]
    mean = Fraction(sum(luma), len(luma) * 1000)
    deviation = float(Fraction(sum(v * v for v in luma), len(luma) * 10**6) - mean**2) ** 0.5
    found = values(rgb)
    assert found["brightness"] == pytest.approx(float(mean), abs=0.0501)
    assert found["contrast"] == pytest.approx(deviation, abs=0.0501)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 3), (5, 7), (97, 163), (480, 854), (1080, 1920)])
def test_any_size(shape: tuple[int, int]) -> None:
    assert values(flat(255, shape))["brightness"] == 255.0


def endoscope(left: int, right: int, level: int = 90, border: int = 13) -> np.ndarray:
    """A lit circle between two columns, cut off above and below, on the border of a real endoscope."""
    rgb = flat(border, (480, 854))
    y, x = np.mgrid[:480, :854]
    rgb[(x - (left + right) / 2) ** 2 + (y - 240) ** 2 < ((right - left) / 2) ** 2] = level
    return rgb


def seen(*pictures: np.ndarray) -> list[tuple[list[Measured], int, int]]:
    return [(measure(rgb), rgb.shape[1], rgb.shape[0]) for rgb in pictures]


def test_the_lit_field_is_that_of_the_circle() -> None:
    found = field_of_view(seen(endoscope(100, 752)))
    assert found is not None
    assert found.name == "field"
    assert all(abs(a - b) <= 8 for a, b in zip(found.box, (100, 0, 752, 480), strict=True))
    assert found.value == pytest.approx(652 / 854, abs=0.02)


def test_dark_tissue_does_not_narrow_the_field_and_one_flash_does_not_widen_it() -> None:
    dark = endoscope(100, 752)
    dark[:, 500:] = 10
    found = field_of_view(seen(*[dark] * 16, *[endoscope(100, 752)] * 4, flat(200, (480, 854))))
    assert found is not None
    assert found.box == field_of_view(seen(endoscope(100, 752))).box  # type: ignore[union-attr]


def test_a_lit_picture_is_all_field() -> None:
    found = field_of_view(seen(flat(100, (480, 854))))
    assert found is not None
    assert (found.box, found.value) == ([0, 0, 854, 480], 1.0)


def test_where_little_is_lit_nobody_knows_the_field() -> None:
    corner = flat(0, (480, 854))
    corner[:200, :300] = 200
    assert field_of_view(seen(corner)) is None
    assert field_of_view(seen(flat(0, (480, 854)))) is None
    assert field_of_view(seen(flat(90, (480, 854)), flat(90, (240, 426)))) is None
    assert field_of_view([]) is None
