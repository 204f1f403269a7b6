"""The grammar of template text: sentences for each move, in several shapes, with what each rests on.

A chain is a plan (which facts, in which order, with which moves) and a surface (which shape each sentence takes). Both
are drawn by rendezvous hashing from the pair's own name, so one pair can be written again alone and a new shape changes
only the pairs that it wins. Variety comes from order, joining and focus; the words for a term are its closed names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cotgen.draws import rendezvous, shuffled
from cotgen.ontology import term
from cotgen.ontology.knowledge import entries
from cotgen.records import Fact, Scene, Statement
from cotgen.surgeries.priors import NO_INSTRUMENT, PHASE_BY_ONE, PHASE_BY_SET, Priors, given_set, prior_name
from cotgen.tasks.base import Question

NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven")

ONE = (
    "{A} {is} in view.",
    "{A} {is} seen in the field.",
    "The view shows {a}.",
    "{A} can be seen.",
    "{A} {is} visible.",
    "There {is} {a} in view.",
    "{Tip} in view.",
    "{A} {is} seen in the picture.",
)
TWO = (
    "{A} and {b} are in view.",
    "{Bare} and {bare_b} are in view.",
    "{Bare} and {bare_b} are both in view.",
    "Both {a} and {b} are in view.",
    "The view shows {a} and {b}.",
    "{A} {is} in view together with {b}.",
    "{A} {is} in view, and {b} as well.",
    "{A} and {b} can be seen.",
    "{A} and {b} are visible in the field.",
)
SEVERAL = (
    "{List} are in view.",
    "The view shows {list}.",
    "{List} can be seen.",
    "{List} are visible in the field.",
)
ALSO = (
    "{A} {is} in view too.",
    "{A} {is} there as well.",
    "There {is} also {a}.",
    "{A} can be seen as well.",
    "The view also shows {a}.",
)
NONE = (
    "No instrument tip is clearly in view.",
    "No tip of an instrument is clearly visible.",
    "There is no instrument tip clearly in view.",
    "The view shows no instrument tip clearly.",
    "No instrument shows its tip clearly.",
)
NOT = (
    "{A} {is} not in view.",
    "No {bare} {is} in view.",
    "There {is} no {bare} in view.",
    "The view shows no {bare}.",
    "No {bare} can be seen.",
)
NOTHING_TO_RELATE = (
    "There is thus no instrument to relate to a structure.",
    "With no tip clearly in view, no instrument can be related to a structure.",
)
SET_PRIOR = (
    "{Given} {is} {word} found in {phase}{more}.",
    "{Given} {is} {word} seen in {phase}{more}.",
)
NONE_PRIOR = (
    "A view without a clear instrument tip is {word} found in {phase}{more}.",
    "A view without a clear instrument tip is {word} seen in {phase}{more}.",
)
ONE_PRIOR = (
    "{A} {is} {word} found in {phase}{more}.",
    "{A} {is} {word} seen in {phase}{more}.",
)
RARELY_ELSE = (
    "{A} {is} rarely out at any other time than for {phase}.",
    "{A} {is} rarely found outside {phase}.",
    "{A} {is} rarely seen in any other phase than {phase}.",
)
COMMON = (
    "{A} {is} found in {several} and {settles} nothing by {itself}.",
    "{A} {comes} up in {several} and {does} not tell them apart.",
    "By {itself}, {a} {settles} nothing, since {it} {comes} up in {several}.",
)
NONE_COMMON = (
    "A view without a clear instrument tip comes up in {several} and does not tell them apart.",
    "Views without a clear instrument tip are found in {several} and settle nothing.",
)
STRONG = (
    "So this is {phase}.",
    "This is therefore {phase}.",
    "The phase is thus {phase}.",
    "So the phase shown is {phase}.",
    "Hence this view belongs to {phase}.",
    "{Phase} is therefore the phase shown.",
)
WEAK = (
    "{Phase} fits best.",
    "What fits best is {phase}.",
    "The best fit is {phase}.",
    "Of the phases, {phase} fits best.",
    "This view fits best with {phase}.",
    "{Phase} is the best fit.",
)
ASSERTED = (
    "This view belongs to {phase}.",
    "The phase shown is {phase}.",
    "This view is from {phase}.",
)
EXCEPTION = (
    "This view is an exception: it belongs to {phase}.",
    "This view, an exception, belongs to {phase}.",
    "Here it is otherwise: the phase shown is {phase}.",
)
NAMED = (
    "The {kinds} in view {kinds_are} {list}.",
    "{List} {are} thus to be named.",
    "So {list} {are} to be named.",
)
NONE_NAMED = (
    "So there is no kind to name.",
    "So no kind is named.",
)
COUNTED = (
    "{List} {make} {number} {kinds}.",
    "Counted by kind, {list} {make} {number} {kinds}.",
    "That makes {number} {kinds}, {list}.",
)
NONE_COUNTED = (
    "So there is no kind to count.",
    "So no kind is counted.",
)
BAG_APART = (
    "The bag adds nothing to the count.",
    "The bag does not count.",
)
IS_THERE = (
    "So {a} {is} in view.",
    "{A} {is} thus in view.",
    "So the view shows {a}.",
)
IS_NOT_THERE = (
    "There {is} thus no {bare} in view.",
    "{A} {is} thus not in view.",
    "So the view shows no {bare}.",
    "So {a} {is} not in view.",
)
NOT_IMPLIED = (
    "So {o} in the field {do} not mean that {a} {is} there as well.",
    "That {o} {is_o} in view does not mean that {a} {is} too.",
    "{O} in view {do} not imply {a}.",
)
BLACK = (
    ("The picture is black.", "The picture is dark."),
    ("Nothing in it can be related to anything else.", "No relation can be read from it."),
    ("So the operative field is not visible.", "So no operative field is visible."),
)
LIT = (
    ("The picture is lit, and {a} {is} in view.", "There is light in the picture, and {a} {is} visible."),
    (
        "Light and a visible instrument show that there is a field.",
        "A lit picture with a visible instrument shows a field.",
    ),
    ("So the operative field is visible.", "The operative field is thus visible."),
)


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def fill(shape: str, **slots: str) -> str:
    """Fill a shape; a slot in capitals is the same word with a capital."""
    slots |= {capital(name): capital(value) for name, value in slots.items()}
    return shape.format(**slots)


@dataclass
class Composer:
    """Draws and sentences for one pair.

    Attributes:
        scene: the facts of the frame.
        question: what is asked.
        priors: statistics of the train surgeries, or None.
        seed: the seed of the build.
        statements: what has been written so far.
        boxes: the boxes of the pair, those of the answer first.
    """

    scene: Scene
    question: Question
    priors: Priors | None
    seed: int
    statements: list[Statement] = field(default_factory=list)
    boxes: list[list[int]] = field(default_factory=list)

    def box(self, box: Sequence[int]) -> int:
        """The number of a box in the pair, which it joins where it is new."""
        if list(box) not in self.boxes:
            self.boxes.append(list(box))
        return self.boxes.index(list(box))

    def shuffle(self, slot: str, items: Sequence[int]) -> list[int]:
        """Numbers in an order drawn for this pair."""
        return shuffled(self.seed, items, self.scene.key, self.question.id, slot)

    def pick(self, slot: str, options: Sequence[str]) -> str:
        """One of the options, for this pair and slot."""
        if len(options) == 1:
            return options[0]
        return rendezvous(self.seed, options, self.scene.key, self.question.id, slot)

    def order(self, slot: str, items: Sequence[Fact]) -> list[Fact]:
        """The items in an order drawn for this pair."""
        return shuffled(self.seed, items, self.scene.key, self.question.id, slot)

    def add(self, level: int, text: str, basis: str, evidence: Sequence[str]) -> int:
        """Write a sentence; returns its number."""
        self.statements.append(
            Statement.model_validate({"level": level, "text": text, "basis": basis, "evidence": list(evidence)})
        )
        return len(self.statements) - 1

    @cached_property
    def source(self) -> str:
        """`cholec80.instrument`: whose labels of instruments the chain uses."""
        return f"{self.scene.says('instrument')}.instrument"

    @cached_property
    def facts(self) -> dict[str, Fact]:
        """Instrument -> its fact."""
        return {fact.terms[0]: fact for fact in reversed(self.scene.of_kind("instrument"))}

    @cached_property
    def set_given(self) -> str:
        """Key of the exact set of instruments in the tables of priors."""
        return given_set(self.facts)

    def name(self, id: str) -> str:
        """The word for a term, the same throughout a chain."""
        item = term(id)
        return self.pick(f"name:{id}", item.names) if item.kind == "instrument" else item.name

    def words(self, id: str) -> dict[str, str]:
        """Slots for one instrument."""
        item, name = term(id), self.name(id)
        many = item.number == "plural"
        phrase = name if many else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
        is_bag = id == "instrument.specimen_bag"
        tip = f"{phrase} {'are' if many else 'is'}" if is_bag else f"the {'tips' if many else 'tip'} of {phrase}"
        return {
            "a": phrase,
            "bare": name,
            "is": "are" if many else "is",
            "tip": tip if is_bag else f"{tip} {'are' if many else 'is'}",
            "it": "they" if many else "it",
            "itself": "themselves" if many else "itself",
            "belongs": "belong" if many else "belongs",
            "settles": "settle" if many else "settles",
            "comes": "come" if many else "comes",
            "does": "do" if many else "does",
        }

    # level 1

    def show(self, slot: str, facts: Sequence[Fact], extra: Sequence[str] = ()) -> list[int]:
        """Sentences that assert instruments, in one, two or more sentences; `extra` evidence goes to a joint one."""
        ids = [fact.terms[0] for fact in facts]
        plans = ["joint"] if len(facts) == 1 else ["joint", "apart"] if len(facts) == 2 else ["joint", "apart", "last"]
        plan = self.pick(f"{slot}:plan", plans)
        if plan == "joint":
            return [self.add(1, self.joint(slot, ids), "label", [*(f"fact:{fact.id}" for fact in facts), *extra])]
        cut = 1 if plan == "apart" else len(facts) - 1
        numbers = [self.add(1, self.joint(f"{slot}:1", ids[:cut]), "label", [f"fact:{f.id}" for f in facts[:cut]])]
        for n, fact in enumerate(facts[cut:], start=2):
            also = fill(self.pick(f"{slot}:{n}", ALSO), **self.words(fact.terms[0]))
            numbers.append(self.add(1, also, "label", [f"fact:{fact.id}"]))
        return numbers

    def joint(self, slot: str, ids: Sequence[str]) -> str:
        """One sentence that asserts all of `ids`."""
        words = [self.words(id) for id in ids]
        if len(ids) == 1:
            return fill(self.pick(slot, ONE), **words[0])
        if len(ids) == 2:
            return fill(self.pick(slot, TWO), **words[0], b=words[1]["a"], bare_b=words[1]["bare"])
        return fill(self.pick(slot, SEVERAL), list=listed([w["a"] for w in words]))

    # knowledge and priors

    def know(self, level: int, id: str) -> int:
        """A wording of a piece of knowledge."""
        text = self.pick(f"know:{id}", entries()[id].texts)
        return self.add(level, text, "knowledge", [f"knowledge:{id}"])

    def phase_name(self, id: str, slot: str = "") -> str:
        """A name of a phase."""
        return self.pick(f"phase:{slot}:{id}", term(id).names)

    def shares(self, table: str, given: str) -> list[tuple[int, str]]:
        """(frames, phase), most frequent first; empty without priors or where `given` was never seen."""
        if self.priors is None:
            return []
        row = self.priors.tables.get(table, {}).get(given, {})
        return sorted(((n, p) for p, (n, _) in row.items()), key=lambda e: (-e[0], term(e[1]).order))

    def _prior(
        self, level: int, shapes: Sequence[str], table: str, given: str, main: str, slots: dict[str, str]
    ) -> int:
        """A sentence on how often `given` goes with `main`, with the next most frequent phase where drawn so."""
        assert self.priors is not None
        word = self.priors.word(table, given, [main])
        shape = self.pick(f"prior:{table}", shapes)
        preposition = shape.partition("{phase}")[0].split()[-1]
        evidence = [f"prior:{prior_name(table, given, main)}"]
        more = ""
        others = [p for _, p in self.shares(table, given) if p != main]
        if others and self.pick(f"more:{given}", ["yes", "no"]) == "yes":
            second = self.priors.word(table, given, [others[0]])
            if second not in ("rarely", word):
                more = f", {second} {preposition} {self.phase_name(others[0], 'more')}"
                evidence.append(f"prior:{prior_name(table, given, others[0])}")
        text = fill(shape, word=word, phase=self.phase_name(main), more=more, **slots)
        return self.add(level, text, "prior", evidence)

    def set_prior(self, main: str, *, others_at_work: bool = False) -> int:
        """How often exactly these instruments in view go with a phase.

        Args:
            main: the phase.
            others_at_work: whether level 1 tells of more that are at work, beside which one in view is not "alone".
        """
        ids = sorted(self.facts, key=lambda id: term(id).order)
        if not ids:
            return self._prior(3, NONE_PRIOR, PHASE_BY_SET, NO_INSTRUMENT, main, {})
        if len(ids) == 1:
            words = self.words(ids[0])
            alone = "without another clear tip" if others_at_work else "alone"
            slots = {"given": f"{words['a']} {alone}", "is": words["is"], "belongs": words["belongs"]}
        else:
            names = listed([self.name(id) for id in ids])
            slots = {"given": f"{names} together", "is": "are", "belongs": "belong"}
        return self._prior(3, SET_PRIOR, PHASE_BY_SET, self.set_given, main, slots)

    def one_prior(self, id: str, main: str) -> int:
        """How often one instrument, whatever else is in view, goes with a phase."""
        assert self.priors is not None
        if self.priors.support(PHASE_BY_ONE, id, main) == "strong":
            shape = self.pick("rarely", RARELY_ELSE)
            text = fill(shape, **self.words(id), phase=self.phase_name(main))
            return self.add(3, text, "prior", [f"prior:{prior_name(PHASE_BY_ONE, id, main)}"])
        return self._prior(3, ONE_PRIOR, PHASE_BY_ONE, id, main, self.words(id))

    def common(self, id: str) -> int:
        """That one instrument, or a view without any, is met in several phases and tells none."""
        table, given = (PHASE_BY_SET, NO_INSTRUMENT) if not id else (PHASE_BY_ONE, id)
        phases = [p for n, p in self.shares(table, given) if n]
        several = "every phase" if len(phases) == 7 else "several phases"
        slots = self.words(id) if id else {}
        text = fill(self.pick(f"common:{id}", COMMON if id else NONE_COMMON), several=several, **slots)
        return self.add(3, text, "prior", [f"prior:{prior_name(table, given, p)}" for p in phases])

    def tells_nothing(self, id: str) -> bool:
        """Whether no phase holds half of the frames with this instrument (or with none, for "")."""
        table, given = (PHASE_BY_SET, NO_INSTRUMENT) if not id else (PHASE_BY_ONE, id)
        shares = self.shares(table, given)
        return len(shares) >= 3 and 2 * shares[0][0] < sum(n for n, _ in shares)

    def decider(self, phase: str) -> str:
        """The instrument in view that points to `phase` most, if it does so by half; "" otherwise."""
        best = ("", 0, 1)
        for id in sorted(self.facts, key=lambda id: term(id).order):
            shares = self.shares(PHASE_BY_ONE, id)
            total = sum(n for n, _ in shares)
            here = next((n for n, p in shares if p == phase), 0)
            if total and 2 * here >= total and here * best[2] > best[1] * total:
                best = (id, here, total)
        return best[0]
