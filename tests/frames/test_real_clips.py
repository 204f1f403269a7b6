"""The two real 25 fps clips decode exactly, against two other ways of reading them."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cotgen.frames.decode import Converter, decode
from cotgen.frames.index import index_video

pytestmark = pytest.mark.real


def clips(real_data: Path) -> list[Path]:
    found = sorted((real_data / "cholect50-clips-cctpg").rglob("*.mp4"))
    assert len(found) == 2
    return found


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.slow
def test_every_25th_frame_is_that_of_a_plain_decoder_and_of_ffmpeg(real_data: Path, film: Any, which: int) -> None:
    path = clips(real_data)[which]
    index = index_video(path)
    assert (index.mode, index.damage, index.lenient) == ("rank", "", False)

    convert = Converter()
    with av.open(str(path)) as container:
        frames = enumerate(container.decode(container.streams.video[0]))
        plain = {n: convert(frame) for n, frame in frames if n % 25 == 0}
        count = next(iter(reversed(plain)))
    program = film.rgb(path, size=(index.width, index.height), select="not(mod(n,25))")

    wanted = range(0, index.frames, 25)
    assert count == wanted[-1]
    assert len(program) == len(plain) == len(wanted)
    for (number, rgb), other in zip(decode(path, wanted, index), program, strict=True):
        assert np.array_equal(rgb, plain[number]), number
        assert np.array_equal(rgb, other), number
