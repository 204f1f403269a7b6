"""A stand-in for a teacher: it answers a request from the request's own text, in the chains that the checks accept.

Docs and tests build with it where there is no model. It sees what a model would see and nothing else: the coded lines,
the question and the answer are read from the prompt, things and places are made of their names, and level 1 is written
from what is there, level 2 from what is done, measured or known, level 3 from the statistics as they are given and the
answer. Without a picture it draws its looks (smoke, a shiny hook) from the seed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from cotgen.chains.closed import CRITERIA
from cotgen.chains.grammar import (
    ASSERTED,
    BLACK,
    EXCEPTION,
    IS_NOT_THERE,
    IS_THERE,
    LIT,
    NONE,
    NONE_COUNTED,
    NONE_NAMED,
    NOT,
    NOTHING_TO_RELATE,
    NUMBER_WORDS,
    STRONG,
    WEAK,
    Composer,
    capital,
    fill,
    listed,
)
from cotgen.chains.lexicon import HEADS, mentions
from cotgen.chains.places import PLACES
from cotgen.chains.plans import action, boxes, bypass, context, cvs, triplet
from cotgen.chains.plans.cvs import lie
from cotgen.chains.plans.words import Seen, acts, boxed_instruments, instruments, see, slots
from cotgen.chains.teacher import rules
from cotgen.draws import draw
from cotgen.models.stub import Asked, ReplyFunction
from cotgen.ontology import term, terms_of
from cotgen.ontology.terms import KINDS
from cotgen.records import Context, Fact, Scene
from cotgen.tasks import TASKS
from cotgen.tasks.base import Question

#: Operation -> the data set that is taken to label it; only its words for acts depend on this.
_SOURCE = {
    "cholecystectomy": "cholect50",
    "gastric bypass": "multibypass140",
    "prostatectomy": "sar_rarp50",
    "robotic surgery": "endovis17",
    "nephrectomy": "endovis18",
}
_BAG = "instrument.specimen_bag"
#: Side of the field in which boxes are made up, and how far off the middle line one is that has a side: more than the
#: dead zone, and less than what lets two boxes be compared unless they are on opposite sides.
_FIELD, _OFF = 1000, 110
_LINE = re.compile(r"^([FNAMCKP]\d+) (.+)$", re.MULTILINE)
_FRAME = re.compile(r"^NOW THIS FRAME \(([a-z ]+), ", re.MULTILINE)
_BOXED = re.compile(r";\s*box(?: \([^)]*\))? <bbox:(\d+)>(?:, (.+))?$")
_VOTES = re.compile(r"^(.+), (\d) of three$")
_BEFORE = re.compile(r"^([\d.]+) s before: (.+)$")
_CITED = re.compile(r"^S(\d+)$")
_FREQUENT = re.compile(r"\b(almost always|typically|often|sometimes|rarely)\b")
#: Of a statistic about exactly what levels 1 and 2 show; one about a single instrument of several carries less.
_WHOLE = re.compile(r"\b(?:alone|together|without)\b|^(?:Work of this kind|Such work|This kind of work)\b")
#: One reply in so many tells how something looks.
_LOOKS_ONE_IN = 4
_LOOKS = ("The {0} {1} shiny.", "The surface of the {0} is glistening.", "The {0} {1} slightly out of focus.")
_OVER_ALL = (
    "Smoke is seen in the field.",
    "The picture is slightly blurred.",
    "A light reflection is seen in the field.",
)


@dataclass(frozen=True)
class Told:
    """What a request tells.

    Attributes:
        task: name of the task, by the wording of the question; "" where it is none that is known.
        slots: what stands in the question for the names that its wording leaves open.
        question: the first line of the question.
        answer: the lines of the answer.
        scene: the facts, with boxes made up where their places say.
        boxes: the made-up boxes, as `<bbox:n>` counts them.
        code: id of a fact, or `context:N/ID` -> its code in the prompt.
        lines: code -> text of all lines.
        seed: of the draws: the request's, and how often it was asked before.
        asked_before: how many replies were refused.
        pictured: whether looks may be told, which the rules say.
    """

    task: str
    slots: Mapping[str, str]
    question: str
    answer: tuple[str, ...]
    scene: Scene
    boxes: tuple[tuple[int, ...], ...]
    code: Mapping[str, str]
    lines: Mapping[str, str]
    seed: int
    asked_before: int
    pictured: bool = True

    def of(self, letter: str) -> dict[str, str]:
        """The lines with codes of one letter."""
        return {code: text for code, text in self.lines.items() if code[0] == letter}


def reply(asked: Asked) -> dict[str, Any]:
    """The JSON of a reply: a chain that rests on the lines of the request alone. Deterministic in the request's body."""
    return {"statements": write(told_by(asked))}


