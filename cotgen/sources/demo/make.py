"""Makes a look-alike of a download: the same tree, formats and quirks, with rendered video.

`make_demo` is safe to interrupt and to repeat. Each file appears under its name only when it is whole; a hidden record
beside the folders says which files the demo wrote and with which settings. A folder with files that are not in that
record is never written into. The bytes of a surgery depend on the settings and its number only, not on how many
surgeries or workers there are; those of a video also on the build of ffmpeg.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from cotgen.errors import CotgenError
from cotgen.ffmpeg import write_video
from cotgen.sources.demo.annotations import phase_text, tool_text
from cotgen.sources.demo.course import Course, courses
from cotgen.sources.demo.film import PICTURES, film

#: Goes up when the same settings give other bytes.
DEMO_VERSION = 2
#: How many surgeries by default: the first eight have one each of the peculiarities of the real files.
SURGERIES = 8

_RECORD = ".cotgen-demo.json"
_ADVICE = "Name another folder for the demo."
_NAME = re.compile(r"videos/video\d\d\.mp4|(phase|tool)_annotations/video\d\d-\1\.txt")
_FOLDERS = ("phase_annotations", "tool_annotations", "videos")
#: Little processor time; pictures are held for several frames, so the files stay small all the same. B-frames and a
#: long distance between key frames as in the real videos.
_ENCODING: dict[str, str | int] = {
    "preset": "ultrafast",
    "x264-params": "cabac=1",
    "bf": 3,
    "crf": 24,
    "g": 250,
    "movflags": "+faststart",
}


def make_demo(
    folder: Path,
    *,
    source: str = "cholec80",
    surgeries: int = SURGERIES,
    seed: int = 0,
    seconds: int = 60,
    size: tuple[int, int] = (854, 480),
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a look-alike of a data set below `folder`, or do nothing where the same one is already complete.

    What the demo wrote there before with other settings is replaced.

    Args:
        folder: made if missing; the look-alike goes into `folder/cholec80`.
        source: the data set to imitate; only `cholec80` so far.
        surgeries: how many, 1 to 80. The first eight have one each of the peculiarities of the real files.
        seed: of all draws.
        seconds: mean length of a surgery.
        size: width and height of the pictures; one surgery has larger ones.
        workers: surgeries rendered at once; by default one for each processor. Changes no byte.
        progress: called with seconds of video written so far and in all, by one thread at a time.

    Raises:
        CotgenError: a setting is out of range, `folder` holds files that the demo did not write, or ffmpeg failed.
    """
    _make(folder, source, surgeries, seed, seconds, size, workers, progress, videos=True)


def write_annotations(
    folder: Path,
    *,
    source: str = "cholec80",
    surgeries: int = SURGERIES,
    seed: int = 0,
    seconds: int = 60,
) -> None:
    """Write the annotation files of `make_demo` with the same settings, and no video; see there.

    What the demo wrote into `folder` before with other settings, videos included, is replaced.
    """
    _make(folder, source, surgeries, seed, seconds, (854, 480), None, None, videos=False)


def _make(
    folder: Path,
    source: str,
    surgeries: int,
    seed: int,
    seconds: int,
    size: tuple[int, int],
    workers: int | None,
    progress: Callable[[int, int], None] | None,
    *,
    videos: bool,
) -> None:
    if source != "cholec80":
        raise CotgenError(
            f"This is the demo of cholec80, not of {source}; `cotgen demo --source {source}` makes others."
        )
    plan = courses(surgeries, seed, seconds, size)
    settings = {
        "version": DEMO_VERSION,
        "source": source,
        "surgeries": surgeries,
        "seed": seed,
        "seconds": seconds,
        "size": list(size) if videos else [],
    }
    texts = {f"phase_annotations/video{c.number:02d}-phase.txt": phase_text(c) for c in plan}
    texts |= {f"tool_annotations/video{c.number:02d}-tool.txt": tool_text(c) for c in plan}
    films = {f"videos/video{c.number:02d}.mp4": c for c in plan} if videos else {}
    root = folder / source
    try:
        refuse_downloads(folder, root)
        root.mkdir(parents=True, exist_ok=True)
        with held(root):
            record = open_record(root)
            if record.get("settings") == settings and record["complete"]:
                return
            for name in record.get("files", {}):
                if name not in texts and name not in films:
                    (root / name).unlink(missing_ok=True)
            save_record(root, settings, dict.fromkeys([*texts, *films], ""), complete=False)
            for name in _FOLDERS if videos else _FOLDERS[:2]:
                (root / name).mkdir(exist_ok=True)
            for name, text in texts.items():
                _write(root / name, text.encode())
            _write_films(root, films, seed, workers, progress)
            save_record(root, settings, {name: sha256_of(root / name) for name in [*texts, *films]}, complete=True)
    except OSError as error:
        raise CotgenError(
            f"The demo could not be written to {folder}: {error.strerror or error}. "
            "Make room or name a folder that you may write to, then run it again."
        ) from error


