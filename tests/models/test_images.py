"""Pictures for a model: the size that Qwen's processor would make, once for each frame."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from cotgen.errors import CotgenError
from cotgen.frames.encode import encode
from cotgen.models.images import MAX_PIXELS, ImageMaker, target_size


def jpeg(width: int, height: int) -> bytes:
    across = np.linspace(0, 255, width, dtype=np.uint8)
    return encode(np.repeat(np.tile(across, (height, 1))[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("size", "budget", "target"),
    [
        # Measured with transformers' smart_resize.
        ((854, 480), MAX_PIXELS, (840, 476)),
        ((854, 480), 12_845_056, (840, 476)),
        ((1280, 1024), MAX_PIXELS, (1120, 896)),
        ((1280, 1024), 12_845_056, (1288, 1036)),
        ((1280, 1024), 512 * 28 * 28, (700, 560)),
        ((1920, 1080), MAX_PIXELS, (1316, 728)),
        ((1920, 1080), 512 * 28 * 28, (840, 448)),
        ((10, 10), MAX_PIXELS, (56, 56)),
    ],
)
def test_sizes_are_those_of_qwen(size: tuple[int, int], budget: int, target: tuple[int, int]) -> None:
    assert target_size(*size, max_pixels=budget) == target
    assert target_size(*target, max_pixels=budget) == target, "the processor changes nothing more"


def test_sizes_for_qwen3() -> None:
    assert target_size(854, 480, 4 * 32 * 32, 16_777_216, 32) == (864, 480)
    assert target_size(1280, 1024, 4 * 32 * 32, 512 * 32 * 32, 32) == (800, 640)


def test_a_picture_that_no_model_takes() -> None:
    with pytest.raises(CotgenError, match="too narrow"):
        target_size(3000, 10)


def test_a_frame_is_made_once_and_the_last_few_are_kept() -> None:
    loads = []

    def load(name: str) -> bytes:
        loads.append(name)
        return jpeg(854, 480)

    maker = ImageMaker(keep=2)
    for name in ("a", "a", "b", "a", "c", "a", "b"):
        image = maker.image(name, lambda name=name: load(name))  # type: ignore[misc]
        assert image.size == [840, 476]
    assert loads == ["a", "b", "c", "b"] and maker.made == 4
    assert maker.image("b", lambda: b"") is maker.image("b", lambda: b"")


def test_the_url_holds_a_jpeg_of_that_size_with_the_same_picture() -> None:
    image = ImageMaker().image("a", lambda: jpeg(854, 480))
    kind, _, data = image.url.partition(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as decoded:
        assert decoded.format == "JPEG" and decoded.size == (840, 476)
        pixels = np.asarray(decoded).astype(int)
    assert abs(pixels[:, 0].mean()) < 6 and abs(pixels[:, -1].mean() - 255) < 6
    assert abs(pixels[:, 420].mean() - 127) < 6
    assert "base64" not in repr(image)


def test_a_stored_frame_of_the_right_size_is_sent_byte_for_byte() -> None:
    stored = jpeg(840, 476)
    url = ImageMaker().image("a", lambda: stored).url
    assert base64.b64decode(url.partition(",")[2]) == stored


def test_a_frame_that_is_no_jpeg() -> None:
    with pytest.raises(CotgenError, match="no whole JPEG"):
        ImageMaker().image("a", lambda: b"nothing")
    with pytest.raises(CotgenError, match="no whole JPEG"):
        ImageMaker().image("a", lambda: jpeg(854, 480)[:5000])