def answering(teacher: ReplyFunction = reply, other: ReplyFunction | None = None) -> ReplyFunction:
    """A reply function for a server that is asked several things.

    Args:
        teacher: answers what is asked with the rules of the teacher.
        other: answers what is asked with another system prompt, as a judge is; `teacher` where it is None.
    """

    def answer(asked: Asked) -> Mapping[str, Any] | str:
        system = next((text for role, text in asked.turns if role == "system"), "")
        return teacher(asked) if other is None or system.strip() in (rules(True), rules(False)) else other(asked)

    return answer


def told_by(asked: Asked) -> Told:
    """What a request tells, read from its first turn of the user; later turns only change the draws."""
    turns = asked.turns
    user = next((text for role, text in turns if role == "user"), "")
    before = sum(role == "assistant" for role, _ in turns)
    seed = draw(int(asked.body.get("seed") or 0), "stand-in", str(before), str(asked.sample)) % 2**31
    blind = any(role == "system" and text.strip() == rules(False) for role, text in turns)
    return replace(read(user, seed, before), pictured=not blind)


def read(user: str, seed: int = 0, asked_before: int = 0) -> Told:
    """What the text of a request tells."""
    head, _, tail = user.rpartition("\nQUESTION\n")
    asked, _, answer = tail.partition("\nANSWER\n")
    shown = head[max(head.rfind("\nFACTS"), 0) :]
    lines = {code: text.strip() for code, text in _LINE.findall(shown)}
    frames = _FRAME.findall(head)
    procedure = frames[-1] if frames else "cholecystectomy"
    source = _SOURCE.get(procedure, "table")
    boxes = _boxes(lines)
    facts, code = _facts(lines, source, boxes)
    contexts = _contexts(lines, source, code)
    kinds = {f"{source}.{kind}" for kind in ("instrument", "triplet", "anatomy", "view", *(f.kind for f in facts))}
    key = hashlib.blake2b(user.encode(), digest_size=8).hexdigest()
    scene = Scene(
        key, f"{source}/0", 0, frozenset(kinds), tuple(facts), procedure=procedure.replace(" ", "_"),
        size=(_FIELD, _FIELD), context=tuple(contexts),
    )  # fmt: skip
    question = asked.strip().partition("\n")[0]
    answers = tuple(part.strip() for part in answer.strip().split(" | "))
    task, named = _task_of(question, procedure, scene, answers)
    return Told(task, named, question, answers, scene, boxes, code, lines, seed, asked_before)


def _boxes(lines: Mapping[str, str]) -> tuple[tuple[int, ...], ...]:
    """A box for each `<bbox:n>`, where the lines say that it is."""
    places = {int(match[1]): match[2] for text in lines.values() if (match := _BOXED.search(text))}
    return tuple(_made_up(n, places.get(n)) for n in range(max(places, default=-1) + 1))


def _facts(
    lines: Mapping[str, str], source: str, boxes: Sequence[tuple[int, ...]]
) -> tuple[list[Fact], dict[str, str]]:
    facts: list[Fact] = []
    code: dict[str, str] = {}
    for name, line in lines.items():
        kind, _, text = line.partition(": ")
        if name[0] != "F" or not text:
            continue
        boxed = _BOXED.search(text)
        text = _BOXED.sub("", text).removesuffix(", in view")
        value = 1.0
        if kind == "act":
            kind, terms = "triplet", _act(text, source)
        elif kind == "critical view":
            votes = _VOTES.match(text)
            terms = [_term("cvs", votes[1])] if votes else []
            value = int(votes[2]) / 3 if votes else 0.0
            kind = "cvs" if terms and terms[0] in CRITERIA else "cvs_overall"
        else:
            terms = [_term(kind, text)] if kind in KINDS else []
        if terms and all(terms):
            id = f"{source}.{kind}.{len(facts)}"
            box = list(boxes[int(boxed[1])]) if boxed else []
            facts.append(Fact(id=id, kind=kind, terms=terms, box=box, value=value, source=source))
            code[f"fact:{id}"] = name
    return facts, code


def _contexts(lines: Mapping[str, str], source: str, code: dict[str, str]) -> list[Context]:
    """The earlier instants, one for each offset, and their codes."""
    instants: dict[str, list[tuple[str, Fact]]] = {}
    for name, line in lines.items():
        match = _BEFORE.match(line)
        if name[0] == "C" and match and all(terms := _act(match[2], source)):
            fact = Fact(id=f"{source}.triplet.{len(code)}{len(instants)}", kind="triplet", terms=terms, source=source)
            instants.setdefault(match[1], []).append((name, fact))
    found = []
    for number, (offset, rows) in enumerate(instants.items()):
        code |= {f"context:{number}/{fact.id}": name for name, fact in rows}
        found.append(Context(offset_s=-float(offset), facts=[fact for _, fact in rows]))
    return found


@cache
def _named(kind: str) -> Mapping[str, str]:
    return {item.name: item.id for item in reversed(terms_of(kind))}


