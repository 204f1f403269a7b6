"""Grounds: a chain of free text becomes a stored pair, each sentence with the evidence that it rests on.

A template declares its evidence while it writes, a teacher names it; a policy writes text alone. So what each sentence
claims is read as the checks read it, and the facts, measurements, statistics and knowledge that hold it are looked up. A
sentence that claims nothing, tells a look (nobody judges that here), or rests on nothing makes the chain no pair. What
comes out is not trusted: it goes through all checks of a stored chain like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from pydantic import ValidationError

from cotgen.chains.boxes import named_boxes
from cotgen.chains.checks import case_of
from cotgen.chains.checks.base import BAG, Case, support_of
from cotgen.chains.checks.evidence import basis_of
from cotgen.chains.checks.facts import KINDS
from cotgen.chains.checks.reasoning import FREQUENCY_WORD, givens_of_sentence, wrong_word
from cotgen.chains.checks.vocabulary import closings
from cotgen.chains.claims import NUMBERS, Act, Ref, Relation
from cotgen.chains.closed import CRITERIA, Closed
from cotgen.chains.places import compared, place, touching
from cotgen.chains.reading import FREQUENCY, Reading
from cotgen.chains.render import ParsedChain
from cotgen.ontology import terms_of
from cotgen.ontology.knowledge import entries
from cotgen.records import Fact, Finding, Pair, Scene, Statement
from cotgen.surgeries.priors import NO_INSTRUMENT, PHASE_BY_SET, PHASE_BY_TRIPLET, Priors, prior_name
from cotgen.tasks.base import Question

#: Longest sentence and most sentences of a chain, as a teacher may write.
LONGEST_SENTENCE = 400
MOST_SENTENCES = 12
_BOX = re.compile(r"<bbox:(\d+)>")
#: What a sentence of stored text is made of; a wording of the knowledge base may be more.
_PLAIN = re.compile(r"[A-Z](?:[A-Za-z ,;:'-]|<bbox:\d+>)*\.")
_THUS = re.compile(r"\b(?:so|thus|therefore|hence|consequently|accordingly)\b", re.IGNORECASE)
_LIGHT = re.compile(r"\b(?:lit|light|dark|black)\b", re.IGNORECASE)
_KINDS_TOLD = re.compile(r"\b(?:kinds?|named|to name)\b", re.IGNORECASE)
_SEVERAL = re.compile(r"\b(?:several|every) phases?\b", re.IGNORECASE)
_EVERY = re.compile(r"\bevery phase\b", re.IGNORECASE)
_WITHOUT = re.compile(r"\bviews? without\b", re.IGNORECASE)
#: What level 2 says where level 1 shows one thing alone.
_NOTHING_TO_RELATE = re.compile(r"\b(?:no (?:\w+ ){1,3}|nothing )to relate\b", re.IGNORECASE)
_TERMS = ("instrument", "anatomy", "object", "phase", "step", "action")
_SAID = frozenset({"label", "measured", "follows"})


def grounded(
    chain: ParsedChain,
    boxes: Sequence[Sequence[int]],
    scene: Scene,
    asked: Pair,
    writer: str,
    priors: Priors | None,
) -> Pair | Finding:
    """The pair that a chain of text is, before any check of what it says; or why it is none.

    Args:
        chain: as parsed; its answer is not looked at.
        boxes: in pixels of the stored picture; `<bbox:n>` of the chain counts them.
        scene: the facts of the frame.
        asked: the stored pair with the same question, whose wording, options and right answer are taken over.
        writer: `policy/1`.
        priors: statistics of the train surgeries, or None.
    """
    if chain.problems:
        return Finding(check="form", text=chain.problems[0])
    if len(chain.sentences) > MOST_SENTENCES:
        return Finding(check="form", text=f"the levels have more than {MOST_SENTENCES} sentences")
    # The boxes of the answer come first, as in every pair.
    own = [n for text in (asked.answer, asked.question, *asked.options) for n in named_boxes(text)]
    used = [tuple(box) for box in asked.boxes[: max(own, default=-1) + 1]]
    sentences = []
    for number, (level, given) in enumerate(chain.sentences):
        text = " ".join(given.split())
        if any(n >= len(boxes) for n in named_boxes(text)):
            return Finding(check="box", statement=number, text="a box is named that is not there")
        sentences.append((level, _BOX.sub(lambda m: f"<bbox:{_at(used, boxes[int(m[1])])}>", text)))
    question = Question.of(asked)
    case = Case(ParsedChain(tuple(sentences), asked.answer), scene, question, priors, tuple(used))
    grounds = _Grounds(case, used)
    for reading in case.readings:
        found = grounds.add(reading)
        if found is not None:
            return found
    pair = Pair(
        id=asked.id,
        task=asked.task,
        question=asked.question,
        options=list(asked.options),
        boxes=[list(box) for box in used],
        support="asserted",
        statements=grounds.statements,
        answer=asked.answer,
        writer=writer,
    )
    return pair.model_copy(update={"support": support_of(case_of(pair, scene, priors, question))})


def _at(used: list[tuple[int, ...]], box: Sequence[int]) -> int:
    if tuple(box) not in used:
        used.append(tuple(box))
    return used.index(tuple(box))


def claims_something(reading: Reading) -> bool:
    """Whether a sentence claims anything of the frame, or is knowledge whose wording is known."""
    if reading.general:
        return bool(reading.known)
    said = reading.claims
    return bool(
        reading.known or reading.closed or reading.mentions or said.places or said.relations or said.counts
        or said.apart[0] or said.rank or said.area or _NOTHING_TO_RELATE.search(reading.text)
    )  # fmt: skip


class _Grounds:
    """The statements of one chain, as far as they are read.

    Attributes:
        statements: with their evidence.
    """

    def __init__(self, case: Case, boxes: list[tuple[int, ...]]) -> None:
        self.statements: list[Statement] = []
        self._case, self._boxes = case, boxes
        self._view, self._scene = case.view, case.scene
        earlier = {term for context in case.scene.context for fact in context.facts for term in fact.terms}
        self._at_hand = {term for fact in case.scene.facts for term in fact.terms} | earlier | {*case.question.subject}
        self._at_hand |= {*CRITERIA, "cvs.critical_view"} if case.scene.says("cvs") else set()

    def add(self, reading: Reading) -> Finding | None:
        """Take the next sentence; returns why there is no evidence for it."""
        if reading.closed is not None and reading.closed.kind == "visual":
            return Finding(check="look", statement=reading.number, text="a look is told, which no label decides")
        if (not reading.known and not _PLAIN.fullmatch(reading.text)) or len(reading.text) > LONGEST_SENTENCE:
            text = "this is not one plain sentence with a capital and a full stop"
            return Finding(check="form", statement=reading.number, text=text)
        evidence = list(dict.fromkeys(self._evidence(reading)))
        if not evidence:
            return Finding(check="ungrounded", statement=reading.number, text="this rests on nothing that is known")
        try:
            self.statements.append(
                Statement.model_validate(
                    {"level": reading.level, "text": reading.text, "basis": basis_of(evidence), "evidence": evidence}
                )
            )
        except ValidationError as error:
            return Finding(check="ungrounded", statement=reading.number, text=error.errors()[0]["msg"])
        return None

    def _evidence(self, reading: Reading) -> list[str]:
        if reading.known:
            at_hand = set(entries()[reading.known].about) <= self._at_hand
            return [f"knowledge:{reading.known}"] if at_hand else []
        if reading.closed is not None:
            return self._closed(reading, reading.closed)
        if reading.general:
            return list(self._statistics(reading)) or self._listed(reading)
        if reading.past:
            return self._before(reading)
        if not claims_something(reading):
            if reading.level == 1:
                return list(self._light(reading))
            return self._below(reading) if closings().fullmatch(reading.text) else []
        return self._claimed(reading)

    def _listed(self, reading: Reading) -> list[str]:
        """A closing list or number of kinds, "a hook makes one kind", which reads like a general sentence."""
        closes = reading.level == 3 and self._case.question.task in _KINDS_ASKED
        if not closes or FREQUENCY.search(reading.text) or not _KINDS_TOLD.search(reading.text):
            return []
        if not closings(named=True).fullmatch(reading.text):
            return []
        named = set(reading.named("instrument"))
        number = KINDS.search(reading.text)
        kinds = {fact.terms[0] for fact in self._view.instrument_facts}
        if number and (number[1].lower() not in NUMBERS or NUMBERS[number[1].lower()] != len(kinds - {BAG})):
            return []
        return self._claimed(reading) if named and named <= kinds and not reading.denied else []

    def _below(self, reading: Reading) -> list[str]:
        """The earlier sentences that a conclusion follows from: those of lower levels, and statistics before it."""
        lower = [
            n for n, statement in enumerate(self.statements)
            if (statement.level < reading.level and statement.basis in _SAID)
            or (reading.level == 3 and statement.basis == "prior")
        ]  # fmt: skip
        same = [n for n, statement in enumerate(self.statements) if statement.basis in _SAID]
        return [f"statement:{n}" for n in lower or same]

    # what is told in closed words, of the seconds before, or in general

    def _closed(self, reading: Reading, told: Closed) -> list[str]:
        scene = self._scene
        if told.kind == "act":
            kind = told.terms[0].partition(".")[0]
            return [f"fact:{fact.id}" for fact in scene.of_kind(kind) if fact.terms[0] in told.terms]
        if told.kind in ("criterion", "criteria"):
            asked = [id for id in self._case.question.subject if id in CRITERIA]
            wanted = told.terms or (asked if told.kind == "criterion" else CRITERIA)
            facts = [f"fact:{fact.id}" for fact in scene.of_kind("cvs") if fact.terms[0] in wanted]
            return facts if told.terms or told.kind == "criteria" else [*self._criteria(reading), *facts]
        if told.kind == "overall":
            whole = [f"fact:{fact.id}" for fact in scene.of_kind("cvs_overall")]
            told_so = [*self._criteria(reading), *whole]
            return told_so or [f"fact:{fact.id}" for fact in scene.of_kind("cvs")]
        if told.kind == "camera" and reading.level == 1:
            outside = [f"fact:{fact.id}" for fact in scene.of_kind("view")]
            if told.value and scene.says("view"):
                return [f"none:{scene.says('view')}.view/view.out_of_body"]
            return outside
        if told.kind == "passed":
            return [f"statement:{r.number}" for r in self._case.readings[: reading.number] if r.past]
        return self._below(reading) if reading.level > 1 else []

    def _criteria(self, reading: Reading) -> list[str]:
        """The earlier sentences that tell a criterion by its votes."""
        before = self._case.readings[: reading.number]
        return [f"statement:{r.number}" for r in before if r.closed is not None and r.closed.kind == "criterion"]

    def _before(self, reading: Reading) -> list[str]:
        found: list[str] = []
        for act in reading.claims.acts:
            own = [
                f"context:{number}/{fact.id}"
                for number, context in enumerate(self._scene.context)
                for fact in context.facts
                if fact.kind in ("triplet", "boxed_triplet") and self._view.acting(act, [fact])
            ]
            if not own:
                return []
            found += own
        return found

    def _statistics(self, reading: Reading) -> Iterator[str]:
        """The statistic of the train surgeries that a general sentence tells; none where it does not hold."""
        priors = self._case.priors
        if priors is None:
            return
        without = bool(_WITHOUT.search(reading.text))
        givens = [(PHASE_BY_SET, NO_INSTRUMENT)] if without else list(givens_of_sentence(self._case, reading))
        several = bool(_SEVERAL.search(reading.text))
        phases = [mention.term for mention in reading.mentions if mention.kind == "phase"]
        if not several and not FREQUENCY_WORD.search(reading.text):
            return
        for table, given in givens:
            row = priors.tables.get(table, {}).get(given, {})
            if several and not phases and _tells_nothing(row, table, every=bool(_EVERY.search(reading.text))):
                yield from (f"prior:{prior_name(table, given, phase)}" for phase in sorted(row) if row[phase][0])
                return
            if not several and phases and row and not wrong_word(self._case, reading, table, given):
                yield from (f"prior:{prior_name(table, given, phase)}" for phase in phases)
                return

    # what is claimed of the frame

    def _claimed(self, reading: Reading) -> list[str]:
        facts: dict[str, Fact] = {}
        refs: list[str] = []

        def cite(found: Iterable[Fact], *, boxed: bool = False) -> bool:
            found = list(found)
            facts.update((fact.id, fact) for fact in found)
            if boxed:
                refs.extend(f"box:{_at(self._boxes, fact.box)}" for fact in found if fact.box)
            return bool(found)

        said = reading.claims
        for act in said.acts:
            if not act.negated and not cite(self._act(reading, act)):
                return []
        for kind in _TERMS:
            for name in reading.named(kind):
                if not cite(self._named(reading, name, facts)) and not self._is_told(facts, name):
                    return []
        for number, ref in said.boxes:
            box = tuple(self._boxes[number]) if number < len(self._boxes) else ()
            if ref is not None and not any(tuple(fact.box) == box for fact in facts.values()):
                # "An instrument" is no name of a fact.
                cite(f for name in ref.terms for f in self._view.boxed(name) if tuple(f.box) == box)
            refs.append(f"box:{number}")
        for told in said.places:
            if told.ref is not None and told.box < 0:
                spots = [f for f in self._view.meant(told.ref) if _lies(f, told.words, self._view.field)]
                cite(spots, boxed=True)
        for relation in said.relations:
            for things, pixel in self._related(relation):
                cite(things, boxed=not pixel)
                refs += [pixel] if pixel else []
        if said.rank is not None or said.apart[0]:
            cite((f for name in self._case.question.subject[:2] for f in self._view.boxed(name)), boxed=True)
        if said.area is not None:
            for fact in (f for name in said.area[0].terms for f in self._view.facts_of(name)):
                if (value := self._scene.measure("area", fact.id)) is not None:
                    cite([fact])
                    refs.append(f"pixel:area/{fact.id}={value}")
        refs += self._denied(reading, facts)
        refs += self._counted(reading, facts)
        if reading.level == 1:
            refs += self._light(reading)
        if not facts and not refs and reading.level == 1 and reading.named("any_instrument"):
            cite(self._view.instrument_facts or self._view.triplets)
        own = [*(f"fact:{id}" for id in facts), *refs]
        if reading.level == 3 or (reading.level == 2 and (not own or _THUS.search(reading.text))):
            own = [*self._below(reading), *own]
        return own

    def _act(self, reading: Reading, act: Act) -> Sequence[Fact]:
        if act.verb == "verb.null" and not act.subjects:
            return [fact for fact in self._view.triplets if fact.terms[1] == "verb.null"]
        told = self._view.acting(act, self._case.acts_of.get(reading.number, ()))
        return told or self._view.acting(act, self._view.triplets)

    def _is_told(self, facts: dict[str, Fact], name: str) -> bool:
        same = {name, "anatomy.specimen_bag"} if name == BAG else {name}
        return any(same & set(fact.terms) for fact in facts.values())

    def _named(self, reading: Reading, name: str, cited: dict[str, Fact]) -> list[Fact]:
        """The facts that show a named thing: those of its boxes in the sentence, else all where no act tells it."""
        scene, view = self._scene, self._view
        kind = name.partition(".")[0]
        acts = [fact for fact in view.triplets if self._is_told({fact.id: fact}, name)]
        if kind == "instrument":
            own = [fact for fact in view.instrument_facts if fact.terms[0] == name]
        else:
            own = [] if kind in scene.disputed else [f for f in scene.of_kind(kind) if f.terms[0] == name]
        shown = [
            tuple(view.boxes[number])
            for number, ref in reading.claims.boxes
            if ref is not None and name in ref.terms and number < len(view.boxes)
        ]
        if shown:
            boxed = [fact for fact in own if tuple(fact.box) in shown]
            return boxed or [fact for fact in acts if tuple(fact.box) in shown]
        if self._is_told(cited, name):
            return []
        sided = [f for ref in reading.claims.refs if ref.side and name in ref.terms for f in view.meant(ref)]
        return sided or own or acts

    def _related(self, told: Relation) -> Iterator[tuple[list[Fact], str]]:
        """The facts of each relation, and the measurement where things touch."""
        scene, view = self._scene, self._view
        if told.what == "touches":
            ones, others = (
                view.meant(ref) if ref.side else [f for name in ref.terms for f in view.facts_of(name)]
                for ref in (told.one, told.other)
            )
            for one in ones:
                for other in others:
                    value = scene.measure("gap", one.id, other.id)
                    if one.id != other.id and value is not None and touching(scene, one.id, other.id):
                        yield [one, other], f"pixel:gap/{'+'.join(sorted((one.id, other.id)))}={value}"
                        return
            return
        shown = {box for _, box in self._case.boxed}
        things = [self._shown(ref, shown) for ref in (told.one, told.other, told.third) if ref is not None]
        if told.what in ("left", "right", "above", "below"):
            for one in things[0]:
                for other in things[1]:
                    if one is not other and told.what in compared(one.box, other.box, view.field):
                        yield [one, other], ""
                        return
        elif told.what.startswith("jaws "):
            jaws = [fact for fact in scene.of_kind("object") if fact.terms[0] == "object.clasper" and fact.box]
            yield [*jaws, *(fact for group in things for fact in group)], ""
        else:
            yield [fact for group in things for fact in group], ""

    def _shown(self, ref: Ref, shown: set[tuple[int, ...]]) -> list[Fact]:
        found = self._view.meant(ref)
        return [fact for fact in found if tuple(fact.box) in shown] or found

    def _denied(self, reading: Reading, facts: dict[str, Fact]) -> Iterator[str]:
        for kind in _TERMS:
            source = self._scene.says(kind)
            for name in reading.named(kind, negated=True):
                # An act that is not going on names what is there.
                there = any(fact.kind == kind and name in fact.terms for fact in self._scene.facts)
                if source and not there and not self._is_told(facts, name):
                    yield f"none:{source}.{kind}/{name}"
        if reading.named("any_instrument", negated=True):
            sources = {"instrument": self._view.instrument_facts, "triplet": self._view.triplets}
            for kind in reversed(sources) if "at work" in reading.text else sources:
                source = self._scene.says(kind)
                if source and not sources[kind]:
                    yield f"none:{source}.{kind}"
                    return

    def _counted(self, reading: Reading, facts: dict[str, Fact]) -> Iterator[str]:
        """That what a number counts is all there is."""
        kinds = [
            told.what.partition(".")[0]
            for told in reading.claims.counts
            if told.what != "listed" and not told.at_least
        ]
        kinds = [{"act": "triplet", "structure": "anatomy"}.get(kind, kind) for kind in kinds]
        every = KINDS.search(reading.text) is not None
        task = self._case.question.task
        if reading.level == 3 and task in _LISTED and self._named_all(_LISTED[task], facts):
            kinds.append(_LISTED[task])
        for kind in dict.fromkeys(["instrument", *kinds] if every else kinds):
            if kind == "instrument" and not self._view.instrument_facts and self._view.counted is not None:
                kind = "triplet"
            there = self._scene.of_kind(kind)
            apart = every and kind == "instrument" and any(fact.terms[0] == BAG for fact in there)
            facts.update((fact.id, fact) for fact in there)
            if source := self._scene.says(kind):
                yield f"{'all' if there else 'none'}:{source}.{kind}{f'/{BAG}' if apart else ''}"

    def _named_all(self, kind: str, facts: dict[str, Fact]) -> bool:
        there = self._scene.of_kind(kind)
        return bool(there) and {fact.id for fact in there} <= facts.keys()

    def _light(self, reading: Reading) -> Iterator[str]:
        if self._case.question.task != "field_visible" or not _LIGHT.search(reading.text):
            return
        for name in ("brightness", "black"):
            value = self._scene.measure(name)
            if value is not None and (name == "brightness" or value):
                yield f"pixel:{name}={value}"


#: Tasks whose answer names all there is of a kind.
_KINDS_ASKED = frozenset({"tool_presence", "tool_count"})
_LISTED = {"tool_presence": "instrument", "anatomy": "anatomy"}


def _lies(fact: Fact, words: tuple[str, ...], field: Sequence[int]) -> bool:
    spot = place(fact.box, field)
    return spot is not None and (set(words) <= set(spot) if words else spot == ())


def _tells_nothing(row: dict[str, list[int]], table: str, *, every: bool) -> bool:
    """Whether what is seen is met in several phases and none of them holds most of it (a template's own measure)."""
    counts = sorted((frames for frames, _ in row.values() if frames), reverse=True)
    if len(counts) < 3 or (every and len(counts) < _PHASES):
        return False
    return 4 * counts[0] < 3 * sum(counts) if table == PHASE_BY_TRIPLET else 2 * counts[0] < sum(counts)


#: Phases of a cholecystectomy, the operation whose statistics tell of every phase.
_PHASES = sum("cholec80" in item.aliases for item in terms_of("phase"))
