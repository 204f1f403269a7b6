"""BuildConfig: everything a build can be told, from a YAML file and the command line, which wins.

Two builds with the same `effective` configuration, the same input and the same version of cotgen have the same bytes;
so it holds no path, no host and nothing that only decides how fast or where the work is done.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, Field, ValidationError, field_validator

from cotgen.build.teaching import Teaching
from cotgen.errors import CotgenError
from cotgen.records import canonical_json

Options = TypeVar("Options", bound=Teaching)

_SURGERY = re.compile(r"^(?:(?P<family>[a-z0-9_]+)/)?(?P<first>[0-9]+)(?:-(?P<last>[0-9]+))?$")
#: A surgery with a name instead of a number: bbp01, multibypass140/bbp01, sar_rarp50/7_1.
_NAMED = re.compile(r"^(?:(?P<family>[a-z0-9_]+)/)?(?P<name>[a-z0-9_]*[a-z_][a-z0-9_]*)$")
_SAMPLE = re.compile(r"^changes:([1-9][0-9]*)$")
_CONTEXT = re.compile(r"^(?:([0-9]{1,4}) ?s?)?$")
#: More would make the context larger than all else in a sample.
_LONGEST_CONTEXT = 60
#: Whose pictures are stored by default: the video has every instant, the extracted pictures one a second.
PIXELS = ("cholec80", "cholect50")
#: A rate with a longer numerator or denominator is a slip of the pen, and would take its time to be found wrong.
_LONGEST_RATE = 10**6


class BuildConfig(Teaching):
    """What to build, from what, and where to; who writes the chains is told by `Teaching`.

    Attributes:
        source: names of the data sets, `cholec80`; `all` for all that are found below the roots. Those that label the
            same surgery on one clock are joined.
        root: where it lies: `DIR` or `NAME=DIR`, any number.
        pixels: whose pictures are stored where several sources have some of one surgery, the first one first; those
            that are not named come last, in the order of `cotgen sources`.
        out: the folder that can be published.
        work: the folder of what builds share; default `$COTGEN_WORK`, then `OUT.work` beside OUT.
        fps: frames asked about a second, a number or a fraction such as `1/5`; `1,endovis17=1/2` for another rate of
            one source.
        tasks: names of tasks; empty for every applicable one.
        split: split tables, `clean/1` or `cholec80=camma_40_8_32`.
        seed: of every draw.
        workers: processes; 0 for one per processor.
        shards: number per split; 0 for the power of two nearest to its bytes / 500 MB.
        frames: `embed` stores pictures, `reference` only their hashes, `none` decodes nothing.
        surgeries: `1-5`, `73` or `cholec80/73`; empty for all.
        context: how far back the labelled instants before a frame are told, `3s`; empty for not at all.
        limit: at most so many frames, spread evenly; 0 for all.
        sample: `all` frames at `fps`, or `changes:10` for each change of labels and every 10th second.
        max_side: longest side of stored pictures in pixels; 0 to keep their size.
        exclude: a file of surgeries and sample keys that must never be in.
        exclude_reviewed_wrong: a file of marks of reviewers; chains that are still as one of them marked them wrong are
            left out.
        priors: `auto` counts them over the train surgeries of the root; `none`; or a file of `cotgen priors`.
        quality: of the JPEG, 1 to 95.
        balance: whether train is thinned out so that words and habit alone do not answer (`cotgen.build.balance`).
        replace: whether OUT may hold a build of another configuration, which is then replaced.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: tuple[str, ...]
    root: tuple[str, ...] = ()
    pixels: tuple[str, ...] = PIXELS
    out: Path | None = None
    work: Path | None = None
    fps: str = "1"
    tasks: tuple[str, ...] = ()
    split: tuple[str, ...] = ("clean/1",)
    seed: int = Field(default=0, ge=0, lt=2**63)
    workers: int = Field(default=0, ge=0, le=1024)
    shards: int = Field(default=0, ge=0, le=100_000)
    frames: Literal["embed", "reference", "none"] = "embed"
    surgeries: tuple[str, ...] = ()
    context: str = ""
    limit: int = Field(default=0, ge=0, lt=2**63)
    sample: str = "all"
    max_side: int = Field(default=0, ge=0, le=65_535)
    exclude: Path | None = None
    exclude_reviewed_wrong: Path | None = None
    priors: str = "auto"
    quality: int = Field(default=90, ge=1, le=95)
    balance: bool = False
    replace: bool = False

    @field_validator("source", "root", "pixels", "tasks", "split", "surgeries", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        items = [value] if isinstance(value, str | int) else value
        return [str(item) for item in items] if isinstance(items, list | tuple) else items

    @field_validator("source", "pixels", "tasks", "surgeries")
    @classmethod
    def _commas(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(part.strip() for item in value for part in item.split(",") if part.strip())

    @field_validator("fps", mode="before")
    @classmethod
    def _rates(cls, value: Any) -> str:
        items = [str(item) for item in (value if isinstance(value, list | tuple) else [value])]
        found: dict[str, str] = {}
        for item in (part.strip() for text in items for part in text.split(",")):
            name, equals, number = item.rpartition("=")
            name = name.strip().lower()
            if equals and not name:
                raise ValueError(f"'{item}' names no source; write NAME=RATE, such as cholec80=1")
            if name in found:
                raise ValueError(f"'{item}' is a second rate{f' of {name}' if name else ''}; keep one of them")
            found[name] = _fraction(number)
        base = found.pop("", "1")
        return ",".join([base, *(f"{name}={number}" for name, number in sorted(found.items()))])

    @field_validator("sample")
    @classmethod
    def _sampling(cls, value: str) -> str:
        if value != "all" and not _SAMPLE.match(value):
            raise ValueError(f"'{value}' is no way to choose frames; give all or changes:SECONDS, e.g. changes:10")
        return value

    @field_validator("context", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> str:
        match = _CONTEXT.match(str(value).strip())
        if not match:
            raise ValueError(f"'{value}' is no time; give whole seconds up to {_LONGEST_CONTEXT}, e.g. 3s")
        seconds = int(match[1] or 0)
        if seconds > _LONGEST_CONTEXT:
            raise ValueError(f"{seconds} s is too far back; give at most {_LONGEST_CONTEXT}s")
        return f"{seconds}s" if seconds else ""

    @field_validator("surgeries")
    @classmethod
    def _ranges(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            match = _SURGERY.match(item)
            if not match and _NAMED.match(item):
                continue
            if not match or (match["last"] and int(match["last"]) < int(match["first"])):
                raise ValueError(f"'{item}' names no surgery; write 73, 1-5 or cholec80/73, separated by commas")
        return value

    def __str__(self) -> str:
        return f"build of {' and '.join(self.source)}"

    @property
    def rates(self) -> dict[str, Fraction]:
        """Source -> its own rate, for those that `fps` names."""
        named = (item.partition("=") for item in self.fps.split(",")[1:])
        return {name: Fraction(number) for name, _, number in named}

    def rate(self, source: str) -> Fraction:
        """Frames asked about a second of this source."""
        return self.rates.get(source, Fraction(self.fps.partition(",")[0]))

    @property
    def every_s(self) -> int:
        """Seconds between the frames that are taken between changes; 0 where all frames are taken."""
        match = _SAMPLE.match(self.sample)
        return int(match[1]) if match else 0

    @property
    def context_s(self) -> int:
        """Seconds of `context`; 0 for none."""
        return int(self.context.removesuffix("s") or 0)

    @property
    def processes(self) -> int:
        """How many worker processes to use."""
        if self.workers:
            return self.workers
        try:
            return len(os.sched_getaffinity(0))
        except AttributeError:
            return os.cpu_count() or 1

    def folders(self, env: Mapping[str, str]) -> tuple[Path, Path]:
        """OUT and the work folder, absolute.

        Raises:
            CotgenError: there is no OUT, one of them is in the other, or a path is not UTF-8.
        """
        if self.out is None:
            raise CotgenError("Say where the data set shall be written: --out DIR")
        out = _readable(self.out.resolve(), "--out")
        work = self.work_folder(env, out)
        if out.is_relative_to(work):
            raise CotgenError(
                f"{out} is in the work folder {work}, which holds what builds share and may be removed at any time. "
                "Choose another --out, or another --work."
            )
        if work.is_relative_to(out):
            raise CotgenError(
                f"The work folder {work} is in {out}, which holds what can be published and nothing else. "
                "Choose another --work."
            )
        return out, work

    def work_folder(self, env: Mapping[str, str], out: Path) -> Path:
        """The work folder: `--work`, `$COTGEN_WORK`, or `OUT.work` beside OUT."""
        chosen = str(self.work or "") or env.get("COTGEN_WORK", "")
        return _readable(Path(chosen).resolve(), "--work") if chosen else out.with_name(f"{out.name}.work")

    def selects(self, surgery: str) -> bool:
        """Whether `--surgeries` names this one; without it, all are."""
        return not self.surgeries or any(surgery in found for found in self._matches((surgery,)).values())

    def unmatched(self, surgeries: Iterable[str]) -> list[str]:
        """The entries of `--surgeries` that name none of these."""
        return [item for item, found in self._matches(tuple(surgeries)).items() if not found]

    def _matches(self, surgeries: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for item in self.surgeries:
            match = _SURGERY.match(item)
            if match is None:
                found[item] = [name for name in surgeries if item in (name, name.partition("/")[2])]
                continue
            first, last = int(match["first"]), int(match["last"] or match["first"])
            found[item] = [
                name
                for name in surgeries
                for family, _, number in [name.partition("/")]
                if (not match["family"] or family == match["family"])
                and number.isdecimal()
                and first <= int(number) <= last
            ]
        return found

    def effective(
        self,
        *,
        tasks: Sequence[str],
        split: str,
        excluded: Sequence[str],
        priors: str,
        wrong: Mapping[str, Iterable[tuple[int, str]]] | None = None,
    ) -> dict[str, Any]:
        """What the content depends on, as plain values for the manifest. `source` must name the sources, not `all`.

        Args:
            tasks: the tasks in force, by name.
            split: name of the split plan.
            excluded: entries of the exclude file; only their number and hash are kept, for they may be patients'.
            priors: `auto`, `none` or the sha256 of the file.
            wrong: what reviewers marked wrong, of which only number and hash are kept.
        """
        only = f"{self.source[0]}/" if len(self.source) == 1 else "/"
        numbers = sorted({item.removeprefix(only) for item in self.surgeries})
        return {
            "source": "+".join(sorted(set(self.source))),
            "fps": self.fps,
            "tasks": sorted(tasks),
            "split": split,
            "seed": self.seed,
            "shards": self.shards,
            "frames": self.frames,
            "surgeries": numbers,
            "limit": self.limit,
            "sample": self.sample,
            "max_side": self.max_side,
            "quality": self.quality,
            "exclude": {
                "entries": len(excluded),
                "sha256": hashlib.sha256(canonical_json(list(excluded))).hexdigest(),
            },
            "priors": priors,
            **(
                {"exclude_reviewed_wrong": {"entries": len(wrong), "sha256": wrong_sha256(wrong)}}
                if wrong is not None
                else {}
            ),
            **({"context": self.context} if self.context else {}),
            **({"balance": True} if self.balance else {}),
            **({"teacher": told} if (told := self.told()) else {}),
            **({"pixels": list(self.pixels)} if self.pixels != PIXELS and len(set(self.source)) > 1 else {}),
        }


def wrong_sha256(wrong: Mapping[str, Iterable[tuple[int, str]]]) -> str:
    """sha256 of what reviewers marked wrong, whoever they were and in whatever order they said so."""
    plain = {name: [list(thing) for thing in sorted(things)] for name, things in wrong.items()}
    return hashlib.sha256(canonical_json(plain)).hexdigest()


def _fraction(text: str) -> str:
    """A rate as a fraction. Raises ValueError for anything else."""
    try:
        # An exponent can ask for more digits than there is memory.
        number = Fraction(text.strip()) if len(text) <= 20 and "e" not in text.lower() else Fraction(0)
    except (ValueError, ZeroDivisionError):
        number = Fraction(0)
    if number <= 0 or max(number.numerator, number.denominator) > _LONGEST_RATE:
        raise ValueError(f"'{text}' is no rate; give frames a second as 1, 0.2 or 1/5")
    return str(number)


def _readable(path: Path, option: str) -> Path:
    """The path, if it can be written down: names of other bytes than UTF-8 fit into no record and no message."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise CotgenError(
            f"{option}: {str(path)!a} is not UTF-8, so it can stand in no record. Rename the folder, or give "
            "another name for it with `ln -s`."
        ) from None
    return path


def load_config(file: Path | None, given: Mapping[str, Any]) -> BuildConfig:
    """A configuration from a YAML file and the options of the command line, which win.

    Args:
        file: YAML with the names of BuildConfig's attributes as keys; None for none.
        given: what the command line names; None stands for "not given".

    Raises:
        CotgenError: the file cannot be read, a key is unknown (the near ones are named) or a value is wrong.
    """
    values: dict[str, Any] = _read(file) if file else {}
    values.update({name: value for name, value in given.items() if value is not None})
    if not values.get("source"):
        raise CotgenError("Say what to build from: --source NAME, or all. `cotgen sources` lists the names.")
    return validated(BuildConfig, values)


def validated(kind: type[Options], values: Mapping[str, Any]) -> Options:
    """Options from plain values. Raises CotgenError with a sentence for each that is wrong."""
    try:
        return kind(**values)
    except ValidationError as error:
        lines = [_sentence(item, values) for item in error.errors()]
        raise CotgenError("\n".join(lines)) from None


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CotgenError(f"{file} cannot be read ({error.strerror}); check the path after --config.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CotgenError(f"{file} is not readable as YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise CotgenError(f"{file} must hold `key: value` lines, such as `source: cholec80`.")
    # As on the command line, a dash may stand for the underscore.
    values = {str(key).replace("-", "_"): value for key, value in content.items()}
    unknown = sorted(set(values) - set(BuildConfig.model_fields))
    if unknown:
        raise CotgenError("\n".join(f"{file}: {unknown_key(key, BuildConfig.model_fields)}" for key in unknown))
    return {key: value for key, value in values.items() if value is not None}


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The sentence for a name that is not known, with the near ones."""
    names = sorted(known)
    near = difflib.get_close_matches(key, names, n=2, cutoff=0.6)
    return f"'{key}' is not known; {'did you mean ' + ' or '.join(near) + '?' if near else 'known are ' + ', '.join(names)}"


def _sentence(item: Any, values: Mapping[str, Any]) -> str:
    key = str(item["loc"][0]) if item["loc"] else ""
    text = str(item["msg"]).removeprefix("Value error, ")
    name = f"--{key.replace('_', '-')}"
    return (
        f"{name}: {text}"
        if item["type"] == "value_error"
        else f"{name} {values.get(key)!r}: {text[0].lower()}{text[1:]}."
    )