def _term(kind: str, name: str) -> str:
    return _named(kind).get(name.strip(), "")


def _act(text: str, source: str) -> list[str]:
    """The terms of `hook, dissect, gallbladder` or `hook, idle`."""
    names = text.split(", ")
    if len(names) != 3:
        return [_term("instrument", names[0]), "verb.null", "anatomy.null"]
    verbs = {item.name: item.id for item in terms_of("verb") if source in item.aliases}
    return [
        _term("instrument", names[0]), verbs.get(names[1]) or _term("verb", names[1]), _term("anatomy", names[2])
    ]  # fmt: skip


def _made_up(number: int, where: str | None) -> tuple[int, ...]:
    """A box of its own for each number, at the place that is told; one too large to have a place where none is."""
    spot = next((words for words, text in PLACES.items() if text == where), None)
    half = 20 + number if spot is not None else 300 + number
    x = _FIELD // 2 + _OFF * (("right" in (spot or ())) - ("left" in (spot or ())))
    y = _FIELD // 2 + _OFF * (("lower" in (spot or ())) - ("upper" in (spot or ())))
    return x - half, y - half, x + half, y + half


#: Kinds of fact that a frame may have none of and still be asked about.
_MAY_BE_NONE = frozenset({"instrument", "triplet", "anatomy", "view"})
#: Slots of wordings that agree with what is asked about.
_AGREES = {"is": "(?:is|are)", "does": "(?:does|do)", "it": r"\w+", "its": r"\w+", "one": r"[\w ]{1,30}?"}


@cache
def _wordings() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """(task, pattern) for each wording, the longest first, with a group for each name that it leaves open."""
    found = []
    for name, task in TASKS.items():
        for wording in task.wordings:
            seen: set[str] = set()
            parts = []
            for n, part in enumerate(re.split(r"\{(\w+)\}", wording)):
                slot = part.lower()
                if n % 2 == 0:
                    parts.append(re.escape(part))
                elif slot in _AGREES:
                    parts.append(_AGREES[slot])
                elif slot in seen:
                    parts.append(".{1,40}?")
                else:
                    seen.add(slot)
                    parts.append(f"(?P<{slot}>.{{1,90}}?)")
            found.append((len(wording), name, re.compile("".join(parts), re.IGNORECASE)))
    return tuple((name, pattern) for _, name, pattern in sorted(found, key=lambda item: (-item[0], item[1])))


def _task_of(question: str, procedure: str, scene: Scene, answers: Sequence[str]) -> tuple[str, Mapping[str, str]]:
    """The task by its wording; where no wording fits, the kind of fact whose answer name is the answer."""
    for kind in ("phase", "step", "action"):
        said = {term(id).answer for id in scene.terms(kind)}
        if said & set(answers) and re.search(rf"\b(?:{kind}|stage)s?\b", question, re.IGNORECASE):
            return kind, {}
    wanted = question.replace(f"laparoscopic {procedure}", "cholecystectomy").replace(procedure, "cholecystectomy")
    labelled = {fact.kind for fact in scene.facts}
    fitting = []
    for task, pattern in _wordings():
        if match := pattern.fullmatch(question) or pattern.fullmatch(wanted):
            fits = set(TASKS[task].kinds) - _MAY_BE_NONE <= labelled
            if act := match.groupdict().get("act"):
                fits = fits and any(mention.kind == "act" for mention in mentions(act))
            # Of several wordings the one that leaves least open.
            fitting.append((not fits, sum(len(text or "") for text in match.groups()), task, match.groupdict()))
    return min(fitting, key=lambda item: item[:3])[2:] if fitting else ("", {})


