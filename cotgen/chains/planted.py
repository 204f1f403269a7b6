"""Errors planted in the replies of the stand-in, to see whether the checks refuse them.

Each kind is one function that makes a right reply wrong in one way; where it does not apply, another kind is planted, so
that the rate holds. What was planted is known afterwards. Nothing here is taken from the checks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import orjson

from cotgen.chains.grammar import IS_NOT_THERE, IS_THERE, NUMBER_WORDS
from cotgen.chains.plans import bypass
from cotgen.chains.plans.boxes import NOTHING_TO_MARK, RELATION
from cotgen.chains.plans.cvs import BY_VOTES
from cotgen.chains.stand_in import Told, inserted, told_by, write
from cotgen.draws import draw, shuffled
from cotgen.errors import CotgenError
from cotgen.models.stub import Asked
from cotgen.ontology import term, terms_of
from cotgen.records import Fact

Rows: TypeAlias = list[dict[str, Any]]


@dataclass(frozen=True)
class _Plant:
    """A right reply, and a number to draw from."""

    told: Told
    rows: Rows
    number: int

    def one(self, options: Sequence[str]) -> str:
        return options[self.number % len(options)]

    def with_text(self, at: int, text: str, codes: Sequence[str] | None = None) -> Rows:
        """The rows with another text, and other codes where given, for one of them."""
        row = {**self.rows[at], "text": text}
        return [*self.rows[:at], row if codes is None else {**row, "from": list(codes)}, *self.rows[at + 1 :]]

    def with_row(self, level: int, text: str, *codes: str) -> Rows:
        """The rows with one more."""
        return inserted(self.rows, {"level": level, "text": text, "from": list(codes)})

    def claims(self, *levels: int) -> list[int]:
        """Rows that tell a fact."""
        return [
            n for n, row in enumerate(self.rows)
            if row["level"] in (levels or (1, 2, 3)) and row["from"] and all(code[0] == "F" for code in row["from"])
        ]  # fmt: skip

    def facts(self, *kinds: str) -> list[Fact]:
        """The facts of these kinds, those of the closed vocabularies alone."""
        return [
            fact for fact in self.told.scene.facts if fact.kind in kinds and fact.terms[0] != "instrument.unnamed"
        ]  # fmt: skip

    def code(self, fact: Fact) -> str:
        return self.told.code[f"fact:{fact.id}"]

    @property
    def any_fact(self) -> str:
        """A code to rest a sentence on, of a fact where there is one."""
        return next(iter(self.told.of("F")), next(iter(self.told.lines), "S1"))

    @property
    def terms(self) -> set[str]:
        return {id for fact in self.told.scene.facts for id in fact.terms}


def _the(fact: Fact) -> tuple[str, str]:
    """`the hook`, `is`."""
    item = term(fact.terms[0])
    return f"the {item.name}", "are" if item.number == "plural" else "is"


def _hallucination(p: _Plant) -> Rows | None:
    """An instrument, a structure or an act that no fact names."""
    tools = [id for id in ("instrument.hook", "instrument.irrigator", "instrument.clipper") if id not in p.terms]
    structures = [id for id in ("anatomy.liver", "anatomy.omentum", "anatomy.cystic_artery") if id not in p.terms]
    if p.told.task in ("field_visible", "camera"):
        structures = []
    options = [(1, f"{term(id).phrase[:1].upper()}{term(id).phrase[1:]} is in view.") for id in tools]
    options += [(1, f"The {term(id).name} is in view.") for id in structures]
    options += [(2, f"The {term(id).name} is coagulating the {term(other).name}.")
                for id in tools for other in structures]  # fmt: skip
    if not options:
        return None
    level, text = options[p.number % len(options)]
    return p.with_row(level, text, p.any_fact)


def _wrong_answer(p: _Plant) -> Rows | None:
    """Level 3 concludes something else than the answer."""
    at = max((n for n, row in enumerate(p.rows) if row["level"] == 3 and row["from"][0][0] in "SF"), default=-1)
    text = _another_end(p, p.rows[at]["text"]) if at >= 0 else ""
    return p.with_text(at, text) if text and text != p.rows[at]["text"] else None


def _another_end(p: _Plant, text: str) -> str:
    task, answer = p.told.task, p.told.answer
    if task in ("phase", "step"):
        others = [
            item for item in terms_of(task)
            if item.id not in p.told.scene.terms(task) and p.told.scene.says(task) in item.aliases
        ]  # fmt: skip
        if not others:
            return ""
        name = p.one([item.name for item in others])
        return f"The step shown is the {name}." if task == "step" else f"This view belongs to {name}."
    if task == "action":
        return p.one([s for item in terms_of("action") for s in item.acts if s not in _own_acts(p)])
    if task == "position":
        own = dict(RELATION)
        words = {"left": "right", "right": "left", "above": "below", "below": "above"}
        turned = words[answer[0]]
        return re.sub(rf"\b{answer[0]}\b", turned, text) if answer[0] in own else ""
    if task in ("tool_count", "count", "anatomy"):
        found = re.search(rf"\b({'|'.join(NUMBER_WORDS)})\b", text, re.IGNORECASE)
        if found is None:
            return ""
        other = NUMBER_WORDS[(NUMBER_WORDS.index(found[1].lower()) + 1 + p.number % 3) % 8]
        other = other.capitalize() if found[1][0].isupper() else other
        return text[: found.start()] + other + text[found.end() :]
    if task == "tool_yesno":
        shapes = IS_NOT_THERE if answer == ("Yes",) else IS_THERE
        named = re.search(r"(grasper|hook|scissors|clip applier|bipolar forceps|irrigator|specimen bag)", text)
        return "" if named is None else _agreeing(shapes[p.number % len(shapes)], named[1])
    if task == "triplet" and answer in (("Yes",), ("No",)):
        return "That is not the act asked about." if answer == ("Yes",) else "So the act asked about is going on."
    if task == "triplet" and (
        found := re.search(r"\b(retracting|grasping|dissecting at|cutting|coagulating)\b", text)
    ):
        return text.replace(found[1], "coagulating" if found[1] != "coagulating" else "retracting")
    if task == "cvs":
        if re.search(r"\b(?:is|thus) (?:thus )?not (?:met|achieved)\b", text):
            return re.sub(r" not (met|achieved)", r" \1", text)
        if re.search(r"\b(?:is|thus) (?:met|achieved)\b", text):
            return re.sub(r" (met|achieved)( in)", r" not \1\2", text)
        for _, shapes in BY_VOTES:
            if text in shapes:
                return shapes[(shapes.index(text) + 1 + p.number % 3) % 4]
    if task == "camera":
        return bypass.READABLE[0] if answer == ("No",) else bypass.NOTHING_TO_READ[0]
    if task == "localization" and "nothing to mark" not in text:
        return NOTHING_TO_MARK[0].format(thing="structure")
    return ""


def _own_acts(p: _Plant) -> tuple[str, ...]:
    return tuple(s for id in p.told.scene.terms("action") for s in term(id).acts)


def _agreeing(shape: str, name: str) -> str:
    many = name.endswith(("scissors", "forceps"))
    a = name if many else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
    return shape.format(a=a, A=a[:1].upper() + a[1:], bare=name, **{"is": "are" if many else "is"})


def _leak(p: _Plant) -> Rows | None:
    """The answer stands before level 3."""
    if p.told.task not in ("phase", "step", "action", "cvs", "count", "tool_count", "position"):
        return None
    ends = [row for row in p.rows if row["level"] == 3 and row["from"][0][0] in "SF"]
    if not ends:
        return None
    codes = [code for code in ends[-1]["from"] if code[0] == "F"] or [p.any_fact]
    level = 1 + p.number % 2
    text = ends[-1]["text"]
    if p.told.task == "phase":
        name = p.told.answer[0]
        text = p.one((text, f"The view is of {name[:1].lower()}{name[1:]}.", f"{name} is under way."))
    return p.with_row(level, text, *codes)


def _leak_phrase(p: _Plant) -> Rows | None:
    """Words that tell of labels, or of an answer that was given."""
    leads = ("According to the annotation, ", "As labelled, ", "By the ground truth, ", "Since the answer is given, ")
    at = p.number % len(p.rows)
    text = p.rows[at]["text"]
    return p.with_text(at, p.one(leads) + text[:1].lower() + text[1:])


def _purpose(p: _Plant) -> Rows | None:
    """Why something is done, or how well."""
    ends = (" to expose the triangle.", ", carefully.", " in order to gain access.", " with good traction.")
    own = p.claims(1, 2) or p.claims()
    if not own:
        return None
    at = own[p.number % len(own)]
    return p.with_text(at, p.rows[at]["text"].removesuffix(".") + p.one(ends))


def _completeness(p: _Plant) -> Rows | None:
    """That there is nothing else, where nobody outlined everything."""
    if p.told.of("A") or p.told.scene.says("instrument") in ("endovis17", "endovis18"):
        return None
    return p.with_row(1, p.one(("Nothing else is in view.", "No other instrument is in view.")), p.any_fact)


_OPPOSITE = {
    "on the left": "on the right",
    "on the right": "on the left",
    "upper part": "lower part",
    "lower part": "upper part",
    "upper left": "lower right",
    "upper right": "lower left",
    "lower left": "upper right",
    "lower right": "upper left",
    "near the centre of the field": "on the left",
}


def _wrong_place(p: _Plant) -> Rows | None:
    """A thing lies elsewhere than its box."""
    for at, row in enumerate(p.rows):
        found = re.search("|".join(_OPPOSITE), row["text"])
        if row["level"] == 1 and found and "<bbox:" in row["text"]:
            return p.with_text(at, row["text"].replace(found.group(), _OPPOSITE[found.group()], 1))
    return None


def _wrong_evidence(p: _Plant) -> Rows | None:
    """A code that does not carry the sentence."""
    if len(known := list(p.told.of("K"))) > 1 and p.number % 4 == 0:
        for at, row in enumerate(p.rows):
            if row["from"][0] in known:
                return p.with_text(at, row["text"], [known[known.index(row["from"][0]) - 1]])
    bag = {"instrument.specimen_bag", "anatomy.specimen_bag"}
    for at in p.claims(1, 2):
        cited = {id for fact in p.told.scene.facts if p.code(fact) in p.rows[at]["from"] for id in fact.terms}
        # A bag is one thing, whether it is in view or acted on.
        cited |= bag if cited & bag else set()
        others = [p.code(fact) for fact in p.told.scene.facts if not cited & set(fact.terms)]
        if others:
            return p.with_text(at, p.rows[at]["text"], [p.one(others)])
    return None


def _unknown_code(p: _Plant) -> Rows | None:
    """A code that was not given."""
    at = p.number % len(p.rows)
    return p.with_text(at, p.rows[at]["text"], [*p.rows[at]["from"], p.one(("F99", "X1", "K77", "S99"))])


def _colour(p: _Plant) -> Rows | None:
    """A colour that the pixels do not bear out."""
    found = p.facts("instrument", "triplet", "anatomy")
    if not found:
        return None
    fact = found[p.number % len(found)]
    the, are = _the(fact)
    text = f"{the.capitalize()} {are} {p.one(('green', 'bluish', 'purple'))}."
    return p.with_row(1, _sentence(text), p.code(fact), "visual")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _visual_act(p: _Plant) -> Rows | None:
    """An act told as a look."""
    found = p.facts("instrument", "triplet", "anatomy", "object")
    if not found:
        return None
    fact = found[p.number % len(found)]
    the, are = _the(fact)
    ends = ("cutting fat", "being pulled upwards", "well exposed", "under tension")
    return p.with_row(1, _sentence(f"{the} {are} {p.one(ends)}."), p.code(fact), "visual")


def _knowledge_claim(p: _Plant) -> Rows | None:
    """A sentence from knowledge that speaks of this picture."""
    if not (codes := list(p.told.of("K"))):
        return None
    code = codes[p.number % len(codes)]
    text = p.told.lines[code].removesuffix(".")
    ends = (", as it does here.", ", as in this view.", ", and so it is in this picture.")
    return p.with_row(2, text + p.one(ends), code)


def _tense(p: _Plant) -> Rows | None:
    """An act told as done or to come."""
    found = p.facts("instrument", "triplet", "anatomy", "object")
    if not found:
        return None
    fact = found[p.number % len(found)]
    the, are = _the(fact)
    has = "have" if are == "are" else "has"
    ends = (f"{has} been moved", f"{has} cut the tissue", "will be moved", f"{are} still in view")
    return p.with_row(1 + p.number % 2, _sentence(f"{the} {p.one(ends)}."), p.code(fact))


def _count(p: _Plant) -> Rows | None:
    """A wrong number of things."""
    found = p.facts("instrument", "triplet", "anatomy", "object")
    if not found:
        return None
    fact = found[p.number % len(found)]
    item = term(fact.terms[0])
    many = max(2, sum(other.terms[0] == item.id for other in found) + 1 + p.number % 2)
    plural = item.plural or (item.name if item.number == "plural" else f"{item.name}s")
    return p.with_row(1, _sentence(f"{NUMBER_WORDS[min(many, 7)]} {plural} are in view."), p.code(fact))


#: Name of each kind of planted error -> what plants it, None where it does not apply to a reply.
KINDS: Mapping[str, Callable[[_Plant], Rows | None]] = {
    "hallucination": _hallucination,
    "wrong_answer": _wrong_answer,
    "leak": _leak,
    "leak_phrase": _leak_phrase,
    "purpose": _purpose,
    "completeness": _completeness,
    "wrong_place": _wrong_place,
    "wrong_evidence": _wrong_evidence,
    "unknown_code": _unknown_code,
    "colour": _colour,
    "visual_act": _visual_act,
    "knowledge_claim": _knowledge_claim,
    "tense": _tense,
    "count": _count,
}


class Planted:
    """The stand-in with errors planted in a share of its replies; a reply function for `StubServer`.

    Whether and what is planted is drawn from the text of the request, its seed, and how often it was asked again with
    findings: the same request gets the same reply, whatever the connection did to an earlier one.

    Args:
        rates: share of replies that get each kind of `KINDS`; the sum is at most 1.
        seed: of the draws.
        stubborn: asked again, the same error is planted again; else it is drawn anew.
        log: a file to which a line of JSON is added for each reply: key, attempt, kinds, text. None for no file.

    Attributes:
        planted: key of a request -> the kinds that were planted in its reply.

    Raises:
        CotgenError: a kind is not known, the rates are no shares, or the file cannot be written.
    """

    def __init__(
        self, rates: Mapping[str, float], seed: int = 0, *, stubborn: bool = False, log: Path | None = None
    ) -> None:
        if unknown := sorted(set(rates) - set(KINDS)):
            raise CotgenError(f"No error '{unknown[0]}' can be planted; these can: {', '.join(KINDS)}.")
        if any(rate < 0 for rate in rates.values()) or sum(rates.values()) > 1 + 1e-9:
            raise CotgenError("The rates of planted errors are shares: from 0 to 1, and 1 at most together.")
        if log is not None:
            try:
                log.touch()
            except OSError as error:
                raise CotgenError(f"{log} cannot be written ({error.strerror}); choose another file.") from error
        self.planted: dict[str, list[str]] = {}
        self._rates, self._seed, self._stubborn, self._log = dict(rates), seed, stubborn, log
        self._lock = Lock()

    def __call__(self, asked: Asked) -> dict[str, Any]:
        """The reply to a request, with or without an error."""
        told = told_by(asked)
        rows, kind = self._with_error(told, write(told), asked)
        reply = {"statements": rows}
        kinds = [kind] if kind else []
        with self._lock:
            if kinds:
                self.planted[asked.key] = kinds
            if self._log is not None:
                line = {"key": asked.key, "attempt": asked.attempt, "planted": kinds, "reply": reply}
                with self._log.open("ab") as file:
                    file.write(orjson.dumps(line, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))
        return reply

    def _with_error(self, told: Told, rows: Rows, asked: Asked) -> tuple[Rows, str]:
        names = [
            hashlib.blake2b(next((text for role, text in asked.turns if role == "user"), "").encode()).hexdigest()
        ]
        if not self._stubborn:
            names += [str(asked.body.get("seed") or 0), str(told.asked_before), str(asked.sample)]
        kind = self._drawn(names)
        if not kind:
            return rows, ""
        # Where it does not apply, another one, those that are asked for first.
        others = shuffled(self._seed, list(KINDS), "other", *names)
        for name in (kind, *sorted(others, key=lambda other: other not in self._rates)):
            wrong = KINDS[name](_Plant(told, rows, draw(self._seed, "plant", name, *names) >> 8))
            if wrong is not None:
                return wrong, name
        return rows, ""

    def _drawn(self, names: Sequence[str]) -> str:
        at = draw(self._seed, "planted", *names) / 2**64
        for name in sorted(self._rates):
            at -= self._rates[name]
            if at < 0:
                return name
        return ""
