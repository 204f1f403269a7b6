"""Matching: which facts of a frame a claim can rest on. The one place where words of a claim meet the facts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from cotgen.chains.claims import Act, Place, Ref, Relation
from cotgen.chains.lexicon import HEADS, SAME_WORD
from cotgen.chains.places import compared, field_of, place, touching
from cotgen.ontology import vocabulary
from cotgen.records import Fact, Scene

BAG = "instrument.specimen_bag"
#: Kind of fact -> sources that outline every instance of it, where nothing of the picture was left out.
EXHAUSTIVE = {"instrument": frozenset({"endovis17", "endovis18"}), "anatomy": frozenset({"endoscapes"})}
_NULL = "verb.null"
ANY = "instrument"


@dataclass(frozen=True)
class View:
    """The facts of a frame as claims need them.

    Attributes:
        scene: the facts.
        boxes: the boxes of the pair, in the order of `<bbox:n>`.
    """

    scene: Scene
    boxes: tuple[tuple[int, ...], ...] = ()

    @cached_property
    def field(self) -> tuple[int, int, int, int]:
        """The lit field of view."""
        return field_of(self.scene)

    @cached_property
    def instrument_facts(self) -> tuple[Fact, ...]:
        """Instruments in view; none where the sources contradict one another."""
        return () if "instrument" in self.scene.disputed else self.scene.of_kind("instrument")

    @cached_property
    def triplets(self) -> tuple[Fact, ...]:
        """Acts, idle instruments with them; those that only boxes name where no complete set is labelled."""
        if "triplet" in self.scene.disputed:
            return ()
        return self.scene.of_kind("triplet") if self.scene.says("triplet") else self.scene.of_kind("boxed_triplet")

    @cached_property
    def sighted(self) -> frozenset[str]:
        """Instruments with evidence of sight: presence, a box, or told as there and idle."""
        found = {fact.terms[0] for fact in self.instrument_facts}
        found |= {fact.terms[0] for fact in self.triplets if fact.box or fact.terms[1] == _NULL}
        return frozenset(found)

    @cached_property
    def working(self) -> frozenset[str]:
        """Instruments that act."""
        return frozenset(fact.terms[0] for fact in self.triplets if fact.terms[1] != _NULL)

    @cached_property
    def instruments(self) -> frozenset[str]:
        """Instruments in view or at work."""
        return self.sighted | self.working

    @cached_property
    def structures(self) -> frozenset[str]:
        """Structures that are outlined or acted on."""
        found = {fact.terms[2] for fact in self.triplets} | set(self.scene.terms("anatomy"))
        return frozenset(found - {"anatomy.null"})

    @cached_property
    def things(self) -> frozenset[str]:
        """Outlined things that are neither instruments as a whole nor structures."""
        return frozenset(self.scene.terms("object"))

    def complete(self, kind: str) -> bool:
        """Whether every instance of a kind is outlined, so that what is not there can be said not to be there."""
        source = self.scene.says(kind)
        return source in EXHAUSTIVE[kind] and not self.scene.measure("ignored")

    def deniable(self, term: str) -> bool:
        """Whether a source outlines every instance of this very thing."""
        kind = term.partition(".")[0]
        return self.complete(kind) and term in {item.id for item in vocabulary(self.scene.says(kind), kind)}

    @cached_property
    def counted(self) -> tuple[Fact, ...] | None:
        """One fact for each instrument in view, where each one is outlined or boxed; None where that is not known."""
        if self.complete("instrument"):
            return self.instrument_facts
        if not self.triplets or not self.scene.says("triplet") or not all(fact.box for fact in self.triplets):
            return None
        found = tuple({(fact.terms[0], tuple(fact.box)): fact for fact in reversed(self.triplets)}.values())[::-1]
        shown = {fact.terms[0] for fact in self.instrument_facts} - {BAG}
        return found if shown <= {fact.terms[0] for fact in found} else None

    def resolve(self, term: str) -> str:
        """The instrument of this frame that a shared word names; the word's own term where there is none or several."""
        there = [id for id in HEADS.get(term, ()) if id in self._named]
        return there[0] if len(there) == 1 else term

    @cached_property
    def _named(self) -> frozenset[str]:
        earlier = {fact.terms[0] for context in self.scene.context for fact in context.facts}
        return self.instruments | earlier

    # things

    def facts_of(self, term: str) -> list[Fact]:
        """The facts that show a thing: by instrument, structure or object; those of triplets where nothing else does."""
        if term == ANY:
            return list(self.instrument_facts) or list(self.triplets)
        if term.startswith("instrument."):
            own = [fact for fact in self.instrument_facts if fact.terms[0] == term]
            boxed = [fact for fact in own if fact.box]
            return boxed or [fact for fact in self.triplets if fact.terms[0] == term] or own
        kind = term.partition(".")[0]
        return [fact for fact in self.scene.of_kind(kind) if fact.terms[0] == term]

    def boxed(self, term: str) -> list[Fact]:
        """One fact for each box of a thing."""
        found: dict[tuple[int, ...], Fact] = {}
        for fact in self.facts_of(term):
            if fact.box:
                found.setdefault(tuple(fact.box), fact)
        return list(found.values())

    def meant(self, ref: Ref) -> list[Fact]:
        """The boxed facts that a reference can mean, by its term, its box, and the side that tells it apart."""
        found = [fact for term in ref.terms for fact in self.boxed(term)]
        if 0 <= ref.box < len(self.boxes):
            found = [fact for fact in found if tuple(fact.box) == tuple(self.boxes[ref.box])]
        return self._on(ref.side, found) if ref.side else found

    def _on(self, side: str, facts: Sequence[Fact]) -> list[Fact]:
        """Those of several that lie on one side of all others."""
        word = {"upper": "above", "lower": "below"}.get(side, side)
        if len(facts) == 1:
            return [fact for fact in facts if side in (place(fact.box, self.field) or ())]
        return [
            fact for fact in facts
            if all(word in compared(fact.box, other.box, self.field) for other in facts if other is not fact)
        ]  # fmt: skip

    # acts

    def acting(self, act: Act, facts: Iterable[Fact], without: Iterable[str] = ()) -> list[Fact]:
        """The triplets among `facts` that an act can mean, each subject with each target; empty where one has none.

        Args:
            act: who does what to what, as told.
            facts: those of this frame, of an earlier instant, or those cited; triplets alone count.
            without: ids of facts that another instance was told by.
        """
        verbs = {act.verb} | {verb for word, verb in SAME_WORD.items() if word in act.word}
        taken = set(without)
        left = [fact for fact in facts if len(fact.terms) == 3 and fact.terms[1] in verbs and fact.id not in taken]
        subjects: list[tuple[Ref | None, str]] = [(ref, term) for ref in act.subjects for term in ref.terms]
        subjects = subjects or [(None, "")]
        found: list[Fact] = []
        for ref, term in subjects:
            own = [fact for fact in left if term in ("", ANY) or fact.terms[0] == term]
            if ref is not None and ref.side:
                boxes = [fact.box for fact in self.meant(ref)]
                own = [fact for fact in own if fact.box in boxes] if len(boxes) == 1 else []
            if ref is not None and 0 <= ref.box < len(self.boxes):
                own = [fact for fact in own if tuple(fact.box) == tuple(self.boxes[ref.box])]
            least = 1 if ref is None else ref.least
            if len(own) < least:
                return []
            for target in act.targets:
                wanted = {id if id != BAG else "anatomy.specimen_bag" for id in target.terms}
                hit = [fact for fact in own if fact.terms[2] in wanted]
                if len(hit) < least:
                    return []
                found += hit
            found += [] if act.targets else own
        return found

    # places

    def lies(self, told: Place) -> bool:
        """Whether a thing lies where it is told to."""
        if told.ref is None:
            return False
        facts = self.meant(told.ref)
        if 0 <= told.box < len(self.boxes):
            facts = [fact for fact in facts if tuple(fact.box) == tuple(self.boxes[told.box])]
        return any(
            (spot := place(fact.box, self.field)) is not None
            and (set(told.words) <= set(spot) if told.words else spot == ())
            for fact in facts
        )

    def holds(self, told: Relation, shown: Collection[tuple[int, ...]] = ()) -> bool:
        """Whether two things lie to one another, or touch, as told.

        Args:
            told: how they lie, or that they touch.
            shown: the boxes that the chain shows; what is told is of them, where a thing has one among them.

        A place that one couple has and another couple of the same names has the other way round is none.
        """
        if told.what.startswith("jaws "):
            return any(
                told.what.removeprefix("jaws ") in compared(one.box, other.box, self.field)
                for one in self._jaws(told.one)
                for other in self._jaws(told.other)
            )
        ones, others = (_among(self.meant(ref), shown) for ref in (told.one, told.other))
        pairs = [(one, other) for one in ones for other in others if one is not other]
        if told.what == "touches":
            if not pairs:
                # Outlines in several pieces have no box, and still a measured distance.
                ids = [[fact for term in ref.terms for fact in self.facts_of(term)] for ref in (told.one, told.other)]
                pairs = [(one, other) for one in ids[0] for other in ids[1]]
            return any(touching(self.scene, one.id, other.id) for one, other in pairs)
        if told.what == "between":
            third = self.meant(told.third) if told.third else []
            return any(self._between(one, other, last) for one, other in pairs for last in third)
        words = {word for one, other in pairs for word in compared(one.box, other.box, self.field)}
        return told.what in words and _OPPOSITE[told.what] not in words

    def _jaws(self, ref: Ref) -> Iterator[Fact]:
        """The jaws whose centre is in the box of an instrument that `ref` means."""
        for own in self.meant(ref):
            for fact in self.scene.of_kind("object"):
                if fact.terms[0] == "object.clasper" and fact.box and fact.terms[1:] in ([], [own.terms[0]]):
                    x, y = (fact.box[0] + fact.box[2]) / 2, (fact.box[1] + fact.box[3]) / 2
                    if own.box[0] <= x <= own.box[2] and own.box[1] <= y <= own.box[3]:
                        yield fact

    def _between(self, one: Fact, low: Fact, high: Fact) -> bool:
        """Whether the centre of one box is between those of two others that lie apart."""
        words = compared(low.box, high.box, self.field)
        axes = [axis for axis, pair in ((0, ("left", "right")), (1, ("above", "below"))) if set(pair) & set(words)]
        middle, first, second = ([box[n] + box[n + 2] for n in (0, 1)] for box in (one.box, low.box, high.box))
        return any(min(first[n], second[n]) < middle[n] < max(first[n], second[n]) for n in axes)


_OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}


def _among(facts: list[Fact], shown: Collection[tuple[int, ...]]) -> list[Fact]:
    """Those whose box is shown; all where none is."""
    return [fact for fact in facts if tuple(fact.box) in shown] or facts