@dataclass
class _Writer(Composer):
    """Draws and rows of one reply; what sentences rest on is told by codes."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    codes: Mapping[str, str] = field(default_factory=dict)

    def add(self, level: int, text: str, basis: str, evidence: Sequence[str]) -> int:
        """Write a sentence; `evidence` has codes, or what stands for one. The basis is left to who reads the codes."""
        own = []
        for ref in evidence:
            form, _, target = ref.partition(":")
            if form == "statement":
                own.append(f"S{int(target) + 1}")
            elif ref in self.codes:
                own.append(self.codes[ref])
            elif not target:
                own.append(ref)
        self.rows.append({"level": level, "text": text, "from": list(dict.fromkeys(own)) or ["F1"]})
        return len(self.rows) - 1

    def told(self, level: int, code: str, text: str) -> int:
        """A line of the prompt as a sentence."""
        return self.add(level, text.partition(": ")[2] if code[0] in "MP" else text, "", [code])


def write(told: Told) -> list[dict[str, Any]]:
    """The rows of a reply."""
    plan = _PLANS.get(told.task, _plain)
    try:
        c: _Writer | None = _written(plan, told)
    except (LookupError, ValueError):
        c = None  # the request lacks what its question is about
    if c is None or {row["level"] for row in c.rows} != {1, 2, 3}:
        c = _written(_plain, told)
    return _with_look(c, told)


def _written(plan: Callable[[_Writer, Told], None], told: Told) -> _Writer:
    asked = Question("asked", told.task, told.question, (), "\n".join(told.answer), ())
    c = _Writer(told.scene, asked, None, told.seed, boxes=[list(box) for box in told.boxes], codes=told.code)
    plan(c, told)
    return c


def _with_look(c: _Writer, told: Told) -> list[dict[str, Any]]:
    """The rows, in some replies with a sentence on how something looks at the end of level 1."""
    # Nothing is seen in a black picture or from outside the body.
    blind = told.task in ("camera", "field_visible") and told.answer == ("No",)
    if not told.pictured or told.asked_before or blind or draw(told.seed, "look", told.scene.key) % _LOOKS_ONE_IN:
        return c.rows
    shown = {code for row in c.rows if row["level"] == 1 for code in row["from"]}
    things = [
        fact for fact in told.scene.facts
        if fact.kind in ("instrument", "anatomy") and c.codes[f"fact:{fact.id}"] in shown
        and fact.terms[0] != "instrument.unnamed"
    ]  # fmt: skip
    text, codes = c.pick("look:all", _OVER_ALL), ["visual"]
    if things and c.pick("look:what", ["thing", "all"]) == "thing":
        thing = c.order("look:thing", things)[0]
        words = slots(c, thing.terms[0])
        text = c.pick("look:thing", _LOOKS).format(words["bare"], words["is"])
        codes = [c.codes[f"fact:{thing.id}"], "visual"]
    return inserted(c.rows, {"level": 1, "text": text, "from": codes})


def inserted(rows: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows with one more at the end of its level; the numbers of sentences in `from` follow."""
    at = sum(other["level"] <= row["level"] for other in rows)
    moved = [{**other, "from": [_moved(code, at) for code in other["from"]]} for other in rows]
    return [*moved[:at], dict(row), *moved[at:]]


def _moved(code: str, at: int) -> str:
    match = _CITED.match(code)
    return f"S{int(match[1]) + 1}" if match and int(match[1]) > at else code


def _not_there(told: Told, *names: str) -> list[str]:
    """Codes of the lines that say that something is not there, of `names` where given."""
    lines = told.of("N").items()
    return [code for code, text in lines if not names or text.removeprefix("not there: ") in names]


def _measured(c: _Writer, told: Told) -> list[int]:
    """Level 2: what was measured, as it is given."""
    lines = list(told.of("M").items())
    return [c.told(2, *line) for line in lines]


def _known(c: _Writer, told: Told, level: int, ids: Iterable[str] = ()) -> int | None:
    """A piece of the knowledge given that names one of `ids` and no phase, step or criterion; None where there is none."""
    wanted = set(ids)
    found = []
    for code, text in told.of("K").items():
        said = mentions(text)
        if any(m.kind in ("phase", "locus", "step", "action", "cvs") for m in said):
            continue
        if any(row["text"] == text for row in c.rows) or (wanted and not wanted & {m.term for m in said}):
            continue
        found.append(code)
    return c.told(level, code := c.pick(f"know:{level}", found), told.lines[code]) if found else None


def _things_measured(told: Told) -> set[str]:
    """The terms that the measured lines name."""
    said = [m for text in told.of("M").values() for m in mentions(text)]
    return {"instrument.unnamed" if m.kind == "any_instrument" else m.term for m in said}


def _phase(c: _Writer, told: Told) -> None:
    done = told.scene.of_kind("triplet")
    steps = told.scene.of_kind("step")
    earlier = None
    if done:
        shown = see(c, instruments(c))
        shown += acts(c, done)
        earlier = context.before(c)
    elif steps:
        shown = [_inside(c, told)]
        shown.append(c.add(2, c.pick("act", term(steps[0].terms[0]).acts), "", [f"fact:{steps[0].id}"]))
    else:
        shown = _presence_shown(c, told)
        _use(c, told, shown)
    if earlier is not None and earlier[1]:
        context.passed(c, earlier[0])
    fact = told.scene.of_kind("phase")[0]
    strength, grounds = "none", []
    for code, text in told.of("P").items():
        number = c.told(3, code, text)
        strength = max(strength, _strength(c.rows[number]["text"], fact.terms[0]), key=_STRENGTHS.index)
        grounds.append(number)
    # A second try claims less.
    if told.asked_before:
        strength = "none"
    shapes = {"weak": WEAK, "other": EXCEPTION, "strong": STRONG}.get(strength, ASSERTED)
    text = fill(c.pick("conclude", shapes), phase=c.phase_name(fact.terms[0], "conclude"))
    follows = [f"statement:{n}" for n in (*shown, *grounds)] if strength in ("weak", "strong") else []
    c.add(3, text, "", [*follows, f"fact:{fact.id}"])


