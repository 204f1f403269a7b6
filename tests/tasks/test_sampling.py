"""Balance: five seconds, caps, habits, and couples of yes and no that stay together."""

from collections import Counter
from fractions import Fraction

import pytest

from cotgen.records import Fact, Scene, sample_key
from cotgen.surgeries.join import PRECEDENCE
from cotgen.tasks import plan_questions
from cotgen.tasks.base import Question
from cotgen.tasks.sampling import RARE, SECONDS, Planned, Rates, choose, class_of, count, habit_of, rates

CLOCK = "25/1"
GRASP = ("instrument.grasper", "verb.retract", "anatomy.gallbladder")
HOOK = ("instrument.hook", "verb.dissect", "anatomy.gallbladder")
HOOK_ELSEWHERE = ("instrument.hook", "verb.coagulate", "anatomy.liver")


def scene(number: int, second: int, phase: str, *triplets: tuple[str, str, str]) -> Scene:
    """One second of an operation with its phase by Cholec80, its instruments, and its acts."""
    kinds = sorted({triplet[0] for triplet in triplets})
    facts = [
        Fact(id="cholec80.phase.0", kind="phase", terms=[f"phase.{phase}"], source="cholec80"),
        *(
            Fact(id=f"cholec80.instrument.{n}", kind="instrument", terms=[kind], source="cholec80")
            for n, kind in enumerate(kinds)
        ),
        *(
            Fact(id=f"cholect50.triplet.{n}", kind="triplet", terms=list(triplet), source="cholect50")
            for n, triplet in enumerate(triplets)
        ),
    ]
    surgery = f"cholec80/{number}"
    return Scene(
        key=sample_key(surgery, 25 * second),
        surgery=surgery,
        index=25 * second,
        labelled=frozenset({"cholec80.phase", "cholec80.instrument", "cholect50.triplet"}),
        facts=tuple(facts),
        precedence=PRECEDENCE,
        size=(854, 480),
    )


def operation(number: int, seconds: int = 600) -> list[Scene]:
    """Mostly hook and grasper at the gallbladder; every tenth second the hook does another thing."""
    return [
        scene(
            number,
            second,
            "gallbladder_dissection" if second % 7 else "calot_triangle_dissection",
            GRASP,
            HOOK if second % 10 else HOOK_ELSEWHERE,
        )
        for second in range(seconds)
    ]


def planned(scenes: list[Scene], tasks: tuple[str, ...] = ("phase", "tool_yesno", "triplet")) -> list[Planned]:
    return list(plan_questions(scenes, tasks, 0))


def balanced(scenes: list[Scene], *, train: bool = True) -> tuple[list[Planned], Rates]:
    every = planned(scenes)
    counted = count(scenes, every, CLOCK, 0)
    found = rates([counted], [counted] if train else [])
    return choose(scenes, every, found, CLOCK, 0), found


def test_a_class_is_asked_once_in_five_seconds() -> None:
    scenes = operation(1)
    kept, found = balanced(scenes, train=False)
    seen = Counter(
        (question.task, class_of(question), question.truth, scenes[position].index // (25 * SECONDS))
        for position, question in kept
        if (question.task, class_of(question)) not in found.rare
    )
    assert kept and max(seen.values()) == 1


def test_a_rare_class_is_kept_whole() -> None:
    scenes = [*operation(1)[:-30], *(scene(1, 570 + n, "gallbladder_packaging", GRASP) for n in range(20))]
    kept, found = balanced(scenes)
    assert ("phase", "Gallbladder packaging") in found.rare
    packaging = [question for _, question in kept if question.answer == "Gallbladder packaging"]
    assert len(packaging) == 2 * 20 < RARE


def test_every_wording_of_a_yes_no_question_stays_half_yes() -> None:
    scenes = operation(1)
    kept, _ = balanced(scenes)
    sides = Counter((q.id, q.text, q.truth) for _, q in kept if q.truth in (("yes",), ("no",)))
    assert sides
    for (id, text, truth), number in sides.items():
        other = ("no",) if truth == ("yes",) else ("yes",)
        assert sides[id, text, other] == number


def test_frequent_classes_shrink_towards_the_median_and_none_grows() -> None:
    classes = {"a": 10_000, "b": 400, "c": 100}
    counts = {("phase", name, "", ""): (number, number) for name, number in classes.items()}
    found = rates([counts], [counts])
    assert found.kept == {("phase", "a"): Fraction(2_000, 10_000)}


def test_validation_and_test_keep_their_natural_distribution() -> None:
    counts = {("phase", "a", "", ""): (10_000, 10_000), ("phase", "b", "", ""): (100, 100)}
    assert rates([counts], []).kept == {} and rates([counts], []).expected == {}


def test_two_of_five_triplet_pairs_come_from_frames_where_habit_is_wrong() -> None:
    scenes = operation(1, 3000)
    kept, found = balanced(scenes)
    right = Counter(
        found.usual["triplet"][given] == outcome
        for position, question in kept
        for given, outcome in [habit_of(scenes[position], question)]
        if question.task == "triplet" and given
    )
    before = sum(1 for s in scenes if s.of_kind("triplet")[1].terms[1] == "verb.coagulate") / len(scenes)
    assert before == pytest.approx(0.1)
    assert right[False] / right.total() >= 0.4 - 0.05
    assert found.expected["triplet"] < 1


def test_what_is_chosen_depends_on_keys_and_seed_alone() -> None:
    scenes = operation(1)
    every = planned(scenes)
    counted = count(scenes, every, CLOCK, 0)
    found = rates([counted], [counted])
    assert choose(scenes, every, found, CLOCK, 0) == choose(scenes, every, Rates.from_json(found.to_json()), CLOCK, 0)
    assert choose(scenes, every, found, CLOCK, 0) != choose(scenes, every, found, CLOCK, 1)


def test_the_order_of_the_questions_stays() -> None:
    scenes = operation(1)
    every = planned(scenes)
    kept, _ = balanced(scenes)
    places = {id: n for n, id in enumerate((position, question.id) for position, question in every)}
    numbers = [places[position, question.id] for position, question in kept]
    assert numbers == sorted(numbers)


def test_criteria_of_safety_are_no_couples() -> None:
    question = Question("cvs.criterion.x", "cvs", "Is it met?", (), "No", ("no",))
    scenes = operation(1, 10)
    kept = choose(scenes, [(n, question) for n in (0, 7)], Rates(), CLOCK, 0)
    assert len(kept) == 2
