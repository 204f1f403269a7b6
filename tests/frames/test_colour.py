"""Shares of colours in a box: what a word such as "yellow" is held against."""

import numpy as np
import pytest

from cotgen.frames.colour import LEAST_SHARE, colour_shares


def flat(*rgb: int) -> np.ndarray:
    return np.full((40, 60, 3), rgb, dtype=np.uint8)


@pytest.mark.parametrize(
    ("rgb", "names"),
    [
        ((180, 30, 30), {"red"}),
        ((220, 150, 150), {"red", "pink"}),
        ((120, 70, 30), {"brown", "yellow"}),
        ((210, 180, 60), {"yellow"}),
        ((230, 230, 225), {"white", "grey"}),
        ((130, 135, 140), {"grey"}),
        ((20, 18, 18), {"black"}),
        ((40, 160, 60), {"green"}),
        ((40, 60, 180), {"blue"}),
        ((150, 40, 170), {"purple"}),
    ],
)
def test_a_flat_colour_is_of_its_classes(rgb: tuple[int, ...], names: set[str]) -> None:
    shares = colour_shares(flat(*rgb), (0, 0, 60, 40))
    assert {name for name, share in shares.items() if share > LEAST_SHARE} == names


def test_the_share_is_that_of_the_box_alone() -> None:
    picture = flat(180, 30, 30)
    picture[:, 30:] = (210, 180, 60)
    assert colour_shares(picture, (0, 0, 60, 40))["yellow"] == 0.5
    assert colour_shares(picture, (30, 0, 60, 40))["yellow"] == 1.0