#: Of a statistic for a phase: nothing, it points to another phase, it makes it likely, it decides.
_STRENGTHS = ("none", "other", "weak", "strong")


def _strength(text: str, phase: str) -> str:
    """How far a statistic carries a phase, of `_STRENGTHS`."""
    said = mentions(text)
    # What is rarely seen at another time, and acts, whose statistic is about just that act.
    outside = bool(re.search(r"\brarely\b.*\b(?:other|outside)\b", text))
    whole = bool(_WHOLE.search(text)) or not any(mention.kind == "instrument" for mention in said)
    best = "none"
    for mention in said:
        words = _FREQUENT.findall(text[: mention.start])
        usual = bool(words) and words[-1] in ("almost always", "typically", "often")
        if mention.kind != "phase" or not (usual or outside):
            continue
        own = "strong" if whole and words[-1:] == ["almost always"] else "weak"
        best = max(best, own if mention.term == phase else "other", key=_STRENGTHS.index)
    return best


def _inside(c: _Writer, told: Told) -> int:
    return c.add(1, c.pick("inside", bypass.INSIDE), "", _not_there(told))


def _step(c: _Writer, told: Told) -> None:
    own, phases = told.scene.of_kind("step")[0], told.scene.of_kind("phase")
    _inside(c, told)
    for fact in phases[:1]:
        c.add(2, c.pick("site", term(fact.terms[0]).acts), "", [f"fact:{fact.id}"])
    name = term(own.terms[0]).name
    text = fill(c.pick("step", bypass.STEP_SHOWN), step=name if name == "adhesiolysis" else f"the {name}")
    c.add(3, text, "", [f"fact:{own.id}"])


def _camera(c: _Writer, told: Told) -> None:
    if outside := told.scene.of_kind("view"):
        c.add(1, c.pick("outside", bypass.OUTSIDE), "", [f"fact:{outside[0].id}"])
        c.add(2, c.pick("nothing", bypass.NO_FIELD), "", ["S1"])
        c.add(3, c.pick("close", bypass.NOTHING_TO_READ), "", ["S1"])
        return
    first, second = bypass.CAMERA_FIRST if c.pick("first", ["camera", "view"]) == "camera" else bypass.VIEW_FIRST
    c.add(1, first, "", _not_there(told))
    c.add(2, second, "", ["S1"])
    c.add(3, c.pick("close", bypass.READABLE), "", ["S1"])


def _action(c: _Writer, told: Told) -> None:
    own = told.scene.of_kind("action")[0]
    first = _things_measured(told)
    things = sorted(c.order("things", told.scene.of_kind("object")), key=lambda fact: fact.terms[0] not in first)
    things = things[: max(2, len([fact for fact in things if fact.terms[0] in first]))]
    shown = [lie(c, fact) for fact in things if fact.box]
    if plain := [fact for fact in things if not fact.box]:
        names = listed([slots(c, fact.terms[0])["a"] for fact in plain])
        verb = slots(c, plain[0].terms[0])["is"] if len(plain) == 1 else "are"
        shown.append(c.add(1, f"{capital(names)} {verb} in view.", "", [f"fact:{fact.id}" for fact in plain]))
    if not _measured(c, told) and _known(c, told, 2) is None:
        c.add(2, fill(c.pick("alone", action.ALONE), the=slots(c, things[0].terms[0])["the"]), "", ["S1"])
    said = term(own.terms[0]).acts
    text = said[-1] if any(fact.terms[0] == "object.thread" for fact in things) else said[0]
    if own.terms[0] != "action.other" and c.pick("lead", ["yes", "no"]) == "yes":
        text = f"At this moment {text[:1].lower()}{text[1:]}"
    c.add(3, text, "", [f"fact:{own.id}"])


def _presence_shown(c: _Writer, told: Told) -> list[int]:
    """Level 1: the instruments listed as in view, or that there is none."""
    facts = [fact for fact in told.scene.of_kind("instrument") if not fact.box]
    if facts:
        return c.show("show", c.order("order", facts))
    return [c.add(1, c.pick("none", NONE), "", _not_there(told))]


def _use(c: _Writer, told: Told, shown: Sequence[int]) -> None:
    """Level 2: what instruments in view serve for, or that there is none to relate."""
    ids = told.scene.terms("instrument")
    if not ids or _known(c, told, 2, ids) is None:
        c.add(2, c.pick("nothing", NOTHING_TO_RELATE[:1]), "", [f"statement:{shown[0]}"])


