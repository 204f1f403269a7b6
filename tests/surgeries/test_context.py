"""Temporal context: what was labelled in the seconds before a frame, and nothing else."""

import polars as pl

from cotgen.chains.write import Written, write_scenes
from cotgen.records import Scene
from cotgen.sources.base import FACTS_SCHEMA, LABELLED_SCHEMA, SurgeryFacts
from cotgen.surgeries.context import with_context
from cotgen.surgeries.join import PRECEDENCE, scenes
from cotgen.tasks import plan_questions
from cotgen.tasks.phase import CONTEXT, CONTEXT_ID

SCISSORS, CUT = "instrument.scissors", "verb.cut"
DUCT, ARTERY = "anatomy.cystic_duct", "anatomy.cystic_artery"
BOX = [0.25, 0.25, 0.5, 0.5]


def triplets(*seconds: tuple[int, str], presence: dict[int, list[str]] | None = None) -> list[SurgeryFacts]:
    """At each of these seconds scissors cut that structure in the clipping phase; optionally Cholec80's instruments."""
    rows, labelled = [], []
    for second, what in seconds:
        index = 25 * second
        rows.append((index, "cholect50.triplet.0", "triplet", [SCISSORS, CUT, what], BOX, 1.0, "cholect50"))
        rows.append(
            (index, "cholect50.phase.0", "phase", ["phase.clipping_and_cutting"], [], 1.0, "cholect50")
        )  # fmt: skip
        labelled += [(index, "cholect50.triplet"), (index, "cholect50.phase")]
    found = [_facts(rows, labelled)]
    if presence:
        found.append(
            _facts(
                [
                    (25 * second, f"cholec80.instrument.{n}", "instrument", [name], [], 1.0, "cholec80")
                    for second, names in presence.items()
                    for n, name in enumerate(names)
                ],
                [(25 * second, "cholec80.instrument") for second in presence],
            )
        )
    return found


def _facts(rows: list[tuple[object, ...]], labelled: list[tuple[int, str]]) -> SurgeryFacts:
    return SurgeryFacts(
        "cholec80/73",
        pl.DataFrame(rows, schema=FACTS_SCHEMA, orient="row"),
        pl.DataFrame(labelled, schema=LABELLED_SCHEMA, orient="row"),
    )


def seen_at(second: int, facts: list[SurgeryFacts], *, without: tuple[int, ...] = ()) -> Scene:
    """The scene of one second with three seconds of context."""
    found = scenes(facts, {}, {25 * second: (860, 480)}, "cholecystectomy", PRECEDENCE)
    return with_context(found, facts, seconds=3, clock="25/1", every=25, without=without)[0]


def offsets(scene: Scene) -> list[float]:
    return [context.offset_s for context in scene.context]


def test_the_three_seconds_before_the_earliest_first_and_never_a_later_one() -> None:
    facts = triplets(*((second, ARTERY) for second in range(5, 12)))
    assert offsets(seen_at(9, facts)) == [-3.0, -2.0, -1.0]
    assert offsets(seen_at(5, facts)) == []
    assert [fact.id for fact in seen_at(9, facts).context[0].facts] == ["cholect50.triplet.0", "cholect50.phase.0"]


def test_boxes_of_other_pictures_are_left_out() -> None:
    scene = seen_at(6, triplets((5, ARTERY), (6, ARTERY)))
    assert scene.facts[0].box and not scene.context[0].facts[0].box


def test_nothing_is_told_across_a_gap_of_the_labels() -> None:
    assert offsets(seen_at(9, triplets((6, ARTERY), (8, ARTERY), (9, ARTERY)))) == [-1.0]
    assert offsets(seen_at(9, triplets((7, ARTERY), (9, ARTERY)))) == []


def test_what_was_withdrawn_is_not_told_and_ends_the_context() -> None:
    facts = triplets(*((second, ARTERY) for second in range(5, 10)))
    assert offsets(seen_at(9, facts, without=(7 * 25,))) == [-1.0]


def test_an_instant_whose_sources_contradict_one_another_ends_the_context() -> None:
    presence = {second: ["instrument.hook"] if second == 7 else [SCISSORS] for second in range(5, 10)}
    facts = triplets(*((second, ARTERY) for second in range(5, 10)), presence=presence)
    assert offsets(seen_at(9, facts)) == [-1.0]


def test_half_seconds_see_the_whole_seconds_before_them() -> None:
    facts = triplets(*((second, ARTERY) for second in range(5, 10)))
    scene = scenes(facts, {}, {225: (860, 480)}, "cholecystectomy", PRECEDENCE)[0]
    moved = Scene(**{name: getattr(scene, name) for name in scene.__slots__} | {"index": 237})
    assert offsets(with_context([moved], facts, seconds=3, clock="25/1", every=25)[0]) == [-2.48, -1.48, -0.48]


def test_the_question_tells_what_the_picture_does_not_show() -> None:
    scene = seen_at(9, triplets((7, ARTERY), (8, ARTERY), (9, DUCT)))
    asked = {question.id: question for _, question in plan_questions([scene], ["phase"], 0)}
    wording, *lines = asked[CONTEXT_ID].text.split("\n")
    assert wording in CONTEXT
    assert lines == ["2 s before: scissors, cut, cystic artery", "1 s before: scissors, cut, cystic artery"]
    assert asked[CONTEXT_ID].answer == asked["phase.open"].answer


def test_without_context_there_is_no_such_question() -> None:
    scene = seen_at(9, triplets((9, DUCT)))
    assert [question.id for _, question in plan_questions([scene], ["phase"], 0)] == ["phase.open", "phase.choice"]


def test_the_chain_tells_the_act_before_with_its_evidence_and_where_the_work_has_passed() -> None:
    scene = seen_at(9, triplets((7, ARTERY), (8, ARTERY), (9, DUCT)))
    written = Written([])
    pairs = next(write_scenes([scene], tasks=["phase"], seed=0, priors=None, written=written))
    assert not written.refused
    chain = {pair.id: pair.statements for pair in pairs}
    before = [statement for statement in chain[CONTEXT_ID] if "before" in statement.text]
    assert [statement.evidence for statement in before] == [
        ["context:0/cholect50.triplet.0", "context:1/cholect50.triplet.0"]
    ]
    assert before[0].text.endswith("before, the scissors were cutting the cystic artery.")
    assert any(statement.text == "The work has passed from one to the other." for statement in chain[CONTEXT_ID])
    assert not any("before" in statement.text for statement in chain["phase.open"])
