"""Claims: what a sentence says of the frame, taken apart by its words alone.

Who does what to what, where something is, how two things lie or touch, and how many there are. Each claim has the span of
its words, so that a word is left to the general rules only where no claim holds it. Whether a claim is true is for the
checks: here are no facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cotgen.chains.lexicon import Mention
from cotgen.ontology import terms_of

_BOX = re.compile(r"<bbox:([0-9]{1,4})>")
#: Marks of mentions in the coded text, which is as long as the sentence: things, acts, other names, boxes.
_MARK = {"instrument": "¤", "any_instrument": "¤", "anatomy": "¤", "object": "¤", "part": "¤", "act": "¥"}
_CODE = 0xE000
_THING, _BOXED = (rf"{mark}[\ue000-\uf8ff]·*" for mark in "¤£")
_SIDE = "upper|lower|left|right"
_REF = re.compile(
    rf"(?:\b(?P<det>an?|the|its|their|another|one|both|two|three|four|five|part of the|no) )?"
    rf"(?:\b(?P<side>{_SIDE})(?:most)? )?(?P<thing>{_THING})(?: (?P<box>{_BOXED}))?"
    rf"|\b(?P<pro>the (?P<pside>{_SIDE})(?:most)? one|the other(?: one)?|another one|one(?= (?:in|on|at|near|of|£)|,)"
    rf"|it|they|both|the two|all (?:two|three|four|five))\b(?: (?P<pbox>{_BOXED}))?"
)
_STRONG = re.compile(r"[;:]|,? (?:while|whereas|but) ")
_LISTED = re.compile(rf"(?: {_BOXED})?(?:,|,? and) ")
_BE = re.compile(r"\b(?:is|are|was|were|be|being|been)(?: both)? $")
_PARTICIPLE = re.compile(r"(?:ed|cut|held|put)$", re.IGNORECASE)
_NOUN = re.compile(r"(?:tion|suction|clips?|no act)$", re.IGNORECASE)
_PLACE = re.compile(
    r"(?:in the (?P<down>upper|lower)(?: (?P<across>left|right))?|(?:on|in|at) the (?P<side>left|right)(?! (?:¤|one\b|hand))"
    r"|(?:near|in|at) the (?P<mid>cent(?:re|er)|middle))"
    r"(?: (?:part|half|quadrant|side|area|region)\b)?(?: of the (?:field(?: of view)?|picture|view|image)\b)?"
)  # fmt: skip
_RELATION = re.compile(
    r"\b(?:(?P<down>above|below)|(?P<than>higher|lower) than|to the (?P<side>left|right) of|to (?P<poss>its|their) "
    r"(?P<poss_side>left|right)|(?P<touch>touch(?:es|ing)?|in contact with|next to|at the edge of)|"
    r"from the (?P<come>left|right)|(?P<between>between (?:the two|them)))\b(?: in the (?:picture|view|image)\b)?"
)
_THOSE = re.compile(
    rf"of (?P<one>the (?:{_SIDE}) one) (?:are|lie) (?:higher|lower) than those of (?P<other>the (?:{_SIDE}) one)"
)
_COUNT = re.compile(
    rf"\b(?P<number>no|an?|one|two|three|four|five|six|seven|both|the two|the three|another|a second|a third|a single|"
    rf"all two|all three|all four|all five)"
    rf"(?: (?:upper|lower|left|right|other|more|different|visible|further))? (?P<what>{_THING}|structures?\b|acts?\b)"
)
_APART = re.compile(
    r"their centres (?:differ more (?P<more>from side to side than in height|in height than from side to side)|"
    r"lie apart (?P<lie>from side to side|in height))"
)
_RANK = re.compile(
    r"\b(?:is|are) (?:the (?P<height>higher|lower) of the two|further to the (?P<side>left|right)(?! of))\b"
)
_HEIGHTS = {"higher": "above", "lower": "below"}
_AREA = re.compile(
    r"takes? up (?P<than>more|less) than (?P<share>a quarter|a third|half) of the (?:picture|field|view|image)\b"
)
NUMBERS = {
    "no": 0, "a": 1, "an": 1, "one": 1, "a single": 1, "two": 2, "both": 2, "the two": 2, "all two": 2, "three": 3,
    "the three": 3, "all three": 3, "four": 4, "all four": 4, "five": 5, "all five": 5, "six": 6, "seven": 7,
    "another": 2, "a second": 2, "a third": 3,
}  # fmt: skip
SHARES = {"a quarter": (1, 4), "a third": (1, 3), "half": (1, 2)}
BAG = "instrument.specimen_bag"
_PLURAL = frozenset({item.id for item in terms_of("instrument") if item.number == "plural"} | {"instrument.forceps"})


@dataclass(frozen=True, slots=True)
class Ref:
    """A thing as a sentence refers to it.

    Attributes:
        terms: what it may be; several where a pronoun stands for several, none where it stands for nothing known.
        side: `upper`, `lower`, `left` or `right` where one of several is told apart so.
        which: `one`, `another` or `other` where one of several is meant without saying which.
        box: number of the box that follows it, -1 for none.
        start: of its words in the sentence.
        end: of its words, without the box.
        least: how many there must be of it: 2 for "both graspers".
        instrument: whether it is an instrument, or a pronoun that can stand for one.
        pronoun: whether it is one.
    """

    terms: tuple[str, ...]
    start: int
    end: int
    side: str = ""
    which: str = ""
    box: int = -1
    least: int = 1
    instrument: bool = False
    pronoun: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """Who does what to what. Without subjects: an act told as a noun or without who does it."""

    verb: str
    word: str
    subjects: tuple[Ref, ...]
    targets: tuple[Ref, ...]
    start: int
    negated: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where one thing is: `("upper", "left")`, `()` near the centre. `box` -1: of whatever box the thing has."""

    words: tuple[str, ...]
    ref: Ref | None
    box: int


