"""JPEG bytes and the hash of pixels."""

import hashlib
import io

import numpy as np
from PIL import Image

from cotgen.frames.decode import decoder_version
from cotgen.frames.encode import encode, encoder_version, pixels_sha256


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 5 % 256, columns * 3 % 256, (rows + columns) % 256], axis=-1).astype(np.uint8)


def test_jpeg_is_baseline_420_without_metadata() -> None:
    data = encode(picture())
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (64, 48), "RGB")
        assert [layer[1:3] for layer in image.layer] == [(2, 2), (1, 1), (1, 1)]  # type: ignore[attr-defined]
        assert not image.getexif()
        assert np.abs(np.asarray(image).astype(int) - picture()).mean() < 8
    assert data == encode(picture())
    assert len(encode(picture(), quality=40)) < len(data)


def test_pixels_hash_has_the_size_in_front() -> None:
    rgb = picture(2, 3)
    assert pixels_sha256(rgb) == hashlib.sha256(b"3x2\n" + rgb.tobytes()).hexdigest()
    assert pixels_sha256(rgb.reshape(3, 2, 3)) != pixels_sha256(rgb)
    assert pixels_sha256(np.asfortranarray(rgb)) == pixels_sha256(rgb)


def test_versions_name_all_that_bytes_depend_on() -> None:
    assert encoder_version().startswith("Pillow ")
    assert "jpeg" in encoder_version()
    assert all(name in decoder_version() for name in ("PyAV", "libavcodec", "libswscale"))
