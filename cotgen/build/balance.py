"""Balance: which questions of the train split a balanced build asks, so that words and habit alone do not answer them.

Validation and test keep every question: their distribution is that of the surgeries, which metrics need. In train:

1. A frame within 1 s of a change of phase or of a disagreement of sources is not asked about.
2. Of the questions of one kind with one answer, 5 s of a surgery have one (of yes and of no each one for each named
   thing). Rare answers are excepted.
3. An answer that is more frequent than the mean of the answers to its kind of question is cut to the geometric mean of
   both, so in proportion to the root of its count; none is cut below the mean, so rare ones stay whole.
4. At least 40 % of the questions for a set of triplets, and of those for what one instrument does, are of frames in which
   the usual triplet of each instrument is wrong; at least 30 % of the phases are not the usual one of the kinds in view.
5. `none` and `0` stay at most 5 % of their kind of question, `not visible` one for seven boxes of the same thing, three
   times "no" a third of the questions for the criteria of the critical view, a black picture 1 % of all.

Yes and no that were matched are kept or left out together, so each wording keeps as many of one as of the other.

What is kept is drawn by blake2b from seed and key. The caps are those of all train surgeries together: a unit for each
surgery writes its draws down (`tally`), one over all turns them into the draw of each answer from which on it is left out
(`settle`), and each surgery then looks at its own questions alone (`sift`). So a cap holds exactly, where a rate would
hold on average. The tally knows the labels and no pixel: of a black frame, which asks nothing, a place stays free.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Literal, TypeAlias

from pydantic import Field

from cotgen.draws import draw
from cotgen.records import Record, Scene
from cotgen.surgeries.priors import given_set
from cotgen.surgeries.usual import Usual
from cotgen.tasks.balance import room_for
from cotgen.tasks.base import Question
from cotgen.tasks.boxes import NOT_VISIBLE
from cotgen.tasks.cvs import ALL_ID, CRITERIA
from cotgen.tasks.field_visible import ID as FIELD
from cotgen.tasks.field_visible import MOST as MOST_FIELD
from cotgen.tasks.localization import ABSENT_OF
from cotgen.tasks.triplet import triplets

#: Raised when the same questions come to another choice.
BALANCE_VERSION = 1
#: Seconds of a surgery that have one question of a kind and answer.
APART_S = 5
#: Seconds around a change of phase or a disagreement in which nothing is asked.
BORDER_S = 1
#: An answer is rare where it is met less than a fifth as often as the mean of the answers to its kind of question.
RARE_OF = 5
#: Kind of question -> least share, in percent, of frames in which what is usual is wrong.
LEAST_UNUSUAL = {"triplet.set": 40, "triplet.doing": 40, "triplet.verb": 40, "triplet.target": 40, "phase": 30}
#: (kind of question, answer) -> most of that kind of question, in percent.
MOST_SHARE = {
    ("tool.presence", ""): 5,
    ("tool.count", "0"): 5,
    ("triplet.set", ""): 5,
    ("anatomy.presence", ""): 5,
    (ALL_ID, "+".join(f"{criterion}=no" for criterion in CRITERIA)): 33,
}

#: Why a question is left out.
BORDER = f"within {BORDER_S} s of a change of phase or of a disagreement of sources"
NEAR = f"another one with this answer stands in these {APART_S} s"
CAPPED = "its answer has more than its cap"
USUAL = "what is usual for the instruments is right in too many"

_NEAR, _USUAL, _UNUSUAL, _COUPLE = 1, 2, 4, 8
#: Kind of question -> answer -> (draw, marks) of each question or couple of one surgery.
Tally: TypeAlias = Mapping[str, Mapping[str, Sequence[Sequence[int]]]]
#: Of one kind of question: answer -> (draw, marks) of those that are kept, by draw.
_Kept: TypeAlias = dict[str, list[tuple[int, int]]]


class Limits(Record):
    """What `settle` fixed for a build.

    Attributes:
        schema_: `cotgen/balance/1`; called `schema` on disk.
        rare: kind of question -> answers that may stand nearer than 5 s.
        limits: kind of question -> answer -> the first draw that is left out; an answer without one is kept whole.
        usual_limits: kind of question -> the first draw that is left out where what is usual is right.
        usual: what is usual.
    """

    schema_: Literal["cotgen/balance/1"] = Field(default="cotgen/balance/1", alias="schema")
    rare: dict[str, list[str]] = {}
    limits: dict[str, dict[str, int]] = {}
    usual_limits: dict[str, int] = {}
    usual: Usual = Usual()


@dataclass(frozen=True, slots=True)
class _Item:
    """Questions that are kept or left out together: one, or a matched couple of yes and no."""

    kind: str
    said: str
    draw: int
    usual: bool | None
    entries: tuple[tuple[int, Question], ...]

    @property
    def marks(self) -> int:
        of_usual = 0 if self.usual is None else _USUAL if self.usual else _UNUSUAL
        return of_usual | (_COUPLE if len(self.entries) > 1 else 0)


def kind_of(question: Question) -> tuple[str, str]:
    """The kind of question that an answer is counted in, and the answer.

    The kind is the beginning of the id: `triplet.doing`, `tool.yesno`; open and offered options are of one kind, since
    they have one answer. The answer is the truth; for boxes, what is there or not; for a matched yes and no the named
    thing, since the two are equally many by themselves.
    """
    parts = question.id.split(".")
    kind = parts[0] if parts[1] in ("open", "choice") else ".".join(parts[:2])
    if question.couple:
        return kind, question.id
    if question.task == "localization":
        there = question.subject or tuple(entry.partition("=")[0] for entry in question.truth)
        return kind, "+".join(there) + (f" {NOT_VISIBLE}" if not question.truth else "")
    truth = question.truth[: len(CRITERIA)] if question.id == ALL_ID else question.truth
    return kind, "+".join(truth)


def _items(scenes: Sequence[Scene], planned: Iterable[tuple[int, Question]], seed: int, usual: Usual) -> list[_Item]:
    found: list[_Item] = []
    couples: dict[tuple[str, str], list[tuple[int, Question]]] = defaultdict(list)
    for position, question in planned:
        if question.couple:
            couples[question.id, question.couple].append((position, question))
            continue
        kind, said = kind_of(question)
        number = draw(seed, "balance", scenes[position].key, question.id)
        fits = _is_usual(scenes[position], kind, question, usual)
        found.append(_Item(kind, said, number, fits, ((position, question),)))
    for (id, key), entries in couples.items():
        kind, said = kind_of(entries[0][1])
        found.append(_Item(kind, said, draw(seed, "balance", key, id), None, tuple(entries)))
    return found


def _is_usual(scene: Scene, kind: str, question: Question, usual: Usual) -> bool | None:
    """Whether what is usual for the instruments is the answer; None where nothing is known to be usual."""
    if kind == "phase":
        if scene.says("instrument") != "cholec80":
            return None
        expected = usual.phases.get(given_set(scene.terms("instrument")))
        return None if expected is None else question.truth == (expected,)
    if kind not in LEAST_UNUSUAL or scene.says("triplet") != "cholect50":
        return None
    acts = triplets(scene) or ()
    return usual.fits([fact for fact in acts if not question.subject or fact[0] == question.subject[0]])


def _at_borders(scenes: Sequence[Scene], clock: Fraction) -> set[int]:
    """Positions of the frames within a second of a change of phase or of a disagreement of sources."""
    found: set[int] = set()
    reach = BORDER_S * clock
    for position, scene in enumerate(scenes):
        other = position
        while other < len(scenes) and scenes[other].index - scene.index <= reach:
            near = scenes[other]
            if scene.disputed or near.disputed or (scene.says("phase") and _changes(scene, near)):
                found |= {position, other}
            other += 1
    return found


def _changes(one: Scene, other: Scene) -> bool:
    return bool(other.says("phase")) and set(one.terms("phase")) != set(other.terms("phase"))


def _crowded(
    items: Sequence[_Item], scenes: Sequence[Scene], seed: int, clock: Fraction, rare: Mapping[str, Collection[str]]
) -> Iterator[_Item]:
    """Those that find their 5 s taken by a like one; who comes first is drawn."""
    taken: set[tuple[str, str, str, int]] = set()
    # Not the draw of the caps: the first of many would have a low one, and long stretches the better chance again.
    order = sorted((draw(seed, "apart", str(item.draw), item.kind, item.said), n) for n, item in enumerate(items))
    for _, n in order:
        item = items[n]
        if item.said in rare.get(item.kind, ()):
            continue
        places = {
            (item.kind, item.said, question.answer if question.couple else "", _stretch(scenes[position], clock))
            for position, question in item.entries
        }
        if places & taken:
            yield item
        else:
            taken |= places


def _stretch(scene: Scene, clock: Fraction) -> int:
    return int(scene.index / clock) // APART_S


def tally(
    scenes: Sequence[Scene], planned: Iterable[tuple[int, Question]], seed: int, clock: Fraction, usual: Usual
) -> dict[str, dict[str, list[list[int]]]]:
    """The draws of one surgery of train, for `settle`.

    Args:
        scenes: its frames in time order.
        planned: all its questions with their positions in `scenes`.
        seed: of the draws.
        clock: frames a second of the surgery's clock.
        usual: what is usual.
    """
    found: dict[str, dict[str, list[list[int]]]] = defaultdict(lambda: defaultdict(list))
    borders = _at_borders(scenes, clock)
    items = [item for item in _items(scenes, planned, seed, usual) if not _touches(item, borders)]
    crowded = {id(item) for item in _crowded(items, scenes, seed, clock, {})}
    for item in items:
        found[item.kind][item.said].append([item.draw, item.marks | (_NEAR if id(item) in crowded else 0)])
    return {kind: dict(answers) for kind, answers in found.items()}


def _touches(item: _Item, borders: Collection[int]) -> bool:
    return any(position in borders for position, _ in item.entries)


def settle(tallies: Iterable[Tally], usual: Usual) -> Limits:
    """The limits for all train surgeries together; their order changes nothing. Nine bytes a question are in memory."""
    drawn: dict[str, dict[str, tuple[array[int], bytearray]]] = {}
    for one in tallies:
        for kind, answers in one.items():
            for said, rows in answers.items():
                draws, marks = drawn.setdefault(kind, {}).setdefault(said, (array("Q"), bytearray()))
                draws.extend(number for number, _ in rows)
                marks.extend(mark for _, mark in rows)
    rare: dict[str, list[str]] = {}
    limits: dict[str, dict[str, int]] = {}
    usual_limits: dict[str, int] = {}
    others = 0
    for kind, answers in sorted(drawn.items(), key=lambda entry: (entry[0] == FIELD, entry[0])):
        total, classes = sum(len(marks) for _, marks in answers.values()), len(answers)
        rare[kind] = sorted(said for said, (_, m) in answers.items() if RARE_OF * classes * len(m) < total)
        kept: _Kept = {
            said: sorted(row for row in zip(*columns, strict=True) if said in rare[kind] or not row[1] & _NEAR)
            for said, columns in sorted(answers.items())
        }
        own = _cut_to_root(kept)
        limit = _cut_usual(kept, LEAST_UNUSUAL.get(kind, 0))
        if limit is not None:
            usual_limits[kind] = limit
        own |= _cut_shares(kept, kind)
        if kind == FIELD:
            own |= _cuts(kept, dict.fromkeys(kept, room_for(MOST_FIELD, others) // 2))
        others += sum(2 if marks & _COUPLE else 1 for rows in kept.values() for _, marks in rows)
        if own:
            limits[kind] = own
    return Limits(
        rare={kind: answers for kind, answers in rare.items() if answers},
        limits=limits,
        usual_limits=usual_limits,
        usual=usual,
    )


def _cut(kept: _Kept, said: str, most: int) -> int | None:
    """Keep the `most` lowest draws of an answer; the first one that is left out, or None where none is."""
    rows = kept[said]
    if len(rows) <= most:
        return None
    kept[said] = rows[:most]
    return rows[most][0]


def _cuts(kept: _Kept, most: Mapping[str, int]) -> dict[str, int]:
    cut = {said: _cut(kept, said, count) for said, count in most.items()}
    return {said: limit for said, limit in cut.items() if limit is not None}


def _cut_to_root(kept: _Kept) -> dict[str, int]:
    counts = {said: len(rows) for said, rows in kept.items()}
    total, classes = sum(counts.values()), len(counts)
    mean = -(-total // classes)
    return _cuts(kept, {said: max(mean, isqrt(count * total // classes)) for said, count in counts.items()})


def _cut_usual(kept: _Kept, least: int) -> int | None:
    if not least:
        return None
    rows = [row for own in kept.values() for row in own]
    usual = sorted(number for number, marks in rows if marks & _USUAL)
    most = sum(1 for _, marks in rows if marks & _UNUSUAL) * (100 - least) // least
    if len(usual) <= most:
        return None
    limit = usual[most]
    for said, own in kept.items():
        kept[said] = [row for row in own if not row[1] & _USUAL or row[0] < limit]
    return limit


def _cut_shares(kept: _Kept, kind: str) -> dict[str, int]:
    most: dict[str, int] = {}
    for said in kept:
        if share := MOST_SHARE.get((kind, said)):
            most[said] = room_for(share, sum(len(rows) for other, rows in kept.items() if other != said))
        elif said.endswith(f" {NOT_VISIBLE}"):
            most[said] = len(kept.get(said.removesuffix(f" {NOT_VISIBLE}"), ())) // ABSENT_OF
    return _cuts(kept, most)


def sift(
    scenes: Sequence[Scene], planned: Sequence[tuple[int, Question]], seed: int, clock: Fraction, limits: Limits
) -> tuple[list[tuple[int, Question]], dict[str, dict[str, int]]]:
    """The questions of one surgery that a balanced build asks, in their order.

    Args:
        scenes: its frames in time order.
        planned: all its questions with their positions in `scenes`.
        seed: of the draws.
        clock: frames a second of the surgery's clock.
        limits: what `settle` fixed.

    Returns:
        The questions that are kept, and task -> why -> how many are not.
    """
    borders = _at_borders(scenes, clock)
    items = _items(scenes, planned, seed, limits.usual)
    inside = [item for item in items if not _touches(item, borders)]
    crowded = {id(item) for item in _crowded(inside, scenes, seed, clock, limits.rare)}
    lost: dict[str, Counter[str]] = defaultdict(Counter)
    gone: set[tuple[int, str]] = set()
    for item in items:
        why = BORDER if _touches(item, borders) else NEAR if id(item) in crowded else _over(item, limits)
        if why:
            lost[item.entries[0][1].task][why] += len(item.entries)
            gone |= {(position, question.id) for position, question in item.entries}
    kept = [(position, question) for position, question in planned if (position, question.id) not in gone]
    return kept, {task: dict(sorted(whys.items())) for task, whys in sorted(lost.items())}


def _over(item: _Item, limits: Limits) -> str:
    first = limits.limits.get(item.kind, {}).get(item.said)
    if first is not None and item.draw >= first:
        return CAPPED
    usual = limits.usual_limits.get(item.kind)
    return USUAL if item.usual and usual is not None and item.draw >= usual else ""