def _kinds(c: _Writer, told: Told) -> None:
    """The kinds in view, named or counted."""
    shown = _presence_shown(c, told)
    _use(c, told, shown)
    counting = told.task == "tool_count"
    facts = sorted(told.scene.of_kind("instrument"), key=lambda fact: term(fact.terms[0]).order)
    if counting:
        facts = [fact for fact in facts if fact.terms[0] != _BAG]
    cited = [f"statement:{n}" for n in shown]
    every = [*told.of("A"), *_not_there(told)]
    if c.pick("more", ["yes", "no"]) == "yes":
        _known(c, told, 3, told.scene.terms("instrument"))
    if not facts:
        c.add(3, c.pick("close", NONE_COUNTED if counting else NONE_NAMED), "", [*cited, *every])
        return
    names = [c.words(fact.terms[0])["bare"] for fact in facts]
    number, kinds = NUMBER_WORDS[len(names)], "kind" if len(names) == 1 else "kinds"
    are = "are" if len(names) > 1 or c.words(facts[0].terms[0])["is"] == "are" else "is"
    one = c.words(facts[0].terms[0])["a"] if len(names) == 1 else listed(names)
    text = f"That makes {number} {kinds}, {one}." if counting else f"So {one} {are} to be named."
    # Whether a bag is there as well is cited with the others, so that these are all.
    c.add(3, text, "", [*cited, *(f"fact:{fact.id}" for fact in facts), *every])


def _tool_yesno(c: _Writer, told: Told) -> None:
    subject = _subject(told, "instrument")
    words = c.words(subject)
    own = [fact for fact in told.scene.of_kind("instrument") if fact.terms[0] == subject]
    others = [fact for fact in told.scene.of_kind("instrument") if fact.terms[0] != subject]
    shown = c.show("show", c.order("order", [*own, *others])) if own or others else []
    absent = _not_there(told, term(subject).name)
    if not own:
        shown.append(c.add(1, fill(c.pick("not", NOT), **words), "", absent))
    if _known(c, told, 2, told.scene.terms("instrument")) is None:
        c.add(2, NOTHING_TO_RELATE[0], "", [f"statement:{shown[0]}"])
    refs = [f"statement:{n}" for n in shown]
    refs += [f"fact:{own[0].id}"] if own else absent
    c.add(3, fill(c.pick("close", IS_THERE if own else IS_NOT_THERE), **words), "", refs)


def _subject(told: Told, *kinds: str) -> str:
    """The first thing of these kinds that the question names."""
    for text in (*told.slots.values(), told.question):
        for mention in mentions(text or ""):
            if mention.kind in kinds:
                there = {id for fact in told.scene.facts for id in fact.terms}
                own = [id for id in _shared(mention.term) if id in there]
                return own[0] if own else _shared(mention.term)[0]
    return "instrument.unnamed"


def _shared(id: str) -> tuple[str, ...]:
    return HEADS.get(id, (id,))


def _field(c: _Writer, told: Told) -> None:
    shapes = LIT if told.answer == ("Yes",) else BLACK
    for line in list(told.of("M").items())[:1]:
        c.told(1, *line)
    c.add(2, c.pick("level2", shapes[1]), "", ["S1"])
    c.add(3, c.pick("level3", shapes[2]), "", ["S1"])


def _acts(c: _Writer, told: Told) -> None:
    """Questions about acts: the set, what one instrument does, yes or no."""
    facts = told.scene.of_kind("triplet")
    if not facts:
        c.add(1, triplet.NO_WORK[0], "", _not_there(told))
        c.add(2, c.pick("none:2", triplet.NO_STRUCTURE), "", ["S1"])
        c.add(3, c.pick("none:3", triplet.NOTHING_DONE), "", ["S1", *_not_there(told)])
        return
    yesno = told.answer in (("Yes",), ("No",))
    if not yesno and told.of("A") and "the" not in told.slots:
        _every_act(c, told, facts)
        return
    subject = _subject(told, "instrument")
    own = [fact for fact in facts if fact.terms[0] == subject]
    see(c, [item for item in instruments(c, first=subject) if item.id == subject])
    said = acts(c, own)
    cited = [*(f"statement:{n}" for n in said), *(f"fact:{fact.id}" for fact in own)]
    if yesno:
        c.add(3, triplet.asked_about(c, own, yes=told.answer == ("Yes",)), "", [*cited, *told.of("A")])
        return
    text = triplet.conclusion(c, own[0], " ".join(c.rows[n]["text"] for n in said), "")
    c.add(3, text, "", cited)


def _every_act(c: _Writer, told: Told, facts: Sequence[Fact]) -> None:
    see(c, instruments(c))
    said = acts(c, facts)
    states = facts[0].source == "endovis18"
    named = {tuple(fact.terms) for fact in facts if states or fact.terms[1] != "verb.null"}
    cited = [*(f"statement:{n}" for n in said), *(f"fact:{fact.id}" for fact in facts), *told.of("A")]
    if states or not named:
        text = c.pick("close", triplet.EVERY_STATE if states else triplet.NOTHING_DONE)
    else:
        one = len(named) == 1
        number = NUMBER_WORDS[min(len(named), 7)]
        words = {"acts": "act" if one else "acts", "is": "is" if one else "are"}
        text = fill(c.pick("close", triplet.ACTS_TO_NAME), number=number, **words)
    c.add(3, text, "", cited)


