"""Taught: the file of what a teacher wrote about one surgery, and how it comes into the samples.

One sealed file per surgery: the accepted chains, every refused reply with its reasons, and counts. The samples are then
a pure function of files again, whatever the server did; each accepted chain is checked once more on the way in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from cotgen.build.files import SealedWriter, move_into_place, read_footer, read_payload
from cotgen.errors import CotgenError
from cotgen.records import BASES, Measured, Pair, Scene, canonical_json

if TYPE_CHECKING:
    from cotgen.chains.write import Written
    from cotgen.surgeries.priors import Priors

#: Why a question has no chain of the teacher, as it stands in a manifest.
REFUSED = "the teacher's chain was refused"
_NAMES = 10


@dataclass
class Tally:
    """Counts of what was asked of a teacher, which add up.

    Attributes:
        asked: questions.
        accepted: with a chain of the teacher.
        mended: accepted after a re-ask that quoted the findings.
        reasked: asked a second time.
        refused: whose replies were all refused.
        given_up: without any reply, since the server failed; they are asked again by the next run.
        reasons: check, or kind of a broken reply -> refused replies that it was found in.
        written: basis -> sentences in all replies that could be read.
        sound: basis -> those among them without a hard finding.
        kept: basis -> sentences in accepted chains.
        judged: what the judge said -> how often.
    """

    asked: int = 0
    accepted: int = 0
    mended: int = 0
    reasked: int = 0
    refused: int = 0
    given_up: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    sound: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    judged: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Take in what another one counted."""
        for name, value in vars(other).items():
            if isinstance(value, Counter):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Tally:
        """From `plain`."""
        bases = plain["by_basis"]
        tally = cls(
            **{name: plain[name] for name in ("asked", "accepted", "mended", "reasked", "refused", "given_up")}
        )
        tally.reasons.update(plain["reasons"])
        tally.judged.update(plain["judged"])
        for kind in ("written", "sound", "kept"):
            getattr(tally, kind).update({basis: row[kind] for basis, row in bases.items()})
        return tally

    def plain(self) -> dict[str, Any]:
        """As plain values for a manifest."""
        bases = [basis for basis in BASES if self.written[basis]]
        return {
            "asked": self.asked,
            "accepted": self.accepted,
            "mended": self.mended,
            "reasked": self.reasked,
            "refused": self.refused,
            "given_up": self.given_up,
            "reasons": dict(sorted(self.reasons.items())),
            "judged": dict(sorted(self.judged.items())),
            "by_basis": {
                basis: {"written": self.written[basis], "sound": self.sound[basis], "kept": self.kept[basis]}
                for basis in bases
            },
        }


@dataclass
class Told:
    """What came of one question that was asked of a teacher.

    Attributes:
        key: of the sample.
        id: of the pair.
        pair: the accepted chain; None where there is none.
        request: the cache key of the request that gave it.
        measured: what its sentences cite of the pixels and the sample does not hold yet.
        rejected: a row for every refused reply.
        tally: counts of this question.
    """

    key: str
    id: str
    pair: Pair | None = None
    request: str = ""
    measured: tuple[Measured, ...] = ()
    rejected: list[dict[str, Any]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


def write_asked(told: Sequence[Told], surgery: str, out: Path, part: Path) -> Tally:
    """Write the file of one surgery, its questions in the order in which they were planned."""
    tally = Tally()
    for item in told:
        tally.add(item.tally)
    accepted = {
        f"{item.key}#{item.id}": {
            "pair": item.pair.model_dump(),
            "request": item.request,
            "measured": [m.model_dump() for m in item.measured],
        }
        for item in told
        if item.pair
    }
    refused = [f"{item.key}#{item.id}" for item in told if not item.pair]
    with SealedWriter(part) as writer:
        places = {
            "accepted": writer.write(canonical_json(accepted)),
            "refused": writer.write(canonical_json(refused)),
            "rejected": writer.write(b"".join(canonical_json(row) + b"\n" for item in told for row in item.rejected)),
        }
        writer.seal({"surgery": surgery, "tally": tally.plain(), "places": places})
    move_into_place(part, out)
    return tally


def read_tally(path: Path) -> Tally | None:
    """The counts of a file of one surgery; None where it is not there or not whole."""
    try:
        return Tally.of(read_footer(path)["tally"])
    except (OSError, ValueError, KeyError):
        return None


def rejected_rows(paths: Iterable[Path]) -> Iterator[bytes]:
    """The refused replies of all surgeries, a JSON line each."""
    for path in paths:
        yield from read_payload(path, read_footer(path)["places"]["rejected"]).splitlines(keepends=True)


@dataclass
class Taught:
    """The chains of one surgery that a teacher wrote, for `_chains`."""

    accepted: Mapping[str, Any]
    refused: frozenset[str]
    fallback: bool
    counts: Mapping[str, Any]
    #: Questions that are left out for want of an accepted chain, and the frames that have none left.
    lost: list[str] = field(default_factory=list)
    frames: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, path: Path, fallback: bool) -> Taught:
        """What `write_asked` wrote.

        Raises:
            CotgenError: the file is damaged.
        """
        try:
            footer = read_footer(path)
            places = footer["places"]
            accepted = orjson.loads(read_payload(path, places["accepted"]))
            refused = orjson.loads(read_payload(path, places["refused"]))
        except (OSError, ValueError, KeyError) as error:
            raise CotgenError(
                f"{path.name} is damaged ({error}); remove it and run the same command again."
            ) from error
        return cls(accepted, frozenset(refused), fallback, footer["tally"])

    def into(
        self, scene: Scene, pairs: Sequence[Pair], priors: Priors | None, written: Written
    ) -> tuple[list[Pair], list[Measured]]:
        """The pairs of a frame with the teacher's chains in their places, and the measurements that these cite."""
        from dataclasses import replace

        from cotgen.chains.checks import check_pair

        found: list[Pair] = []
        seen: dict[tuple[str, tuple[str, ...]], Measured] = {}
        for pair in pairs:
            name = f"{scene.key}#{pair.id}"
            entry = self.accepted.get(name)
            if entry is None:
                if name in self.refused and not self.fallback:
                    self.lost.append(name)
                    continue
                found.append(pair)
                continue
            measured = [Measured.model_validate(item) for item in entry["measured"]]
            own = replace(scene, measured=(*scene.measured, *measured))
            chain = Pair.model_validate(entry["pair"])
            findings = check_pair(chain, own, priors)
            if hard := [finding for finding in findings if finding.severity == "hard"]:
                # It passed when it came: what is here now is not what was accepted then.
                written.refused[hard[0].check] += 1
                found.append(pair)
                continue
            found.append(chain.model_copy(update={"findings": findings}))
            seen |= {(item.name, tuple(item.of)): item for item in measured}
        if not found:
            self.frames.add(scene.key)
        return found, [seen[name] for name in sorted(seen)]

    def left_out(self) -> list[list[Any]]:
        """Rows of (what, reason, count, examples)."""
        rows: list[list[Any]] = [["pair", REFUSED, len(self.lost), self.lost[:_NAMES]]] if self.lost else []
        if self.frames:
            rows.append(["frame", f"{REFUSED} for all its questions", len(self.frames), sorted(self.frames)[:_NAMES]])
        return rows