@dataclass(frozen=True, slots=True)
class Relation:
    """How one thing is to another: `left`, `right`, `above`, `below`, `touches`, `between`, or for the parts of two
    instruments `jaws above` and `jaws below`."""

    what: str
    one: Ref
    other: Ref
    third: Ref | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are: of a term, of `instrument`, `structure` or `act`, or `listed` for "all three" of what was named.

    Attributes:
        number: as told.
        what: of what.
        word: the word of the number.
        at_least: whether the word tells one or two apart ("one", "another", "both") and does not count them all.
        listed: for `listed`, what was named.
    """

    number: int
    what: str
    word: str
    at_least: bool = False
    listed: tuple[str, ...] = ()


@dataclass
class Memory:
    """What the sentences before have named, for pronouns."""

    things: tuple[Ref, ...] = ()
    instruments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claims:
    """All claims of one sentence.

    Attributes:
        refs: the things it refers to, left to right, pronouns resolved.
        acts, places, relations, counts: what it says of them.
        apart: `across` or `down` where it compares two centres, with whether it says "more"; ("", False) else.
        rank: (thing, `left`, `right`, `above` or `below`) where it tells how one of the two asked about lies to the other.
        area: (thing, `more` or `less`, share as a fraction) where it tells how much of the picture a thing takes.
        spans: the words that these claims hold.
        sights: (thing, whether it is told as seen; False: as at work).
        boxes: (number, the thing that is named before it).
    """

    refs: tuple[Ref, ...] = ()
    acts: tuple[Act, ...] = ()
    places: tuple[Place, ...] = ()
    relations: tuple[Relation, ...] = ()
    counts: tuple[Count, ...] = ()
    apart: tuple[str, bool] = ("", False)
    rank: tuple[Ref, str] | None = None
    area: tuple[Ref, str, tuple[int, int]] | None = None
    spans: tuple[tuple[int, int], ...] = ()
    sights: tuple[tuple[Ref, bool], ...] = ()
    boxes: tuple[tuple[int, Ref | None], ...] = ()


NO_CLAIMS = Claims()


_SIGHT = re.compile(
    r"\bin view\b|\bvisible\b|\bseen\b|\bmade out\b|\b(?:is|are) (?:also )?(?:there|present)\b|\bthere (?:is|are)\b|"
    r"\blies?\b|\b(?:view|picture|image|field) (?:also )?(?:shows|holds|contains)\b|\bappears?\b|"
    r"\bin the (?:field|picture|image)\b|£"
)
_INVERTED = re.compile(r"there (?:is|are)|shows|holds|contains")
_WORK = re.compile(r"\bat work\b")


def claims(text: str, mentions: Sequence[Mention], memory: Memory) -> Claims:
    """Take one sentence apart.

    Args:
        text: the sentence.
        mentions: what it names, in order.
        memory: what the sentences before have named; this sentence is added to it.
    """
    coded = _code(text, mentions)
    refs = _refs(coded, mentions, memory)
    spans: list[tuple[int, int]] = []
    acts = tuple(_acts(text, coded, mentions, refs))
    places = tuple(_places(coded, refs, spans))
    relations = tuple(_relations(coded, refs, memory, spans))
    counts = (*_counts(coded, mentions, spans), *_listed(coded, refs))
    spans += _own_words(coded, mentions, refs)
    apart = ("", False)
    if match := _APART.search(coded):
        spans.append(match.span())
        told = match["more"] or match["lie"]
        apart = ("across" if told.startswith("from") else "down", bool(match["more"]))
    rank = None
    if match := _RANK.search(coded):
        before = [ref for ref in refs if ref.end <= match.start()]
        if before:
            spans.append(match.span())
            rank = (before[-1], match["side"] or _HEIGHTS[match["height"]])
    area = None
    if match := _AREA.search(coded):
        before = [ref for ref in refs if ref.end <= match.start()]
        if before:
            spans.append(match.span())
            area = (before[-1], match["than"], SHARES[match["share"]])
    boxes = tuple(_boxes(coded, refs))
    found = Claims(
        refs, acts, places, relations, counts, apart, rank, area, tuple(spans), tuple(_sights(coded, refs)), boxes
    )
    named = [ref for ref in refs if not ref.pronoun]
    if named:
        memory.things = tuple(named)
    own = tuple(dict.fromkeys(t for ref in named if ref.instrument for t in ref.terms if t != BAG))
    if own:
        memory.instruments = own
    return found


def _code(text: str, mentions: Sequence[Mention]) -> str:
    """The sentence in lower case with each mention and box as a mark, its number, and dots up to its length."""
    coded = text.lower() if text.isascii() else "".join(map(_plain, text))
    for number, mention in enumerate(mentions):
        mark = _MARK.get(mention.kind, "§")
        code = mark + chr(_CODE + number) + "·" * (mention.end - mention.start - 2)
        coded = coded[: mention.start] + code + coded[mention.end :]
    return _BOX.sub(lambda m: "£" + chr(_CODE + int(m[1])) + "·" * (len(m.group()) - 2), coded)


def _plain(character: str) -> str:
    """A character in lower case; `?` for one that the code uses, or whose lower case is longer than it."""
    lower = character.lower()
    return "?" if len(lower) != 1 or lower in "¤¥£§·" or "\ue000" <= lower <= "\uf8ff" else lower


def _number(code: str | None) -> int:
    return ord(code[1]) - _CODE if code else -1


def _refs(coded: str, mentions: Sequence[Mention], memory: Memory) -> tuple[Ref, ...]:
    found: list[Ref] = []
    for match in _REF.finditer(coded):
        if code := match["thing"]:
            mention = mentions[_number(code)]
            which = match["det"] if match["det"] in ("one", "another") else ""
            instrument = mention.kind in ("instrument", "any_instrument") and mention.term != BAG
            found.append(
                Ref((mention.term,), match.start(), match.end("thing"), match["side"] or "", which, _number(match["box"]),
                    NUMBERS.get(match["det"] or "", 1) if not which else 1, instrument)
            )  # fmt: skip
            continue
        word, side = match["pro"], match["pside"] or ""
        which = "other" if "other" in word else "one" if word == "one" else ""
        terms = _stands_for(word, side, which, found, memory)
        found.append(
            Ref(
                terms,
                match.start(),
                match.end("pro"),
                side,
                which,
                _number(match["pbox"]),
                instrument=_of_instruments(terms),
                pronoun=True,
            )
        )
    return tuple(found)


def _of_instruments(terms: Sequence[str]) -> bool:
    return all(term.startswith("instrument") and term != BAG for term in terms)


def _stands_for(word: str, side: str, which: str, before: Sequence[Ref], memory: Memory) -> tuple[str, ...]:
    """The terms that a pronoun may stand for."""
    own = [term for ref in before if ref.instrument for term in ref.terms if term != BAG]
    if side or which:
        return (own[-1],) if own else memory.instruments[-1:] if memory.instruments else ()
    if word in ("both", "the two") or word.startswith("all "):
        things = [term for ref in before if not ref.pronoun for term in ref.terms]
        things = things or [term for ref in memory.things for term in ref.terms]
        return tuple(dict.fromkeys(things))[-2:] if word in ("both", "the two") else tuple(dict.fromkeys(things))
    if word == "they":
        known = tuple(dict.fromkeys(own)) or memory.instruments
        # Scissors and forceps are plural by name, so "they" beside a grasper is one instrument.
        plural = tuple(id for id in known if id in _PLURAL)
        return plural if len(plural) == 1 else known
    things = [ref.terms[0] for ref in before if ref.terms] or [ref.terms[0] for ref in memory.things[:1] if ref.terms]
    return (things[0],) if things else ()


def _joined(coded: str, refs: Sequence[Ref], last: int, low: int = 0) -> list[Ref]:
    """The list of things that ends with `refs[last]` and begins after `low`: `a hook, a grasper and scissors`."""
    group = [refs[last]]
    for ref in reversed(refs[:last]):
        if ref.pronoun or ref.start < low or not _lists(coded[ref.end : group[0].start]):
            break
        group.insert(0, ref)
    return group


def _joined_after(coded: str, refs: Sequence[Ref], first: int) -> list[Ref]:
    """The list of things that begins with `refs[first]`."""
    group = [refs[first]]
    for ref in refs[first + 1 :]:
        if ref.pronoun or not _lists(coded[group[-1].end : ref.start]):
            break
        group.append(ref)
    return group


def _lists(between: str) -> bool:
    """Whether these words between two things make them items of one list."""
    return bool(_LISTED.fullmatch(between))


def _bounds(coded: str, position: int) -> tuple[int, int]:
    """Start and end of the part of the sentence between strong separators."""
    low, high = 0, len(coded)
    for match in _STRONG.finditer(coded):
        if match.end() <= position:
            low = match.end()
        elif match.start() > position:
            high = match.start()
            break
    return low, high


_CONTINUES = re.compile(r"(?:on traction|retracted|into (?:the|a) .*)$", re.IGNORECASE)


def _acts(text: str, coded: str, mentions: Sequence[Mention], refs: tuple[Ref, ...]) -> Iterator[Act]:
    told = [m for m in mentions if m.kind == "act"]
    main = [
        m for n, m in enumerate(told)
        if not (n and _CONTINUES.fullmatch(text[m.start : m.end]) and told[n - 1].term == m.term)
    ]  # fmt: skip
    previous: Act | None = None
    for n, mention in enumerate(main):
        following = main[n + 1].start if n + 1 < len(main) else len(coded)
        act = _act(text, coded, mention, refs, following, previous)
        yield act
        previous = act
        # "..., the upper one of the bag": the same act by another instrument.
        _, high = _bounds(coded, mention.start)
        for k, ref in enumerate(refs):
            after = mention.end < ref.start < min(high, following)
            if after and ref.instrument and ref.terms and k + 1 < len(refs):
                target = refs[k + 1]
                if not target.instrument and re.fullmatch(r" (?:of|on|at|from) ", coded[ref.end : target.start]):
                    yield replace(act, subjects=(ref,), targets=tuple(_joined_after(coded, refs, k + 1)))


def _act(text: str, coded: str, mention: Mention, refs: tuple[Ref, ...], following: int, previous: Act | None) -> Act:
    start, end, word = mention.start, mention.end, text[mention.start : mention.end]
    low, high = _bounds(coded, start)
    before = [n for n, ref in enumerate(refs) if low <= ref.start and ref.end <= start]
    actors = [n for n in before if refs[n].instrument]
    subjects: list[Ref] = []
    targets: list[Ref] = []
    passive = bool(_BE.search(coded[:start]) and _PARTICIPLE.search(word))
    if passive:
        things = [n for n in before if not refs[n].instrument]
        targets = _joined(coded, refs, things[-1]) if things else []
        by = [
            n
            for n, ref in enumerate(refs)
            if ref.start >= end and re.fullmatch(r"[^¤¥;]* by ", coded[end : ref.start])
        ]
        subjects = _joined_after(coded, refs, by[0]) if by else []
    else:
        if actors:
            subjects = [ref for ref in _joined(coded, refs, actors[-1]) if ref.instrument]
        elif not _NOUN.search(word):
            earlier = [n for n, ref in enumerate(refs) if ref.instrument and ref.end <= start]
            subjects = [refs[earlier[-1]]] if earlier else []
        stop = min(high, following)
        stop = min([stop, *(ref.start for ref in refs if ref.start >= end and ref.instrument)])
        targets = [ref for ref in refs if end <= ref.start < stop and not ref.instrument and not ref.pronoun]
        if not targets and subjects:
            targets = [
                refs[n] for n in before
                if not refs[n].instrument and refs[n].end <= subjects[0].start
                and re.search(r"\b(?:on|at|around|along) $", coded[low : refs[n].start])
                and "¥" not in coded[low : refs[n].start]
            ]  # fmt: skip
    negated = (
        bool(re.search(r"\b(?:no|not|without|never|neither|nor)\b", coded[low:start])) and mention.term != "verb.null"
    )
    return Act(mention.term, word.lower(), tuple(subjects), tuple(targets), start, negated)


def _places(coded: str, refs: tuple[Ref, ...], spans: list[tuple[int, int]]) -> Iterator[Place]:
    free = 0
    for match in _PLACE.finditer(coded):
        low, high = _bounds(coded, match.start())
        low = max(low, free)
        words = tuple(word for word in (match["down"], match["across"] or match["side"]) if word)
        behind = re.match(rf" (?P<box>{_BOXED})", coded[match.end() :])
        box = _number(behind["box"]) if behind else -1
        free = match.end() + (behind.end() if behind else 0)
        spans.append(match.span())
        before = [n for n, ref in enumerate(refs) if low <= ref.start and ref.end <= match.start()]
        if before:
            group = _joined(coded, refs, before[-1])
            for ref in group[:-1]:
                yield Place(words, ref, ref.box)
            yield Place(words, group[-1], box if box >= 0 else group[-1].box)
            continue
        after = [n for n, ref in enumerate(refs) if match.end() <= ref.start < high]
        if not after:
            yield Place(words, None, box)
            continue
        for ref in _joined_after(coded, refs, after[0]):
            yield Place(words, ref, ref.box)


def _relations(coded: str, refs: tuple[Ref, ...], memory: Memory, spans: list[tuple[int, int]]) -> Iterator[Relation]:
    touched: tuple[Ref, Ref] | None = None
    free = 0
    for match in _RELATION.finditer(coded):
        # What one relation ends with does not begin a list that another one starts from.
        low = max(_bounds(coded, match.start())[0], 0 if match["come"] or match["poss"] or match["between"] else free)
        before = [n for n, ref in enumerate(refs) if low <= ref.start and ref.end <= match.start()]
        next_to = [n for n, ref in enumerate(refs) if ref.start == match.end() + 1]
        if match["than"]:
            if those := _THOSE.search(coded):
                sides = [ref for ref in refs if ref.start in (those.start("one"), those.start("other"))]
                if len(sides) == 2:
                    spans.append(match.span())
                    yield Relation("jaws above" if match["than"] == "higher" else "jaws below", sides[0], sides[1])
            continue
        if match["come"]:
            if touched:
                spans.append(match.span())
                yield Relation(match["come"], *touched)
            continue
        if match["between"]:
            pool = [ref for ref in refs if ref.start < low and not ref.pronoun] or list(memory.things)
            pool = [ref for ref in pool if before and ref.terms != refs[before[-1]].terms]
            if not (before and len(pool) >= 2) and before:
                pool = [ref for ref in refs if ref.end <= refs[before[-1]].start and not ref.pronoun]
            if before and len(pool) >= 2:
                spans.append(match.span())
                yield Relation("between", refs[before[-1]], pool[-2], pool[-1])
            continue
        what = match["down"] or match["side"] or match["poss_side"] or "touches"
        if match["poss"]:
            if not before:
                continue
            attached = coded[refs[before[-1]].end : match.start()].strip(" ") == ""
            if attached and len(before) >= 2:
                spans.append(match.span())
                yield Relation(what, refs[before[-1]], refs[before[0]])
            elif not attached and len(before) >= 2:
                spans.append(match.span())
                yield Relation(what, refs[before[0]], refs[before[-1]])
            continue
        if not before:
            continue
        group = _joined(coded, refs, before[-1], low)
        if next_to:
            other = refs[next_to[0]]
            if other.pronoun and not other.side and not other.which:
                known = [ref for ref in refs if ref.end <= group[0].start and not ref.pronoun] or list(
                    memory.things[:1]
                )
                if not known:
                    continue
                other = replace(other, terms=known[0].terms, box=known[0].box)
            spans.append(match.span())
            free = other.end
            for ref in group:
                for term in ref.terms:
                    one = replace(ref, terms=(term,))
                    touched = (one, other)
                    yield Relation(what, one, other)
        elif match["touch"] == "touch" and len(group) >= 2:
            spans.append(match.span())
            touched = (group[-2], group[-1])
            free = match.end()
            yield Relation("touches", group[-2], group[-1])


def _counts(coded: str, mentions: Sequence[Mention], spans: list[tuple[int, int]]) -> Iterator[Count]:
    for match in _COUNT.finditer(coded):
        word, code = match["number"], match["what"]
        if word in ("a", "an", "no") or (word == "both" and coded.startswith(" and ", match.end())):
            continue
        if code.startswith("¤"):
            mention = mentions[_number(code)]
            if mention.kind not in ("instrument", "any_instrument") or mention.term == BAG:
                continue
            what = mention.term
        elif word == "another":
            continue
        else:
            what = code.removesuffix("s")
        spans.append(match.span("number"))
        spans.append(match.span())
        yield Count(NUMBERS[word], what, word, word in ("one", "another", "a second", "a third", "both", "the two"))


def _listed(coded: str, refs: Sequence[Ref]) -> Iterator[Count]:
    for ref in refs:
        word = coded[ref.start : ref.end]
        if ref.pronoun and word in NUMBERS and word.startswith("all "):
            yield Count(NUMBERS[word], "listed", word, False, ref.terms)


def _own_words(coded: str, mentions: Sequence[Mention], refs: Sequence[Ref]) -> Iterator[tuple[int, int]]:
    """Words that belong to a thing or an act: the side that tells it apart, "around" after a dissection, "not acting"."""
    for ref in refs:
        if ref.side:
            yield ref.start, ref.end if ref.pronoun else coded.index(ref.side, ref.start) + len(ref.side)
        elif ref.which and ref.pronoun:
            yield ref.start, ref.end
    for mention in mentions:
        if mention.kind == "act" and mention.term == "verb.dissect":
            if match := re.match(r" (?:at|around|along)\b", coded[mention.end :]):
                yield mention.end, mention.end + match.end()
        elif mention.kind == "act" and mention.term in ("verb.null", "verb.manipulate_tool"):
            yield mention.start, mention.end


def _sights(coded: str, refs: tuple[Ref, ...]) -> Iterator[tuple[Ref, bool]]:
    """Which instruments are told as seen, and which as at work."""
    for pattern, seen in ((_SIGHT, True), (_WORK, False)):
        for match in pattern.finditer(coded):
            low, high = _bounds(coded, match.start())
            before = [n for n, ref in enumerate(refs) if low <= ref.start and ref.end <= match.start()]
            after = [n for n, ref in enumerate(refs) if match.end() <= ref.start < high]
            if before and not _INVERTED.search(match.group()):
                gap = coded[refs[before[-1]].end : match.start()]
                if seen and ("at work" in gap or "¥" in gap):
                    continue
                # "..., on which they work, are in view": not they are.
                if refs[before[-1]].pronoun and "," in gap:
                    continue
                group = _joined(coded, refs, before[-1])
            elif after and (_INVERTED.search(match.group()) or not before):
                group = _joined_after(coded, refs, after[0])
            else:
                continue
            yield from ((ref, seen) for ref in group if ref.instrument)


def _boxes(coded: str, refs: tuple[Ref, ...]) -> Iterator[tuple[int, Ref | None]]:
    """Each box with the thing that it belongs to: the last one named before it."""
    for match in re.finditer(_BOXED, coded):
        before = [ref for ref in refs if ref.end <= match.start()]
        yield _number(match.group()), before[-1] if before else None
