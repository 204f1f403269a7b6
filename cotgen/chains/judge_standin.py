"""A judge without a model, for stub servers: it reads the prompt of a request as far as closed forms can be read.

Of looks it says yes, as the most compliant model does, but to those that hold a word it was told to doubt. An answer is read
from the observations with the words of the lexicon: instruments and structures that are named and not denied, acts, boxes.
A phase is the most frequent one of the train surgeries where it is given their statistics, so it recovers what
`strong` and `weak` promise. Of masked observations it knows nothing and gives the first answer of the list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cotgen.chains.lexicon import mentions
from cotgen.chains.reading import Reading, read
from cotgen.chains.render import ParsedChain, split_sentences
from cotgen.ontology import term
from cotgen.surgeries.priors import PHASE_BY_SET, PHASE_BY_STEP, PHASE_BY_TRIPLET, Priors, given_set, given_triplet
from cotgen.tasks.answers import in_order
from cotgen.tasks.boxes import NOT_VISIBLE
from cotgen.tasks.position import OPTIONS

_LINE = re.compile(r"^(V\d+) (.*)$", re.MULTILINE)
_PARTS = re.compile(r"OBSERVATIONS\n(.*)\n\nQUESTION\n(.*)\n\nFORM OF THE ANSWER\n(.*)", re.DOTALL)
_BOX = re.compile(r"\[\d+, \d+, \d+, \d+\]")
_MASK = re.compile(r"\[[a-z]+\]|^\(none\)")
_DIRECTIONS = tuple(f"D. {name}" for name in OPTIONS)
#: What stands before the thing that another is seen from.
_FROM = re.compile(r"(?:from|relative to|compared with) the $", re.IGNORECASE)


class StandInJudge:
    """Answers the requests of `cotgen.chains.judge` from their text, always the same to the same text.

    Args:
        priors: statistics of the train surgeries, for phases; without them a phase is "unclear".
        doubts: a look that holds one of these words is not seen.
    """

    def __init__(self, priors: Priors | None = None, doubts: Sequence[str] = ()) -> None:
        self._priors = priors
        self._doubts = tuple(word.lower() for word in doubts)

    def reply(self, system: str, user: str) -> dict[str, Any] | None:
        """The JSON that a judge would reply to these two messages; None where they are no judge's request."""
        if "\n\nSTATEMENTS\n" in user:
            listed = _LINE.findall(user.partition("\n\nSTATEMENTS\n")[2])
            return {
                code: "no" if any(word in text.lower() for word in self._doubts) else "yes" for code, text in listed
            }
        parts = _PARTS.fullmatch(user)
        if parts is None:
            return None
        answer = self._answer(*parts.groups())
        if "up to three answers" in system:
            return {"answers": [answer or _first(parts[2], parts[3])]}
        return {"answer": answer or "unclear"}

    def _answer(self, observed: str, question: str, how: str) -> str:
        """The answer as read; "" where it cannot be."""
        if _MASK.search(observed):
            return ""
        boxes = _BOX.findall(observed)
        numbered = re.sub(_BOX, lambda match: f"<bbox:{boxes.index(match.group())}>", observed)
        lines = re.findall(r"^Level ([12]): ?(.*)$", numbered, re.MULTILINE)
        chain = ParsedChain(tuple((int(level), text) for level, line in lines for text in split_sentences(line)), "")
        readings = [reading for reading in read(chain) if not reading.general]
        first = [reading for reading in readings if reading.level == 1]
        instruments = in_order(id for reading in first for id in reading.named("instrument"))
        if how.startswith("Yes or No"):
            return _yes_or_no(readings, question)
        if how.startswith("A number"):
            kinds = [id for id in instruments if id != "instrument.specimen_bag"]
            return str(len(kinds) if "kind" in question else sum(len(r.claims.boxes) for r in first))
        if how.startswith("Its box"):
            asked = [m.term for m in mentions(question)]
            found = [boxes[n] for r in first for n, ref in r.claims.boxes if ref and set(ref.terms) & set(asked)]
            return "\n".join(dict.fromkeys(found)) or NOT_VISIBLE
        if how.startswith("A line for each instrument:"):
            rows = [(ref.terms[0], boxes[n]) for r in first for n, ref in r.claims.boxes if ref and ref.terms]
            return "\n".join(f"{_word(id)} {box}" for id, box in dict.fromkeys(rows))
        if how.startswith("One a line"):
            structures = in_order(id for r in first for id in r.named("anatomy"))
            listed = structures if "cystic duct" in how and "grasper" not in how else instruments
            return "\n".join(term(id).answer for id in listed) or "none"
        if how.startswith(("instrument, action", "A line for each:", "One action", "One target")):
            return _acts(readings, question, how)
        if question.endswith(_DIRECTIONS):
            return _direction(first, [tuple(map(int, re.findall(r"\d+", box))) for box in boxes], question)
        return self._phase(readings, instruments)

    def _phase(self, readings: Sequence[Reading], instruments: Sequence[str]) -> str:
        """The phase that goes with what is told most often."""
        if self._priors is None:
            return ""
        given = [(PHASE_BY_SET, given_set(instruments))]
        given += [(PHASE_BY_TRIPLET, given_triplet(act)) for reading in readings for act in _triplets(reading)]
        acts = [reading.closed.terms for reading in readings if reading.closed and reading.closed.kind == "act"]
        given += [(PHASE_BY_STEP, id) for terms in acts for id in terms]
        best = (0.0, "")
        for table, key in given:
            row = self._priors.tables.get(table, {}).get(key, {})
            total = sum(entry[0] for entry in row.values())
            best = max([best, *((entry[0] / total, name) for name, entry in sorted(row.items()) if total)])
        return term(best[1]).answer if best[1] else ""