def _structures(c: _Writer, told: Told) -> None:
    """Levels 1 and 2 of questions about structures: where they lie, and one thing measured or known of them."""
    things = c.order("things", told.scene.of_kind("anatomy"))
    first = _things_measured(told)
    if told.task != "anatomy":
        things = sorted(things, key=lambda fact: fact.terms[0] not in first)[:4]
    for fact in things:
        if fact.box:
            lie(c, fact)
        else:
            words = slots(c, fact.terms[0])
            c.add(1, f"{capital(words['a'])} {words['is']} in view.", "", [f"fact:{fact.id}"])
    if not things:
        none = cvs.NO_STRUCTURE if told.task == "anatomy" else cvs.NO_GALLBLADDER
        c.add(1, none[0], "", _not_there(told))
        c.add(2, cvs.NOTHING_RELATED[0], "", ["S1"])
    elif not _measured(c, told) and _known(c, told, 2, [fact.terms[0] for fact in things]) is None:
        c.add(2, boxes.NOTHING_ELSE[0], "", ["S1"])


def _safety(c: _Writer, told: Told) -> None:
    _structures(c, told)
    by_votes = dict(cvs.BY_VOTES)
    facts = {fact.terms[0]: fact for fact in told.scene.of_kind("cvs")}
    if told.answer in (("Yes",), ("No",)):
        asked = _criterion_asked(told.question)
        fact = facts[asked]
        number = c.add(3, by_votes[asked][cvs.votes(fact)], "", [f"fact:{fact.id}"])
        if cvs.votes(fact) in (1, 2):
            closing = cvs.CRITERION_MET if told.answer == ("Yes",) else cvs.CRITERION_NOT_MET
            c.add(3, c.pick("close", closing), "", [f"statement:{number}", f"fact:{fact.id}"])
        return
    said = []
    for fact in c.order("criteria", list(facts.values())):
        said.append(c.add(3, by_votes[fact.terms[0]][cvs.votes(fact)], "", [f"fact:{fact.id}"]))
    whole = [line for line in told.answer if line.startswith("critical view:")]
    if not whole:
        return
    overall = [f"fact:{fact.id}" for fact in told.scene.of_kind("cvs_overall")]
    met = sum(cvs.votes(fact) >= 2 for fact in facts.values())
    missed = "not achieved" in whole[0]
    shapes: tuple[str, ...] = cvs.NOT_ACHIEVED[met] if missed else cvs.ACHIEVED
    # That none has all three does not follow from the criteria one by one.
    cited = [] if missed and met == len(CRITERIA) else [f"statement:{n}" for n in said]
    c.add(3, c.pick("overall", shapes), "", [*cited, *overall])


def _criterion_asked(question: str) -> str:
    words = {"two structures": CRITERIA[0], "triangle": CRITERIA[1]}
    return next((id for word, id in words.items() if word in question.lower()), CRITERIA[2])


def _anatomy(c: _Writer, told: Told) -> None:
    _structures(c, told)
    shown = [f"statement:{n}" for n, row in enumerate(c.rows) if row["level"] == 1]
    facts = told.scene.of_kind("anatomy")
    kinds = told.scene.terms("anatomy")
    if not facts:
        c.add(3, cvs.NONE_TO_NAME[0], "", [*shown, *_not_there(told)])
        return
    one = len(kinds) == 1
    text = fill(
        c.pick("close", cvs.TO_NAME), number=NUMBER_WORDS[len(kinds)],
        structures="structure" if one else "structures", are="is" if one else "are",
    )  # fmt: skip
    c.add(3, text, "", [*shown, *(f"fact:{fact.id}" for fact in facts), *told.of("A")])


def _boxed_facts(c: _Writer) -> list[Fact]:
    return [*(fact for fact in c.scene.of_kind("anatomy") if fact.box), *boxed_instruments(c)]


def _show_boxed(c: _Writer, facts: Sequence[Fact]) -> list[int]:
    """Level 1: things with their boxes; several of a kind of instrument in one sentence or one after the other."""
    tools = [
        fact for fact in facts if fact.terms[0].startswith("instrument.") and fact.terms[0] != "instrument.unnamed"
    ]
    shown = [lie(c, fact) for fact in facts if fact not in tools]
    return [*see(c, [Seen(fact.terms[0], fact, "box") for fact in tools]), *shown]


