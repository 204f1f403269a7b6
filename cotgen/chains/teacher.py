"""The teacher writer: what a model is asked, and what its reply becomes.

The prompt lists the facts of the frame, what may be said besides, the question and its answer; each line has a code,
and the reply names for each sentence the codes that it rests on. So a reply becomes a chain with evidence, which is then
checked like any other. Nothing here talks to a server.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml
from pydantic import ValidationError

from cotgen.chains.checks import case_of
from cotgen.chains.checks.base import support_of
from cotgen.chains.checks.evidence import basis_of
from cotgen.chains.places import PLACES, field_of, place
from cotgen.chains.render import question_text, split_sentences
from cotgen.chains.visual import colours
from cotgen.errors import CotgenError
from cotgen.ontology import term
from cotgen.ontology.knowledge import entries
from cotgen.records import Fact, Finding, Pair, Scene, Statement, canonical_json
from cotgen.surgeries.priors import Priors
from cotgen.tasks.base import Question

#: Raised with the prompt, which is a file named after it.
PROMPT_VERSION = 1
PROMPT = f"teacher-{PROMPT_VERSION}.md"
#: Worked chains shown with a request.
EXAMPLES_SHOWN = 2
#: Knowledge offered with a request.
KNOWLEDGE_OFFERED = 8
LONGEST_SENTENCE = 400
_BOX = re.compile(r"<bbox:(\d+)>")
#: Begins the evidence of a line that stands for a box of the picture, whatever its number in a pair.
_AT = "box at "
#: Passages of the prompt that hold with a picture, or without one.
_PASSAGES = re.compile(r"<(picture|no picture)>(.*?)</\1>", re.DOTALL)
_SENTENCE_REF = re.compile(r"^S(\d{1,3})$")

#: What may stand under "from": a server that holds the schema cannot write another thing.
_CODES = "^([FNAMCKPS][0-9]{1,2}|visual)$"

#: JSON schema of a reply, for `response_format`.
REPLY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["statements"],
    "properties": {
        "statements": {
            "type": "array",
            "minItems": 3,
            "maxItems": 12,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["level", "text", "from"],
                "properties": {
                    "level": {"type": "integer", "enum": [1, 2, 3]},
                    "text": {"type": "string", "maxLength": LONGEST_SENTENCE},
                    "from": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 12,
                        "items": {"type": "string", "pattern": _CODES},
                    },
                },
            },
        }
    },
}


class ReplyError(CotgenError):
    """A reply that is no chain: not the JSON that was asked for, or codes that were not given.

    Attributes:
        about: what is wrong, to count by: `shape`, `levels`, `sentence`, `codes`, `boxes`.
    """

    def __init__(self, message: str, about: str = "shape") -> None:
        self.about = about
        super().__init__(message)


@dataclass(frozen=True)
class Draft:
    """One request to a teacher, before it is sent.

    Attributes:
        scene: the facts of the frame.
        question: what is asked.
        system: the rules.
        user: the facts, the question, the answer, and worked chains.
        pool: code of a line -> the evidence that it stands for.
        boxes: the boxes that `<bbox:n>` of the prompt counts; those of the answer first.
        pictured: whether the picture is sent as well; without it nothing may be told of how it looks.
    """

    scene: Scene
    question: Question
    system: str
    user: str
    pool: Mapping[str, tuple[str, ...]]
    boxes: tuple[tuple[int, ...], ...]
    pictured: bool = True

    def key(self, **request: Any) -> str:
        """sha256 of all that the reply depends on; `request` adds pixels, target size, model, sampling and seed.

        Never the encoded picture, the endpoint or the key: another server of the same model is the same teacher.
        """
        parts = {
            "facts": [fact.model_dump() for fact in self.scene.facts],
            "labelled": sorted(self.scene.labelled),
            "task": self.question.task,
            "id": self.question.id,
            "question": self.question.text,
            "options": list(self.question.options),
            "answer": self.question.answer,
            "prompt": [self.system, self.user],
            "schema": REPLY_SCHEMA,
            **request,
        }
        return hashlib.sha256(canonical_json(parts)).hexdigest()


@dataclass
class _Lines:
    """The coded lines of a prompt."""

    pool: dict[str, tuple[str, ...]] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    boxes: list[tuple[int, ...]] = field(default_factory=list)

    def add(self, letter: str, text: str, evidence: Iterable[str]) -> None:
        code = f"{letter}{1 + sum(name[0] == letter for name in self.pool)}"
        self.pool[code] = tuple(evidence)
        self.text.append(f"{code} {text}")

    def box(self, box: Sequence[int]) -> str:
        if tuple(box) not in self.boxes:
            self.boxes.append(tuple(box))
        return f"<bbox:{self.boxes.index(tuple(box))}>"


def draft(scene: Scene, question: Question, template: Pair | None, pictured: bool = True) -> Draft:
    """The request for one question.

    Args:
        scene: the facts of the frame.
        question: what is asked.
        template: the template chain of the same question, whose denials, measurements and statistics are offered as well;
            None where there is none.
        pictured: whether the picture will be sent.
    """
    lines = _Lines(boxes=[tuple(box) for box in question.boxes])
    for fact in _facts(scene):
        lines.add("F", _told(scene, fact, lines), [f"fact:{fact.id}"])
    seconds = [
        (number, context.offset_s, fact)
        for number, context in enumerate(scene.context)
        for fact in context.facts
        if fact.kind == "triplet" and fact.source == scene.says("triplet")
    ]
    for number, offset, fact in seconds if question.id.endswith(".context") else ():
        names = ", ".join(term(id).name for id in fact.terms)
        lines.add("C", f"{-offset:g} s before: {names}", [f"context:{number}/{fact.id}"])
    _offer(lines, template)
    there = {id for fact in _facts(scene) for id in fact.terms}
    # What the template tells is offered first; it may speak of instruments that come next.
    told = [ref.removeprefix("knowledge:") for s in template.statements for ref in s.evidence] if template else []
    known = [name for name in told if name in entries()] + [
        name
        for name, item in sorted(entries().items())
        if item.usable and item.procedure == scene.procedure and item.about and set(item.about) <= there
    ]
    for name in list(dict.fromkeys(known))[:KNOWLEDGE_OFFERED]:
        lines.add("K", entries()[name].texts[0], [f"knowledge:{name}"])
    asked = Pair.model_construct(question=question.text, options=list(question.options))
    answer = question.answer.replace("\n", " | ")
    user = "\n\n".join(
        (
            *(f"EXAMPLE\n{text}" for text in examples(scene, question)),
            f"NOW THIS FRAME ({scene.procedure.replace('_', ' ')}, {scene.size[0]} x {scene.size[1]} pixels)",
            "FACTS AND WHAT MAY BE USED\n" + "\n".join(lines.text),
            f"QUESTION\n{question_text(asked)}",
            f"ANSWER\n{answer}",
        )
    )
    return Draft(scene, question, rules(pictured), user, lines.pool, tuple(lines.boxes), pictured)


def facts_told(scene: Scene, boxes: list[tuple[int, ...]]) -> list[str]:
    """The facts that a chain may use in words, one each; `<bbox:n>` counts `boxes`, which new ones join."""
    lines = _Lines(boxes=boxes)
    return [_told(scene, fact, lines) for fact in _facts(scene)]


def _facts(scene: Scene) -> list[Fact]:
    """The facts that a chain may use: of each kind those of one source, and none that its sources contradict."""
    kinds = dict.fromkeys(fact.kind for fact in scene.facts)
    return [fact for kind in kinds if kind not in scene.disputed for fact in scene.of_kind(kind)]


def _told(scene: Scene, fact: Fact, lines: _Lines) -> str:
    """One fact in words, with its box and its place."""
    names = [term(id).name for id in fact.terms]
    if len(names) == 3:
        text = f"act: {names[0]}, idle" if fact.terms[1] == "verb.null" else f"act: {', '.join(names)}"
    elif fact.kind in ("cvs", "cvs_overall"):
        text = f"critical view: {names[0]}, {round(3 * fact.value)} of three"
    else:
        text = f"{fact.kind}: {names[0]}"
        if fact.kind == "instrument" and not fact.box:
            text += ", in view"
    if fact.box:
        spot = place(fact.box, field_of(scene))
        where = f", {PLACES[spot]}" if spot is not None else ""
        of = f" ({names[0]})" if len(names) == 3 else ""
        text += f"; box{of} {lines.box(fact.box)}{where}"
    return text


def _offer(lines: _Lines, template: Pair | None) -> None:
    """Denials, completeness, measurements and statistics: what the template chain rests on besides facts."""
    if template is None:
        return
    for statement in template.statements:
        kinds = {text.partition(":")[0] for text in statement.evidence}
        own = [text for text in statement.evidence if text.partition(":")[0] not in ("statement", "box")]
        if statement.basis == "prior":
            lines.add("P", f"statistic: {statement.text}", own)
        elif statement.basis == "measured" and ("pixel" in kinds or not _BOX.search(statement.text)):
            # A box is known by its place in the pair, which the reply's pair may count otherwise.
            boxes = [template.boxes[int(text[4:])] for text in statement.evidence if text.startswith("box:")]
            places = [f"{_AT}{','.join(map(str, box))}" for box in boxes]
            lines.add("M", f"measured: {' '.join(_BOX.sub('', statement.text).split())}", [*own, *places])
        else:
            for text in own:
                form, _, target = text.partition(":")
                if (text,) in lines.pool.values() or form not in ("none", "all"):
                    continue
                name, _, what = target.partition("/")
                kind = name.partition(".")[2]
                if form == "none":
                    lines.add("N", f"not there: {term(what).name if what else f'any {kind}'}", [text])
                else:
                    besides = f" besides {term(what).name}" if what else ""
                    lines.add("A", f"the facts of kind {kind} above are all there are{besides}", [text])


@cache
def rules(pictured: bool = True) -> str:
    """The rules as written in the package, for requests with a picture or without."""
    text = resources.files("cotgen.chains").joinpath("prompts", PROMPT).read_text(encoding="utf-8")
    wanted = "picture" if pictured else "no picture"
    return _PASSAGES.sub(lambda match: match[2] if match[1] == wanted else "", text).strip()


@cache
def _worked() -> tuple[dict[str, Any], ...]:
    text = resources.files("cotgen.chains").joinpath("prompts", "examples.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load(text))


def examples(scene: Scene, question: Question) -> list[str]:
    """Worked chains of the frame's sources, as requests and replies: those of the same task first."""
    sources = {name.partition(".")[0] for name in scene.labelled}
    usable = [item for item in _worked() if set(item["sources"]) & sources]
    usable.sort(key=lambda item: item["task"] != question.task)
    return [_shown(item) for item in usable[:EXAMPLES_SHOWN]]


