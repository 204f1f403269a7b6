"""Course: what happens in one look-alike surgery, second by second, before anything is drawn or written.

The annotation files and the video are both made from it, so what the labels say is what is drawn. Orders of phases,
their relative lengths and the instruments seen in each follow the counts over the 80 real surgeries; lengths are
scaled down, with a few seconds left for the shortest phase. A course depends on its number, the seed and the length,
never on which other surgeries are made with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from cotgen.draws import draw
from cotgen.errors import CotgenError

#: Names as in the phase files; the position is the digit used in the orders below.
PHASES = (
    "Preparation",
    "CalotTriangleDissection",
    "ClippingCutting",
    "GallbladderDissection",
    "GallbladderPackaging",
    "CleaningCoagulation",
    "GallbladderRetraction",
)
#: Names and order of the columns of the tool files.
TOOLS = ("Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag")

#: Mean seconds of each phase over the real surgeries that have it.
_MEAN_SECONDS = {0: 121, 1: 935, 2: 176, 3: 730, 4: 95, 5: 194, 6: 83}
#: Orders of phases with the number of real surgeries (78 counted).
_ORDERS = {"0123456": 49, "0123546": 12, "123456": 8, "012346": 6, "0123465": 2, "123465": 1}
#: Tool sets of each phase in thousandths of its seconds, letters as in _LETTERS: the sets above 1 % of the phase.
_SETS: dict[int, dict[str, int]] = {
    0: {"": 505, "G": 455, "GS": 25, "H": 8, "B": 7},
    1: {"GH": 516, "H": 252, "G": 106, "": 60, "GI": 20, "B": 22, "GB": 14, "I": 10},
    2: {"GC": 219, "C": 183, "G": 177, "": 135, "GS": 101, "S": 95, "H": 62, "GI": 16, "GB": 12},
    3: {"H": 435, "GH": 315, "G": 105, "": 75, "GI": 20, "GB": 18, "I": 18, "B": 14},
    4: {"GP": 721, "": 156, "P": 60, "G": 63},
    5: {"": 160, "I": 118, "G": 115, "GB": 105, "GI": 98, "B": 95, "GP": 100, "GIP": 64, "P": 60, "BI": 45, "BP": 40},
    6: {"": 509, "GP": 169, "G": 159, "P": 105, "B": 30, "I": 28},
}
#: Each group must be seen in its phase, as in (nearly) every real surgery; the order within a phase is kept.
_MUST = {1: ("H",), 2: ("C", "S"), 3: ("H",), 4: ("P",), 5: ("IB",)}
_LETTERS = dict(zip("GBHSCIP", TOOLS, strict=True))
#: Seconds that one set of tools stays in view; the real median is 3 to 4.
_RUNS = (2, 3, 3, 4, 4, 5, 7)

#: The step of a Weyl sequence (2**64 over the golden ratio): few draws cover a distribution evenly.
_GOLDEN = 0x9E3779B97F4A7C15
#: Runs of each phase in a minute: how far the sequence moves on from one surgery to the next.
_STRIDES = {0: 2, 1: 6, 2: 3, 3: 5, 4: 2, 5: 3, 6: 2}
#: Fewer seconds cannot hold seven phases.
_SHORTEST = 10

#: The surgeries of a small demo, in the order in which they are taken. Under `clean/1` 1, 15, 2, 4, 5 and 13 are train
#: surgeries, 8 is a validation one and 73 a test one, and already the first three cover the three splits.
_CAST = (1, 73, 8, 15, 2, 4, 5, 13)
#: Orders of the small demo, so that it holds each peculiarity of the real orders.
_CAST_ORDERS = {8: "0123546", 4: "123456", 5: "012346", 13: "0123465"}
#: Real surgeries whose phase file has one row more than the rule.
_ONE_ROW_MORE = frozenset({15, 37})
#: Its camera is outside the body, the picture black, for the first seconds.
_BLACK_START = 1
#: Its picture is larger than that of the others, as in a few real surgeries.
_LARGER_PICTURE = 2
_REAL_SURGERIES = 80


@dataclass(frozen=True, slots=True)
class Course:
    """One surgery.

    Attributes:
        number: as in `video07.mp4`.
        phases: index into PHASES for each second; second s is the frames 25*s up to 25*(s+1).
        tools: what is in view at frame 25*s, for each second s.
        black: seconds at the start in which the picture is black.
        frames: of the video, and rows of the phase file.
        size: width and height of the picture.
        rank: position in the order in which surgeries are taken.
    """

    number: int
    phases: tuple[int, ...]
    tools: tuple[frozenset[str], ...]
    black: int
    frames: int
    size: tuple[int, int]
    rank: int

    @property
    def seconds(self) -> int:
        """Length, and rows of the tool file."""
        return len(self.phases)


def courses(surgeries: int, seed: int, seconds: int, size: tuple[int, int]) -> list[Course]:
    """The courses of the first `surgeries` surgeries, in the order in which surgeries are taken.

    Args:
        surgeries: 1 to 80.
        seed: of all draws.
        seconds: mean length; each surgery is up to a twelfth shorter or longer.
        size: width and height of most pictures, even numbers.

    Raises:
        CotgenError: a number out of range.
    """
    if not 1 <= surgeries <= _REAL_SURGERIES:
        raise CotgenError(
            f"A demo has 1 to {_REAL_SURGERIES} surgeries, as many as Cholec80; {surgeries} were asked for."
        )
    if seconds < _SHORTEST:
        raise CotgenError(f"A demo surgery of {seconds} s cannot hold seven phases; ask for {_SHORTEST} s or more.")
    if min(size) < 48 or size[0] % 2 or size[1] % 2:
        raise CotgenError(
            f"A demo picture has an even width and height of 48 or more; {size[0]}x{size[1]} was asked for."
        )
    others = [number for number in range(1, _REAL_SURGERIES + 1) if number not in _CAST]
    return [_course(number, rank, seed, seconds, size) for rank, number in enumerate([*_CAST, *others][:surgeries])]


def _course(number: int, rank: int, seed: int, seconds: int, size: tuple[int, int]) -> Course:
    key = f"video{number:02d}"
    spread = seconds // 12
    length = seconds - spread + draw(seed, key, "length") % (2 * spread + 1)
    if number in _CAST:
        order = _CAST_ORDERS.get(number, "0123456")
    else:
        order = _weighted(_ORDERS, draw(seed, key, "order"))
    phases: list[int] = []
    tools: list[frozenset[str]] = []
    for phase, lasts in _lengths(order, length, seed, key):
        phases += [phase] * lasts
        tools += _tools(phase, lasts, rank, seed, key)
    black = 0
    if number == _BLACK_START:
        black = min(2, phases.count(0) - 1)
        tools[:black] = [frozenset()] * black
    if number == _LARGER_PICTURE:
        size = (size[0] * 9 // 16 * 2, size[1] * 9 // 16 * 2)
    frames = 25 * length + (2 if number in _ONE_ROW_MORE else 1)
    return Course(number, tuple(phases), tuple(tools), black, frames, size, rank)


def _lengths(order: str, seconds: int, seed: int, key: str) -> list[tuple[int, int]]:
    """Phase and its seconds, in order: a few for each, the rest by the real means times a drawn factor of 0.7 to 1.3."""
    present = [int(digit) for digit in order]
    least = max(1, min(4, seconds // 20))
    floors = {phase: least + (phase in (0, 2)) for phase in present}
    weights = {phase: _MEAN_SECONDS[phase] * (700 + draw(seed, key, "weight", str(phase)) % 601) for phase in present}
    rest = seconds - sum(floors.values())
    total = sum(weights.values())
    # Largest remainder, in integers: the parts add up exactly.
    parts = {phase: divmod(rest * weights[phase], total) for phase in present}
    spare = rest - sum(whole for whole, _ in parts.values())
    first = sorted(present, key=lambda phase: (-parts[phase][1], phase))[:spare]
    return [(phase, floors[phase] + parts[phase][0] + (phase in first)) for phase in present]


def _tools(phase: int, seconds: int, rank: int, seed: int, key: str) -> list[frozenset[str]]:
    lengths: list[int] = []
    while (left := seconds - sum(lengths)) > 0:
        wanted = _RUNS[draw(seed, key, "run", str(phase), str(len(lengths))) % len(_RUNS)]
        lengths.append(min(left, wanted, max(1, seconds // 2)))
    offset = draw(seed, "sets", str(phase))
    sets = [
        _weighted(_SETS[phase], (offset + (rank * _STRIDES[phase] + run) * _GOLDEN) % 2**64)
        for run in range(len(lengths))
    ]
    sets = _with_the_usual(sets, phase, rank, offset)
    return [
        frozenset(_LETTERS[letter] for letter in letters)
        for letters, lasts in zip(sets, lengths, strict=True)
        for _ in range(lasts)
    ]


def _with_the_usual(sets: list[str], phase: int, rank: int, offset: int) -> list[str]:
    """The same runs, changed where a tool that each real surgery shows in this phase is in none of them."""
    sets = list(sets)
    groups = _MUST.get(phase, ())
    for place, group in enumerate(groups):
        if any(set(letters) & set(group) for letters in sets):
            continue
        fitting = {letters: n for letters, n in _SETS[phase].items() if set(letters) & set(group)}
        others = [
            i for i, letters in enumerate(sets) if not any(set(letters) & set(g) for g in groups if g is not group)
        ]
        if others:
            sets[others[-1] if place else others[0]] = _weighted(fitting, (offset + rank * _GOLDEN) % 2**64)
    if phase == 2:
        # Clips come before the cut.
        places = [i for i, letters in enumerate(sets) if set(letters) & set("CS")]
        ordered = sorted((sets[i] for i in places), key=lambda letters: "S" in letters)
        for i, letters in zip(places, ordered, strict=True):
            sets[i] = letters
    return sets


def _weighted(weights: dict[str, int], at: int) -> str:
    """The item at this place, 0 up to 2**64, of the cumulated weights."""
    left = at * sum(weights.values()) >> 64
    for item, weight in weights.items():
        left -= weight
        if left < 0:
            return item
    raise AssertionError("the place lies below 2**64")


def runs(course: Course, tool: str) -> list[tuple[int, int]]:
    """The stretches, first second and the one after the last, in which a tool is in view without a break or a new phase."""
    borders = [0, *(s for s in range(1, course.seconds) if course.phases[s] != course.phases[s - 1]), course.seconds]
    found: list[tuple[int, int]] = []
    for start, end in pairwise(borders):
        first = -1
        for second in range(start, end + 1):
            seen = second < end and tool in course.tools[second]
            if seen and first < 0:
                first = second
            elif not seen and first >= 0:
                found.append((first, second))
                first = -1
    return found
