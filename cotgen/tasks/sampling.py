"""Balance: which of the questions that could be asked are asked, so that words and habits alone do not answer them.

Three rules, all off unless a build asks for them:

- one pair for each task, class and five seconds of a surgery, since neighbouring seconds repeat one another;
- in train, a class keeps the square root of its count times the median count of the task's classes, so that frequent classes
  shrink and none disappears; validation and test keep their natural distribution;
- in train, at least 40 % of the triplet pairs come from frames whose instruments are most often used otherwise, and at least
  30 % of the phase pairs from frames whose instruments favour another phase, as far as there are such frames.

A class with fewer pairs than `RARE` in its split is kept whole. A question of yes or no is kept or dropped with its couple,
so that every wording stays half yes. Counts are of the labels alone; every draw is of (seed, key, pair id).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isqrt

import orjson

from cotgen.draws import draw
from cotgen.records import Scene
from cotgen.tasks.balance import in_hash_order
from cotgen.tasks.base import Question
from cotgen.tasks.triplet import whole_set

#: Raised when the same labels and questions give other shares.
BALANCE_VERSION = 1
#: Seconds in which a class of a task is asked about once.
SECONDS = 5
#: A class with fewer pairs than this in a split is neither thinned nor capped.
RARE = 50
#: Task -> least share, in percent, of train pairs from frames whose instruments point to another answer.
SURPRISING = {"triplet": 40, "phase": 30}
_DRAWS = 2**32

Planned = tuple[int, Question]


def class_of(question: Question) -> str:
    """What a question counts as: its answer; of boxes, whether the thing is there; of yes and no, the question itself."""
    if question.truth in (("yes",), ("no",)):
        return question.id
    if question.boxes or question.answer == "not visible":
        return f"{question.id}={'not visible' if question.answer == 'not visible' else 'visible'}"
    if question.id.startswith("triplet."):
        return f"{question.id}={question.answer}"
    return question.answer


def habit_of(scene: Scene, question: Question) -> tuple[str, str]:
    """(the instruments of the frame, what is done or which phase it is): what habit would answer from and with."""
    if question.task == "triplet" and question.truth not in (("yes",), ("no",)):
        facts = whole_set(scene)
        kinds = "+".join(sorted({fact[0] for fact in facts}))
        return kinds, ";".join(",".join(fact) for fact in facts)
    if question.task == "phase":
        kinds = "+".join(sorted(scene.terms("instrument") or {fact.terms[0] for fact in scene.of_kind("triplet")}))
        return (kinds, question.answer) if kinds else ("", "")
    return "", ""


#: (task, class, instruments, outcome) -> number of pairs of one surgery, and of those that the five seconds leave.
Counts = dict[tuple[str, str, str, str], tuple[int, int]]


def count(scenes: Sequence[Scene], planned: Sequence[Planned], clock: str, seed: int) -> Counts:
    """What one surgery would give, before and after the rule of five seconds."""
    left = {id(entry[1]) for entry in _thinned(scenes, planned, clock, seed, frozenset())}
    found: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for position, question in planned:
        key = (question.task, class_of(question), *habit_of(scenes[position], question))
        found[key][0] += 1
        found[key][1] += id(question) in left
    return {key: (whole, thin) for key, (whole, thin) in found.items()}


@dataclass(frozen=True)
class Rates:
    """What is kept of each class of one split.

    Attributes:
        rare: (task, class) that are kept whole.
        kept: (task, class) -> share that is kept after the rule of five seconds; 1 where it is not named.
        usual: task -> instruments -> what most often comes with them in train.
        expected: task -> share that is kept of frames where the usual is true.
    """

    rare: frozenset[tuple[str, str]] = frozenset()
    kept: Mapping[tuple[str, str], Fraction] = field(default_factory=dict)
    usual: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    expected: Mapping[str, Fraction] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Canonical bytes: part of the fingerprint of the chains."""
        return orjson.dumps(
            {
                "rare": sorted(self.rare),
                "kept": sorted([*key, str(share)] for key, share in self.kept.items()),
                "usual": {task: dict(table) for task, table in self.usual.items()},
                "expected": {task: str(share) for task, share in self.expected.items()},
            },
            option=orjson.OPT_SORT_KEYS,
        )

    @classmethod
    def from_json(cls, data: bytes) -> Rates:
        """What `to_json` wrote."""
        read = orjson.loads(data)
        return cls(
            frozenset((task, name) for task, name in read["rare"]),
            {(task, name): Fraction(share) for task, name, share in read["kept"]},
            read["usual"],
            {task: Fraction(share) for task, share in read["expected"].items()},
        )


def rates(counts: Iterable[Counts], train: Iterable[Counts]) -> Rates:
    """The shares for one split.

    Args:
        counts: of each surgery of the split.
        train: of each train surgery, if this is the train split; nothing for the others, which keep their distribution.
    """
    whole: Counter[tuple[str, str]] = Counter()
    for found in counts:
        for (task, name, _, _), (pairs, _) in found.items():
            whole[task, name] += pairs
    rare = frozenset(key for key, pairs in whole.items() if pairs < RARE)
    thin: Counter[tuple[str, str, str, str]] = Counter()
    for found in train:
        for key, (pairs, left) in found.items():
            thin[key] += pairs if key[:2] in rare else left
    if not thin:
        return Rates(rare)
    kept = _caps(thin, rare)
    usual = _usual(thin)
    return Rates(rare, kept, usual, _expected(thin, kept, usual))


