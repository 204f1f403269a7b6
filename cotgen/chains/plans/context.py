"""What the seconds before showed: an act told as past, and that the work has passed from one structure to another."""

from __future__ import annotations

from cotgen.chains.grammar import Composer, fill
from cotgen.ontology import term
from cotgen.tasks.triplet import ACTING, acting

BEFORE = ("In the seconds before, {subject} {were} {act}.", "In the few seconds before, {subject} {were} {act}.")
#: Of an act that goes on.
BEFORE_TOO = (
    "In the seconds before, too, {subject} {were} {act}.",
    "In the few seconds before, too, {subject} {were} {act}.",
)
PASSED = ("The work has passed from one to the other.",)


def before(c: Composer) -> tuple[int, bool] | None:
    """Level 2: one act of the seconds before, one that is no longer going on where there is such.

    Returns:
        Its number, and whether the same instrument does the same to another structure now; None where nothing is told.
    """
    source = c.scene.says("triplet")
    earlier: dict[tuple[str, ...], list[str]] = {}
    for number, context in enumerate(c.scene.context):
        for fact in context.facts:
            if fact.kind == "triplet" and fact.source == source and fact.terms[1] in ACTING:
                earlier.setdefault(tuple(fact.terms), []).append(f"context:{number}/{fact.id}")
    now = {tuple(fact.terms) for fact in c.scene.of_kind("triplet")}
    # What left the picture cannot be pointed at.
    there = {act[0] for act in now}
    earlier = {act: refs for act, refs in earlier.items() if act[0] in there}
    passed = sorted(a for a in earlier if a not in now and any(a[:2] == b[:2] for b in now))
    other = sorted(set(earlier) - now)
    candidates = passed or other or sorted(earlier)
    if not candidates:
        return None
    act = candidates[int(c.pick("before:which", [str(n) for n in range(len(candidates))]))]
    instrument = act[0]
    words = c.name(instrument)
    many = term(instrument).number == "plural"
    # Of two graspers nobody would know which one it was.
    twins = sum(fact.terms[0] == instrument for fact in c.scene.of_kind("triplet")) > 1 or any(
        sum(fact.terms[0] == instrument and fact.kind == "triplet" for fact in context.facts) > 1
        for context in c.scene.context
    )
    article = "a" if twins else "the"
    subject = words if twins and many else f"{article} {words}"
    text = fill(
        c.pick("before", BEFORE_TOO if act in now else BEFORE),
        subject=subject,
        were="were" if many else "was",
        act=acting(act),
    )
    return c.add(2, text, "label", earlier[act]), bool(passed) and not twins


def passed(c: Composer, number: int) -> int:
    """Level 3: the work has passed from the structure of the seconds before to that of now."""
    return c.add(3, c.pick("passed", PASSED), "follows", [f"statement:{number}"])
