"""Video whose frames carry their number, so that a test can read which frame it got."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cotgen.ffmpeg import ffmpeg_exe, write_video

WIDTH, HEIGHT, BITS, CELL = 160, 96, 16, 10
#: x264 with B-frames, two of them referenced by others, and a key frame every 50.
B_FRAMES: dict[str, str | int] = {"preset": "veryfast", "bf": 3, "g": 50}


class Film:
    """Renders, cuts and reads numbered video below one folder. Files are kept, so each is rendered once a session."""

    frames = 260

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def picture(self, number: int, width: int = WIDTH, height: int = HEIGHT) -> npt.NDArray[np.uint8]:
        """`number` as 16 light or dark cells on top of a texture that moves."""
        texture = np.random.default_rng(7).integers(60, 120, (height, width, 3)).astype(np.uint8)
        picture = np.roll(texture, number * 3, axis=1)
        for bit in range(BITS):
            picture[:32, bit * CELL : (bit + 1) * CELL] = 235 if number >> bit & 1 else 20
        return picture

    def pictures(self, count: int, width: int = WIDTH, height: int = HEIGHT) -> Iterator[npt.NDArray[np.uint8]]:
        return (self.picture(number, width, height) for number in range(count))

    def number(self, rgb: npt.NDArray[np.uint8]) -> int:
        """The number that a decoded picture carries."""
        cells = (rgb[8:24, bit * CELL + 3 : (bit + 1) * CELL - 3].mean() for bit in range(BITS))
        return sum((cell > 128) << bit for bit, cell in enumerate(cells))

    def render(self, name: str, codec: str = "libx264", frames: int = frames, **options: str | int) -> Path:
        path = self.folder / name
        if not path.exists():
            write_video(path, self.pictures(frames), width=WIDTH, height=HEIGHT, codec=codec, options=options)
        return path

    def plain(self) -> Path:
        """H.264 with B-frames in MP4, its table of packets at the front."""
        return self.render("plain.mp4", movflags="+faststart", **B_FRAMES)

    def ffmpeg(self, name: str, *arguments: str | Path) -> Path:
        """A file made by ffmpeg itself; its name is appended to the arguments."""
        path = self.folder / name
        if not path.exists():
            command = [ffmpeg_exe(), "-nostdin", "-loglevel", "error", *arguments, path]
            subprocess.run([str(part) for part in command], check=True)
        return path

    def cut(self, path: Path, part: float) -> Path:
        """The first `part` of a file's bytes, as a broken download leaves them."""
        data = path.read_bytes()
        short = self.folder / f"cut-{part}-{path.name}"
        short.write_bytes(data[: int(len(data) * part)])
        return short

    def rgb(
        self,
        path: Path,
        *arguments: str,
        size: tuple[int, int] = (WIDTH, HEIGHT),
        chroma: str = "left",
        select: str = "1",
    ) -> npt.NDArray[np.uint8]:
        """What ffmpeg's own program decodes and converts in one step, with the scaler flags that the design fixes.

        Chroma of 4:2:0 lies to the left, as H.264 and MPEG-4 define it; the program has to be told, the library not.
        """
        flags = "bicubic+accurate_rnd+full_chroma_int+bitexact"
        chosen = select.replace(",", "\\,")
        scale = f"select={chosen},scale={size[0]}:{size[1]}:in_chroma_loc={chroma}:flags={flags},format=rgb24"
        command = [ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-noautorotate", "-i", str(path), "-vf", scale]
        command += [*arguments, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
        data = subprocess.run(command, check=True, capture_output=True).stdout
        return np.frombuffer(data, np.uint8).reshape(-1, size[1], size[0], 3)


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return Film(tmp_path_factory.mktemp("film"))