def _caps(
    thin: Counter[tuple[str, str, str, str]], rare: frozenset[tuple[str, str]]
) -> dict[tuple[str, str], Fraction]:
    by_class: Counter[tuple[str, str]] = Counter()
    for (task, name, _, _), pairs in thin.items():
        by_class[task, name] += pairs
    kept: dict[tuple[str, str], Fraction] = {}
    for task in {task for task, _ in by_class}:
        own = sorted(pairs for (of, _), pairs in by_class.items() if of == task)
        median = own[(len(own) - 1) // 2]
        for (of, name), pairs in by_class.items():
            allowed = max(isqrt(pairs * median), RARE)
            if of == task and (of, name) not in rare and allowed < pairs:
                kept[of, name] = Fraction(allowed, pairs)
    return kept


def _usual(thin: Counter[tuple[str, str, str, str]]) -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for (task, _, given, outcome), pairs in thin.items():
        if task in SURPRISING and given:
            tables[task][given][outcome] += pairs
    return {
        task: {given: min(found, key=lambda name: (-found[name], name)) for given, found in sorted(table.items())}
        for task, table in sorted(tables.items())
    }


def _expected(
    thin: Counter[tuple[str, str, str, str]],
    kept: Mapping[tuple[str, str], Fraction],
    usual: Mapping[str, Mapping[str, str]],
) -> dict[str, Fraction]:
    found = {}
    for task, table in usual.items():
        sums = {True: Fraction(0), False: Fraction(0)}
        for (of, name, given, outcome), pairs in thin.items():
            if of == task and given:
                sums[table[given] == outcome] += pairs * kept.get((of, name), Fraction(1))
        percent = SURPRISING[task]
        most = sums[False] * (100 - percent) / percent
        if sums[False] and sums[True] > most:
            # In thousandths, rounded down, so that the number stays short.
            found[task] = Fraction(int(1000 * most / sums[True]), 1000)
    return found


def choose(scenes: Sequence[Scene], planned: Sequence[Planned], found: Rates, clock: str, seed: int) -> list[Planned]:
    """The questions of one surgery that are asked, in their order.

    Args:
        scenes: of one surgery in time order.
        planned: all questions about them.
        found: the shares of its split.
        clock: frames a second, `25/1`.
        seed: of every draw.
    """
    kept: list[Planned] = []
    for group in _groups(scenes, planned, clock, seed, found.rare):
        # A couple stands or falls with the draw of its first.
        position, question = group[0]
        key = (question.task, class_of(question))
        share = Fraction(1) if key in found.rare else found.kept.get(key, Fraction(1))
        given, outcome = habit_of(scenes[position], question)
        if given and key not in found.rare and found.usual.get(question.task, {}).get(given) == outcome:
            share *= found.expected.get(question.task, Fraction(1))
        drawn = draw(seed, "balance", scenes[position].key, question.id) % _DRAWS
        if drawn * share.denominator < share.numerator * _DRAWS:
            kept += group
    order = {id(question): number for number, (_, question) in enumerate(planned)}
    return sorted(kept, key=lambda entry: order[id(entry[1])])


def _thinned(
    scenes: Sequence[Scene], planned: Sequence[Planned], clock: str, seed: int, rare: frozenset[tuple[str, str]]
) -> Iterator[Planned]:
    for group in _groups(scenes, planned, clock, seed, rare):
        yield from group


def _groups(
    scenes: Sequence[Scene], planned: Sequence[Planned], clock: str, seed: int, rare: frozenset[tuple[str, str]]
) -> Iterator[tuple[Planned, ...]]:
    """What the rule of five seconds leaves: single questions and couples, in an order drawn from their keys."""
    length = SECONDS * Fraction(clock)
    keyed = [
        (f"{scenes[group[0][0]].key}#{group[0][1].id}", group) for group in _couples(scenes, planned, seed)
    ]  # fmt: skip
    taken: set[tuple[str, str, str, int]] = set()
    for group in in_hash_order(seed, keyed, "balance", "seconds"):
        places = set()
        for position, question in group:
            answer = question.truth[0] if question.truth in (("yes",), ("no",)) else ""
            when = int(scenes[position].index / length)
            places.add((question.task, class_of(question), answer, when))
        question = group[0][1]
        if (question.task, class_of(question)) not in rare:
            if places & taken:
                continue
            taken |= places
        yield group


def _couples(scenes: Sequence[Scene], planned: Sequence[Planned], seed: int) -> Iterator[tuple[Planned, ...]]:
    """Single questions; of yes and no, each yes with a no of the same wording, and of its phase where there is one."""
    asked: dict[tuple[str, str], dict[str, list[tuple[str, Planned]]]] = defaultdict(lambda: {"yes": [], "no": []})
    for entry in planned:
        question = entry[1]
        if question.truth in (("yes",), ("no",)):
            asked[question.id, question.text][question.truth[0]].append((scenes[entry[0]].key, entry))
        else:
            yield (entry,)
    for (name, _), sides in asked.items():
        if len(sides["yes"]) != len(sides["no"]):
            # Not asked in couples: a criterion of safety is met or not by nature.
            for _, entry in (*sides["yes"], *sides["no"]):
                yield (entry,)
            continue
        waiting: dict[tuple[str, ...], list[Planned]] = defaultdict(list)
        for entry in in_hash_order(seed, sides["no"], "balance", name):
            waiting[scenes[entry[0]].terms("phase")].append(entry)
        alone = []
        for entry in in_hash_order(seed, sides["yes"], "balance", name):
            same = waiting[scenes[entry[0]].terms("phase")]
            if same:
                yield entry, same.pop()
            else:
                alone.append(entry)
        rest = [entry for _, entries in sorted(waiting.items()) for entry in entries]
        yield from zip(alone, rest, strict=True)