def _localization(c: _Writer, told: Told) -> None:
    every = not ({"the", "every"} & set(told.slots))
    if every:
        _every_box(c, told)
        return
    subject = _subject(told, "instrument", "anatomy")
    own = [fact for fact in _boxed_facts(c) if fact.terms[0] == subject]
    named = _things_measured(told)
    others = [fact for fact in _boxed_facts(c) if fact.terms[0] != subject and fact.terms[0] in named]
    absent = _not_there(told, term(subject).name)
    kind = "instrument" if subject.startswith("instrument.") else "structure"
    words = slots(c, subject)
    shown = _show_boxed(c, own)
    _show_boxed(c, others)
    if not own:
        shapes = boxes.NOT_IN_VIEW if kind == "instrument" else boxes.NOT_IDENTIFIED
        shown = [c.add(1, fill(c.pick("denial", shapes), **words), "", absent)]
    doing = [fact for fact in told.scene.of_kind("triplet") if fact.terms[0] == subject]
    if not _measured(c, told):
        if doing:
            acts(c, doing)
        elif _known(c, told, 2, [subject]) is None:
            _alone(c, told, own, shown)
    cited = [f"statement:{n}" for n in shown]
    if not own:
        c.add(3, fill(c.pick("close", boxes.NOTHING_TO_MARK), thing=kind), "", [*cited, *absent])
    else:
        c.add(3, boxes.marked(c, own, words), "", cited)


def _alone(c: _Writer, told: Told, own: Sequence[Fact], shown: Sequence[int]) -> None:
    """Level 2: that there is nothing to relate something to."""
    whole = told.scene.of_kind("instrument")
    one_kind = len(own) > 1 and {fact.terms[0] for fact in whole} == {own[0].terms[0]}
    shapes = boxes.OF_ONE_KIND if one_kind else boxes.NOTHING_ELSE
    c.add(2, c.pick("alone", shapes), "", [f"statement:{n}" for n in shown])


def _every_box(c: _Writer, told: Told) -> None:
    facts = boxed_instruments(c)
    if not facts:
        c.add(1, boxes.NO_INSTRUMENT[0], "", _not_there(told))
        c.add(2, boxes.NOTHING_TO_RELATE[0], "", ["S1"])
        c.add(3, boxes.NOTHING_TO_COUNT[0], "", ["S1", *_not_there(told)])
        return
    shown = _show_boxed(c, c.order("order", facts))
    done = told.scene.of_kind("triplet")
    if not _measured(c, told):
        if done:
            acts(c, done)
        elif _known(c, told, 2, [fact.terms[0] for fact in facts]) is None:
            if len(facts) == 1:
                c.add(2, boxes.ALONE[0], "", ["S1"])
            else:
                _alone(c, told, facts, shown)
    one = len(facts) == 1
    text = fill(
        c.pick("close", boxes.ALL_COUNTED if told.task == "count" else boxes.ALL_MARKED),
        number=NUMBER_WORDS[min(len(facts), 7)], things="instrument" if one else "instruments",
        are="is" if one else "are",
    )  # fmt: skip
    c.add(3, text, "", [*(f"statement:{n}" for n in shown), *(f"fact:{fact.id}" for fact in facts), *told.of("A")])


def _position(c: _Writer, told: Told) -> None:
    pair = []
    for slot in ("a", "b"):
        said = [m.term for m in mentions(told.slots.get(slot) or "") if m.kind in ("instrument", "anatomy", "object")]
        ids = [id for name in said for id in _shared(name)]
        pair += [fact for fact in _all_boxed(c) if fact.terms[0] in ids][:1]
    shown = [lie(c, fact) for fact in c.order("shown", pair)]
    shown += _measured(c, told)
    the, other = (slots(c, fact.terms[0]) for fact in pair)  # two, or the question names what is not there
    relation = dict(boxes.RELATION)[told.answer[0]]
    c.add(3, fill(c.pick("close", relation), **the, the_b=other["the"]), "", [f"statement:{n}" for n in shown])


def _all_boxed(c: _Writer) -> list[Fact]:
    return [*_boxed_facts(c), *(fact for fact in c.scene.of_kind("object") if fact.box)]


def _plain(c: _Writer, told: Told) -> None:
    """A question in words that are not known: what is there, and the answer as it is given."""
    shown = _show_boxed(c, _boxed_facts(c)) or _presence_shown(c, told)
    if not _measured(c, told) and _known(c, told, 2) is None:
        _alone(c, told, (), shown)
    c.add(3, f"So this is {', '.join(told.answer).lower()}.", "", [f"statement:{n}" for n in shown])


_PLANS: dict[str, Callable[[_Writer, Told], None]] = {
    "phase": _phase,
    "step": _step,
    "camera": _camera,
    "action": _action,
    "tool_presence": _kinds,
    "tool_count": _kinds,
    "tool_yesno": _tool_yesno,
    "field_visible": _field,
    "triplet": _acts,
    "cvs": _safety,
    "anatomy": _anatomy,
    "localization": _localization,
    "count": _every_box,
    "position": _position,
}
