"""The critical view of safety by votes, and the structures that are seen."""

from dataclasses import replace

import pytest

from cotgen.records import Fact, Measured, Scene
from cotgen.tasks.anatomy import ANATOMY
from cotgen.tasks.cvs import CRITERIA, CVS


def scene(n: int, votes: tuple[int, int, int], whole: float | None = None) -> Scene:
    facts = [
        Fact(id=f"endoscapes.cvs.{k}", kind="cvs", terms=[id], value=count / 3, source="endoscapes")
        for k, (id, count) in enumerate(zip(CRITERIA, votes, strict=True))
    ]
    if whole is not None:
        facts.append(
            Fact(
                id="endoscapes.cvs_overall.0",
                kind="cvs_overall",
                terms=["cvs.critical_view"],
                value=whole,
                source="endoscapes",
            )
        )
    names = frozenset({"endoscapes.cvs"} | ({"endoscapes.cvs_overall"} if whole is not None else set()))
    return Scene(f"endoscapes-1-{n:06d}", "endoscapes/1", n, names, tuple(facts))


def test_two_of_three_raters_meet_a_criterion() -> None:
    question = next(q for _, q in CVS.questions([scene(0, (3, 2, 1), 0.0)], 0))
    assert question.answer == (
        "two structures: yes\nhepatocystic triangle: yes\ncystic plate: no\ncritical view: not achieved"
    )
    assert CVS.parse(question.answer, question) == question.truth
    assert CVS.score(question.answer, question) == 1.0


def test_the_whole_is_asked_only_where_the_raters_determine_it() -> None:
    question = next(q for _, q in CVS.questions([scene(0, (2, 2, 2))], 0))
    assert "critical view" not in question.answer and len(question.truth) == 3
    achieved = next(q for _, q in CVS.questions([scene(0, (3, 3, 2), 2 / 3)], 0))
    assert achieved.answer.endswith("critical view: achieved")


@pytest.mark.parametrize(
    ("votes", "end"),
    [
        ((2, 2, 1), "not achieved"), ((1, 1, 1), "not achieved"), ((3, 3, 0), "not achieved"), ((3, 3, 2), ": achieved"),
        ((3, 2, 2), "cystic plate: yes"), ((2, 2, 2), "cystic plate: yes"),
    ],
)  # fmt: skip
def test_a_majority_that_the_means_leave_no_doubt_of_needs_no_share(votes: tuple[int, int, int], end: str) -> None:
    question = next(q for _, q in CVS.questions([scene(0, votes)], 0))
    assert question.answer.endswith(end)


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("two structures: no\nhepatocystic triangle: yes\ncystic plate: no\ncritical view: not achieved", 0.75),
        ("two structures: yes\nhepatocystic triangle: yes\ncystic plate: no", 0.75),
        ("No", 0.0),
        ("cystic plate: no\ntwo structures: yes\nhepatocystic triangle: yes", 0.0),
        ("two structures: probably\nhepatocystic triangle: yes\ncystic plate: no", 0.0),
    ],
)
def test_each_criterion_counts_the_same(reply: str, score: float) -> None:
    question = next(q for _, q in CVS.questions([scene(0, (3, 2, 1), 0.0)], 0))
    assert CVS.score(reply, question) == pytest.approx(score)


def test_single_criteria_are_asked_in_equal_parts() -> None:
    scenes = [scene(n, (3 if n % 3 == 0 else 0, 0, n % 4)) for n in range(60)]
    for criterion in CRITERIA:
        answers = [q.answer for _, q in CVS.questions(scenes, 0) if q.subject == (criterion,)]
        assert answers.count("Yes") == answers.count("No")
    assert any(q.subject for _, q in CVS.questions(scenes, 0))


def outlined(*names: str, ignored: float = 0.0) -> Scene:
    facts = [
        Fact(id=f"endoscapes.anatomy.{n}", kind="anatomy", terms=[f"anatomy.{name}"], source="endoscapes")
        for n, name in enumerate(names)
    ]
    return Scene(
        "endoscapes-1-000000", "endoscapes/1", 0, frozenset({"endoscapes.anatomy"}), tuple(facts),
        (Measured(name="ignored", value=ignored),),
    )  # fmt: skip


def test_structures_are_asked_where_the_outlines_are_complete() -> None:
    ((_, question),) = ANATOMY.questions([outlined("cystic_duct", "gallbladder")], 0)
    assert question.answer == "gallbladder\ncystic duct"
    assert ANATOMY.score("cystic duct, gallbladder", question) == 1.0
    assert ANATOMY.score("gallbladder", question) == pytest.approx(2 / 3)
    assert list(ANATOMY.questions([outlined("gallbladder", ignored=0.2)], 0)) == []


def test_the_halves_of_a_couple_get_a_chain_or_neither_does() -> None:
    """Every fifth frame has outlines, more often where a criterion is met: still equal parts among those that have."""
    scenes = []
    for n in range(60):
        found = scene(n, (3 if n % 3 else 0, 0, 0))
        outlined = n % 5 == 0 or (n % 7 == 0 and n % 3 > 0)
        scenes.append(replace(found, labelled=found.labelled | ({"endoscapes.anatomy"} if outlined else set())))
    asked = [(n, q) for n, q in CVS.questions(scenes, 0) if q.subject]
    for outlined in (True, False):
        own = [(q.text, q.answer) for n, q in asked if bool(scenes[n].says("anatomy")) == outlined]
        assert own
        for text in {text for text, _ in own}:
            assert own.count((text, "Yes")) == own.count((text, "No")) > 0