def _shown(item: Mapping[str, Any]) -> str:
    lines = "\n".join(item["lines"])
    reply = json.dumps({"statements": item["reply"]}, ensure_ascii=False)
    return f"FACTS AND WHAT MAY BE USED\n{lines}\n\nANSWER\n{item['answer']}\n\nREPLY\n{reply}"


@cache
def prompt_sha256() -> str:
    """sha256 of rules, examples and schema: part of the fingerprint of a build."""
    digest = hashlib.sha256((rules(True) + rules(False)).encode())
    digest.update(json.dumps([dict(item) for item in _worked()], sort_keys=True).encode())
    digest.update(canonical_json(REPLY_SCHEMA))
    return digest.hexdigest()


def pair_of(given: Draft, reply: Any, writer: str, priors: Priors | None) -> Pair:
    """The chain that a reply holds, with its evidence, before any check of what it says.

    Args:
        given: the request.
        reply: the JSON of the reply.
        writer: `teacher/MODEL/1`.
        priors: statistics of the train surgeries, or None.

    Raises:
        ReplyError: the reply is not of the schema, a sentence is none or several, or a code was not given.
    """
    if wrong := form(reply):
        raise ReplyError(f"The reply is no chain: {wrong}.")
    rows = reply["statements"]
    question = given.question
    used: list[tuple[int, ...]] = [tuple(box) for box in question.boxes]
    statements: list[Statement] = []
    last = 1
    for number, row in enumerate(rows, start=1):
        level, text = row.get("level"), " ".join(row["text"].split())
        if level not in (1, 2, 3) or isinstance(level, bool) or level < last:
            raise ReplyError(f"Statement {number}: the levels are 1, 2 and 3, in this order.", "levels")
        last = level
        if len(text) > LONGEST_SENTENCE or len(split_sentences(text)) != 1 or not re.search(r"[.]$", text):
            raise ReplyError(f"Statement {number} is not one sentence with a full stop.", "sentence")
        evidence = [
            f"box:{_at(used, tuple(map(int, ref.removeprefix(_AT).split(','))))}" if ref.startswith(_AT) else ref
            for ref in _evidence(given, row["from"], number, writer)
        ]
        for match in _BOX.finditer(text):
            if int(match[1]) >= len(given.boxes):
                raise ReplyError(f"Statement {number}: {match.group()} is no box that was given.", "boxes")
        text = _BOX.sub(lambda match: f"<bbox:{_at(used, given.boxes[int(match[1])])}>", text)
        evidence += [f"box:{match[1]}" for match in _BOX.finditer(text)]
        if f"seen:{writer}" in evidence:
            evidence += _pixels(given.scene, text, evidence)
        evidence = list(dict.fromkeys(evidence))
        try:
            statements.append(
                Statement.model_validate(
                    {"level": level, "text": text, "basis": basis_of(evidence), "evidence": evidence}
                )
            )
        except ValidationError as error:
            raise ReplyError(f"Statement {number}: {error.errors()[0]['msg']}.") from None
    pair = Pair(
        id=question.id,
        task=question.task,
        question=question.text,
        options=list(question.options),
        boxes=[list(box) for box in used],
        support="asserted",
        statements=statements,
        answer=question.answer,
        writer=writer,
    )
    return pair.model_copy(update={"support": support_of(case_of(pair, given.scene, priors, question))})


