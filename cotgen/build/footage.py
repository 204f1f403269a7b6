"""Finding, on this machine, the pictures that the records of a data set name.

Who has the videos alone, in another folder or under another letter case, has what is needed: a file is looked for by the
name in the record, then where the source says that this surgery lies, then near by. That it is the right one is not
decided here: `frame.pixels` proves every frame.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from cotgen.build.units import native_size
from cotgen.errors import CotgenError
from cotgen.sources import SOURCES
from cotgen.sources.base import Footage, Scan, inside
from cotgen.sources.files import is_file, is_folder
from cotgen.sources.roots import Candidate, candidates, find_root

#: Names of pictures end like this; any other file is a video.
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Asked:
    """Pictures of one surgery that belong together: frames of one video, or images.

    Attributes:
        surgery: whose clock the frames count on, `cholec80/73`.
        source: the source that supplied them.
        files: frame -> its file as the record names it, ascending.
        crop: `x1, y1, x2, y2` of the native picture that was kept, or `()` for all.
        fps: the clock.
    """

    surgery: str
    source: str
    files: Mapping[int, str]
    crop: tuple[int, ...]
    fps: str

    @property
    def video(self) -> str:
        """The video, or "" where each frame is an image."""
        first = next(iter(self.files.values()))
        return "" if is_picture(first) else first


def is_picture(file: str) -> bool:
    """Whether a file is an image and no video, by its name."""
    return file.lower().endswith(PICTURES)


@dataclass
class Finder:
    """Looks for pictures below the roots.

    Attributes:
        roots: values of `--root`: `NAME=DIR` or `DIR`.
        cwd: the folder that relative paths and `./data` start from.
        env: the environment, for `COTGEN_DATA`.
    """

    roots: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    _scans: dict[str, Scan | None] = field(default_factory=dict)
    _listed: dict[Path, dict[str, str]] = field(default_factory=dict)

    def places(self, source: str) -> list[Candidate]:
        """Where a source is looked for; where the user named its folder, there alone.

        Raises:
            CotgenError: a folder that the user named is not there.
        """
        found = list(candidates(source, self.roots, self.cwd, self.env))
        for place in found:
            if place.explicit and not is_folder(place.folder):
                raise CotgenError(f"{place.folder} ({place.origin}) is no folder; check the path")
        return [place for place in found if place.explicit] or found

    def find(self, asked: Asked) -> Footage | None:
        """Where these pictures are, or some of them; None where there are none.

        Raises:
            CotgenError: a record names a file outside of the root of its source, or a root is wrong.
        """
        for file in asked.files.values():
            inside(Path(), file)
        best: Footage | None = None
        for footage in self._possible(asked):
            if footage.video or len(footage.images) == len(asked.files):
                return footage
            if footage.images and (best is None or len(footage.images) > len(best.images)):
                best = footage
        return best

    def _possible(self, asked: Asked) -> Iterator[Footage]:
        places = self.places(asked.source)
        for place in places:
            yield from self._at(place.folder, asked, asked.files)
        yield from self._of_scan(asked)
        for place in places:
            for top in (place.folder, *self._folders(place.folder)):
                for files in _shorter(asked.files):
                    # Most folders have nothing of it, and to look there for every image takes long.
                    first = self._as_spelt(top, next(iter(files.values())))
                    if is_folder(inside(top, first).parent):
                        spelt = {index: self._as_spelt(top, file) for index, file in files.items()}
                        yield from self._at(top, asked, spelt)

    def _at(self, root: Path, asked: Asked, files: Mapping[int, str]) -> Iterator[Footage]:
        """The files that are there, by these names."""
        if asked.video:
            video = next(iter(files.values()))
            if is_file(inside(root, video)):
                yield Footage(asked.source, root, video, (), asked.fps)
            return
        there = tuple((index, file) for index, file in files.items() if is_file(inside(root, file)))
        if there:
            yield Footage(asked.source, root, "", there, asked.fps)

    def _of_scan(self, asked: Asked) -> Iterator[Footage]:
        """What the source itself finds of this surgery, where its labels are there as well."""
        scan = self._scan(asked.source)
        files = next((item for item in scan.surgeries if item.surgery == asked.surgery), None) if scan else None
        if scan is None or files is None or not (files.video or files.images):
            return
        try:
            footage = SOURCES[asked.source].frames(scan.root, files)
        except CotgenError:
            return
        images = tuple((index, file) for index, file in footage.images if index in asked.files)
        if footage.video or images:
            yield replace(footage, images=images, fps=asked.fps)

    def _scan(self, source: str) -> Scan | None:
        if source not in self._scans:
            try:
                self._scans[source] = find_root(SOURCES[source], self.roots, self.cwd, self.env)
            except (CotgenError, KeyError):
                # Labels may be missing or damaged: none of them is needed.
                self._scans[source] = None
        return self._scans[source]

    def _folders(self, folder: Path) -> list[Path]:
        """The folders in a folder: one extra top folder is forgiven."""
        names = sorted(self._names(folder).values())
        return [folder / name for name in names if not name.startswith(".") and is_folder(folder / name)]

    def _as_spelt(self, root: Path, file: str) -> str:
        """The path as it is spelt on disk, whatever its letter case."""
        spelt: list[str] = []
        for part in PurePosixPath(file).parts:
            spelt.append(self._names(root.joinpath(*spelt)).get(part.lower(), part))
        return "/".join(spelt)

    def _names(self, folder: Path) -> dict[str, str]:
        """Lower case -> name, of what is in a folder; a name that is in lower case wins."""
        if folder not in self._listed:
            try:
                names = os.listdir(folder)  # noqa: PTH208 - names alone, several times as fast for many pictures
            except OSError:
                names = []
            self._listed[folder] = {name.lower(): name for name in sorted(names)}
        return self._listed[folder]


def _shorter(files: Mapping[int, str]) -> Iterator[dict[int, str]]:
    """The same files without none, one, two ... of their leading folders, as long as all have them.

    An image keeps its last folder, where it has one: `000000.png` is in the folder of every surgery.
    """
    parts = {index: PurePosixPath(file).parts for index, file in files.items()}
    kept = 2 if is_picture(next(iter(files.values()))) else 1
    for dropped in range(max(1, min(map(len, parts.values())) - kept + 1)):
        yield {index: "/".join(own[dropped:]) for index, own in parts.items()}


def fitted(footage: Footage, asked: Asked) -> tuple[Footage, str]:
    """The footage with the part of the picture that the records tell of, or why it cannot be that footage.

    Read is one header.
    """
    crop = asked.crop
    if not crop:
        return footage, ""
    native = native_size(replace(footage, crop=()))
    size = (crop[2] - crop[0], crop[3] - crop[1])
    if native is None or native == size:
        # What cannot be read is reported when it is decoded.
        return replace(footage, crop=()), ""
    own = footage.crop
    if own and (own[2] - own[0], own[3] - own[1]) == size:
        return footage, ""
    if crop[:2] != (0, 0) and crop[2] <= native[0] and crop[3] <= native[1]:
        return replace(footage, crop=crop), ""
    return footage, f"is {native[0]}x{native[1]} where the data set was made from {size[0]}x{size[1]}"


def unknown_source(name: str) -> str:
    """What to say of a source that this cotgen does not have; "" for one that it has."""
    if name in SOURCES:
        return ""
    known = ", ".join(sorted(SOURCES))
    return f"this cotgen has no source '{name}' (it has {known}), so its layout is not known: install a newer cotgen"