def _yes_or_no(readings: Sequence[Reading], question: str) -> str:
    """Yes where all that the question names is asserted; of the camera and the field, what a closed sentence says."""
    for reading in readings:
        if reading.closed is not None and reading.closed.kind in ("camera", "no_field"):
            return "Yes" if reading.closed.value == 1 else "No"
    asked = {m.term for m in mentions(question) if m.kind in ("instrument", "anatomy")}
    verbs = {m.term for m in mentions(question) if m.kind == "act" and m.term.startswith("verb.")}
    if verbs:
        told = [set(act) for reading in readings for act in _triplets(reading)]
        return "Yes" if any(asked | verbs <= act for act in told) else "No"
    said = {id for reading in readings for kind in ("instrument", "anatomy") for id in reading.named(kind)}
    if not asked:
        return "No" if any("black" in reading.text for reading in readings) else "Yes"
    return "Yes" if asked <= said else "No"


def _direction(first: Sequence[Reading], boxes: Sequence[tuple[int, ...]], question: str) -> str:
    """Where one thing is as seen from the other, by the centres of their boxes."""
    centres = {
        ref.terms[0]: (boxes[n][0] + boxes[n][2], boxes[n][1] + boxes[n][3])
        for reading in first
        for n, ref in reading.claims.boxes
        if ref and ref.terms
    }
    text = question.partition("\n")[0]
    base = [m.term for m in mentions(text) if _FROM.search(text[: m.start])]
    other = [m.term for m in mentions(text) if m.term not in base]
    if not {*base[:1], *other[:1]} <= set(centres) or not base or not other:
        return ""
    across, down = (a - b for a, b in zip(centres[other[0]], centres[base[0]], strict=True))
    if abs(across) > abs(down):
        return "left" if across < 0 else "right"
    return "above" if down < 0 else "below"


def _triplets(reading: Reading) -> list[tuple[str, str, str]]:
    found = []
    for act in reading.claims.acts:
        for subject in () if act.negated else act.subjects:
            for target in act.targets:
                if subject.terms and target.terms:
                    found.append((subject.terms[0], act.verb, target.terms[0]))
            if subject.terms and not act.targets:
                # EndoVis 2018 knows one target, which need not be said.
                target_id = "anatomy.null" if act.verb == "verb.null" else "anatomy.kidney"
                found.append((subject.terms[0], act.verb, target_id))
    return found


def _acts(readings: Sequence[Reading], question: str, how: str) -> str:
    told = list(dict.fromkeys(act for reading in readings for act in _triplets(reading)))
    if how.startswith("A line"):
        return "\n".join(", ".join(map(_word, act)) for act in told if act[1] != "verb.null") or "none"
    asked = {m.term for m in mentions(question) if m.kind == "instrument"}
    own = next((act for act in told if act[0] in asked), None)
    if own is None:
        return ""
    if how.startswith("instrument"):
        return ", ".join(map(_word, own))
    return _word(own[1] if how.startswith("One action") else own[2])


def _word(id: str) -> str:
    return term(id).answer


def _first(question: str, how: str) -> str:
    """The first answer of the list that is offered."""
    options = re.findall(r"^A\. (.*)$", question, re.MULTILINE)
    listed = re.search(r"of: ([^,.]+)", how)
    return options[0] if options else listed[1] if listed else "1" if how.startswith("A number") else "Yes"
