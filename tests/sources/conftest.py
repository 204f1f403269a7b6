from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

PHASES = [
    "Preparation",
    "CalotTriangleDissection",
    "ClippingCutting",
    "GallbladderDissection",
    "GallbladderPackaging",
    "CleaningCoagulation",
    "GallbladderRetraction",
]
TOOLS = ["Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag"]


@dataclass
class Download:
    """A small download of Cholec80 that a test writes itself, in the bytes that the release has."""

    root: Path

    def write(self, file: str, content: str | bytes) -> Path:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def phases(self, number: int, phases: Sequence[str], file: str = "") -> Path:
        """One phase per frame."""
        rows = "".join(f"{frame}\t{phase}\n" for frame, phase in enumerate(phases))
        return self.write(file or f"phase_annotations/video{number:02d}-phase.txt", f"Frame\tPhase\n{rows}")

    def tools(self, number: int, seconds: Sequence[str], file: str = "") -> Path:
        """One string of seven digits per second, in the order of the header."""
        rows = "".join("\t".join([str(25 * second), *digits]) + "\n" for second, digits in enumerate(seconds))
        header = "\t".join(["Frame", *TOOLS])
        return self.write(file or f"tool_annotations/video{number:02d}-tool.txt", f"{header}\n{rows}")

    def video(self, number: int, file: str = "") -> Path:
        """A stand-in: the reader looks at names alone."""
        return self.write(file or f"videos/video{number:02d}.mp4", b"")

    def pictures(self, number: int, seconds: int, suffix: str = "png") -> None:
        for second in range(seconds):
            self.write(f"frames/video{number:02d}/video{number:02d}_{second + 1:06d}.{suffix}", b"")

    def surgery(self, number: int) -> None:
        """Four seconds: preparation, dissection, clipping twice; the last second has a phase and no tools."""
        frames = ["Preparation"] * 25 + ["CalotTriangleDissection"] * 25 + ["ClippingCutting"] * 26
        self.phases(number, frames)
        self.tools(number, ["0000000", "1010000", "1000100"])
        self.video(number)


@pytest.fixture
def download(tmp_path: Path) -> Download:
    """An empty download."""
    root = tmp_path / "cholec80"
    root.mkdir()
    return Download(root)