def tells_a_look(reply: Any) -> bool:
    """Whether a reply rests anything on what its writer sees, so that colours must be measured for it."""
    return "visual" in str(reply).lower()


def form(reply: Any) -> str:
    """What is wrong with the form of a reply, as a `FormCheck` tells it; "" where it has the one that was asked for."""
    rows = reply.get("statements") if isinstance(reply, dict) else None
    if not isinstance(rows, list) or not rows:
        return 'it is no object with a list "statements"'
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("text"), str) or not isinstance(row.get("from"), list):
            return 'a statement has not the fields "level", "text" and "from"'
    return ""


def _at(used: list[tuple[int, ...]], box: tuple[int, ...]) -> int:
    if box not in used:
        used.append(box)
    return used.index(box)


def _evidence(given: Draft, codes: Sequence[Any], number: int, writer: str) -> list[str]:
    found: list[str] = []
    for code in codes:
        name = str(code).strip().rstrip(".")
        if name.lower() == "visual":
            if not given.pictured:
                raise ReplyError(f"Statement {number} tells a look, and no picture was sent.", "codes")
            found.append(f"seen:{writer}")
        elif match := _SENTENCE_REF.match(name):
            if not 1 <= int(match[1]) < number:
                raise ReplyError(f"Statement {number}: {name} is no earlier sentence.", "codes")
            found.append(f"statement:{int(match[1]) - 1}")
        elif name in given.pool:
            found += given.pool[name]
        else:
            raise ReplyError(f"Statement {number}: '{name[:40]}' is no code that was given.", "codes")
    if not found:
        raise ReplyError(f'Statement {number} rests on nothing: name the codes under "from".', "codes")
    return found