def _write_films(
    root: Path,
    films: dict[str, Course],
    seed: int,
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    total = sum(course.seconds for course in films.values())
    written = 0
    # Set by the first failure or Ctrl-C: the other surgeries stop at their next second, so that no thread is left over.
    stop = threading.Event()
    lock = threading.Lock()

    def second_done() -> None:
        nonlocal written
        if stop.is_set():
            raise CotgenError("The demo was interrupted; run it again to complete it.")
        with lock:
            written += 1
            if progress is not None:
                progress(written, total)

    def one(name: str, course: Course) -> None:
        width, height = course.size
        # ffmpeg shows each picture for several frames, up to the number of rows in the phase file.
        options = {**_ENCODING, "r": 25, "frames:v": course.frames}
        pictures = film(course, seed, second_done)
        write_video(root / name, pictures, width=width, height=height, fps=str(PICTURES), options=options)

    # Threads suffice: ffmpeg is a process of its own, and numpy and Pillow let go of the interpreter while they draw.
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        jobs = [pool.submit(one, name, course) for name, course in films.items()]
        try:
            for job in wait(jobs, return_when=FIRST_EXCEPTION).done:
                job.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def refuse_downloads(folder: Path, root: Path) -> None:
    """Raise a CotgenError where the folder itself, or a folder in it with another case, looks like a download."""
    for path in (folder, root):
        if path.exists() and not path.is_dir():
            raise CotgenError(f"{path} is a file. {_ADVICE}")
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.name.lower() in _FOLDERS:
            raise CotgenError(f"{folder} holds {entry.name}, so it looks like a download itself. {_ADVICE}")
        if entry.name.lower() == root.name and entry.name != root.name:
            raise CotgenError(f"{folder} holds {entry.name}, which looks like a real download. {_ADVICE}")


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Hold the folder, so that no other demo takes away what this one is writing; gone with the process."""
    handle = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CotgenError(f"Another demo is being written to {root}; wait until it is done.") from error
        yield
    finally:
        os.close(handle)


def open_record(root: Path, names: re.Pattern[str] = _NAME) -> dict[str, Any]:
    """What the demo wrote here before, `complete` only where each file is as it was written.

    Args:
        root: the folder of the look-alike.
        names: what the names of its files look like; a record that names others is damaged.

    Raises:
        CotgenError: there are files that the demo did not write, or changed ones.
    """
    record: dict[str, Any] = {"complete": False}
    if (root / _RECORD).is_file():
        try:
            record = orjson.loads((root / _RECORD).read_bytes())
            # Files that the record names may be removed, so only names that the demo gives count.
            sound = all(names.fullmatch(name) for name in record["files"]) and record["complete"] in (True, False)
        except (orjson.JSONDecodeError, TypeError, KeyError):
            sound = False
        if not sound:
            raise CotgenError(f"{root / _RECORD} is damaged; remove {root} and make the demo again.")
    files = record.get("files", {})
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_dir() or name == _RECORD:
            continue
        if path.name.startswith(".") and ".part" in path.name:
            path.unlink(missing_ok=True)
        elif name not in files:
            raise CotgenError(
                f"{root} holds {name}, which the demo did not write: it may be a real download. {_ADVICE}"
            )
        elif files[name] and files[name] != sha256_of(path):
            raise CotgenError(f"{path} was changed since the demo wrote it; remove {root} to make the demo again.")
    if not all((root / name).exists() for name in files):
        record["complete"] = False
    return record


def save_record(root: Path, settings: dict[str, Any], files: dict[str, str], *, complete: bool) -> None:
    """Write down which files the demo wrote, with their sha256 ("" while they are not), and by which settings."""
    record = {"settings": settings, "files": files, "complete": complete}
    _write(root / _RECORD, orjson.dumps(record, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n")


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
