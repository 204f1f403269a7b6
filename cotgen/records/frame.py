"""Frame: one picture, addressed by its index in the surgery's own clock."""

from __future__ import annotations

from pydantic import Field

from cotgen.records.base import Record


class Frame(Record):
    """Where the picture comes from and how to prove that it is the right one.

    Attributes:
        index: frame number, 0-based, on the surgery's clock of `fps` frames a second.
        fps: the clock as a fraction, `25/1`.
        time_s: `index / fps` in seconds.
        width: width of the stored image in pixels.
        height: height of the stored image in pixels.
        source: the source that supplies the picture.
        file: its file below the source's root.
        native_index: frame number in that file (0-based), or the number in an image's name.
        crop: `[x1, y1, x2, y2]` of the native picture that was kept.
        pixels: sha256 of the RGB bytes preceded by the size; "" where nothing was decoded.
        sha256: sha256 of the JPEG; "" where nothing was decoded.
    """

    index: int = Field(ge=0)
    fps: str = Field(pattern=r"^[1-9][0-9]*/[1-9][0-9]*$")
    time_s: float = Field(ge=0)
    width: int = Field(ge=0)
    height: int = Field(ge=0)
    source: str
    file: str
    native_index: int = Field(ge=0)
    crop: list[int] = Field(max_length=4)
    pixels: str = Field(pattern=r"^([0-9a-f]{64})?$")
    sha256: str = Field(pattern=r"^([0-9a-f]{64})?$")