def _pixels(scene: Scene, text: str, evidence: Sequence[str]) -> list[str]:
    """The measured shares of the colours that a sentence names, for the facts that it cites."""
    ids = [ref.removeprefix("fact:") for ref in evidence if ref.startswith("fact:")]
    found = []
    for colour in colours(text):
        for id in ids:
            value = scene.measure(f"colour_{colour}", id)
            if value is not None:
                found.append(f"pixel:colour_{colour}/{id}={value}")
    return found


def objections(findings: Sequence[Finding] | str, pair: Pair | None) -> str:
    """What is asked again, with the findings quoted.

    Args:
        findings: hard findings of the checks, or the sentence of a `ReplyError`.
        pair: the chain that they are about; None for a ReplyError.
    """
    if isinstance(findings, str):
        told = [findings]
    else:
        told = []
        for finding in findings:
            about = ""
            if pair is not None and 0 <= finding.statement < len(pair.statements):
                about = f'"{pair.statements[finding.statement].text}": '
            told.append(f"{about}{finding.text}.")
    listed = "\n".join(f"- {text}" for text in dict.fromkeys(told))
    return f"The checks refuse this chain:\n{listed}\nWrite the whole chain again, with these mended, in the same JSON form."


def reply_from(given: Draft, pair: Pair) -> dict[str, Any]:
    """A chain as the reply that would make it, for a stand-in that answers from the facts.

    Raises:
        ReplyError: a sentence rests on what the request does not offer.
    """
    single = {lines[0]: code for code, lines in given.pool.items() if len(lines) == 1}
    several = {code: set(lines) for code, lines in given.pool.items() if len(lines) > 1}
    rows = []
    for number, statement in enumerate(pair.statements, start=1):
        left = list(statement.evidence)
        if not _BOX.search(statement.text):
            left = [_AT + ",".join(map(str, pair.boxes[int(r[4:])])) if r.startswith("box:") else r for r in left]
        own = [code for code, lines in several.items() if lines <= set(left)]
        left = [ref for ref in left if not any(ref in several[code] for code in own)]
        for text in left:
            form, _, target = text.partition(":")
            if form == "statement":
                own.append(f"S{int(target) + 1}")
            elif form == "seen":
                own.append("visual")
            elif text in single:
                own.append(single[text])
            elif form not in ("box", "pixel") and not text.startswith(_AT):
                raise ReplyError(f"Statement {number}: '{text}' is not offered by the request.")
        text = _BOX.sub(lambda match: f"<bbox:{given.boxes.index(tuple(pair.boxes[int(match[1])]))}>", statement.text)
        rows.append({"level": statement.level, "text": text, "from": list(dict.fromkeys(own))})
    return {"statements": rows}
