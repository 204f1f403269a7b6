"""Blind score: planted leaks are found, and questions that give nothing away are left alone."""

from collections.abc import Callable, Iterator
from itertools import product

import pytest

from cotgen.draws import draw, rendezvous, shuffled
from cotgen.evaluation.blind import Asked, BlindScore, kind_of, score_blind, wording_of
from cotgen.ontology import vocabulary
from cotgen.tasks import TASKS, Question
from cotgen.tasks.localization import ONE
from cotgen.tasks.phase import CHOICE, OPEN
from cotgen.tasks.tool_yesno import WORDINGS

PHASES = [item.answer for item in vocabulary("cholec80", "phase")]
IDS = {item.answer: (item.id,) for item in vocabulary("cholec80", "phase")}
TOOLS = [item for item in vocabulary("cholec80", "instrument") if item.id != "instrument.grasper"]
TRAIN = [f"cholec80/{n}" for n in range(1, 9)]
VALIDATION = [f"cholec80/{n}" for n in range(41, 46)]
FRAMES = 150


def frames(surgeries: list[str]) -> Iterator[tuple[str, str]]:
    """Surgery and key; the answer of a frame is drawn from its key, a third of all being the most frequent one."""
    return ((surgery, f"{surgery}-{n}") for surgery, n in product(surgeries, range(FRAMES)))


def answer_of(key: str) -> str:
    return PHASES[1] if draw(1, key) % 3 == 0 else rendezvous(1, PHASES, key)


def asked(surgery: str, question: Question, family: str = "cholec80") -> Asked:
    return Asked(question, surgery, family, (800, 480))


def scores(make: Callable[[str, str], Iterator[Question]]) -> dict[str, BlindScore]:
    train, validation = (
        [asked(surgery, question) for surgery, key in frames(split) for question in make(surgery, key)]
        for split in (TRAIN, VALIDATION)
    )
    return {score.name: score for score in score_blind(train, validation)}


def phase(key: str, *, text: str = "", options: tuple[str, ...] = ()) -> Question:
    answer = answer_of(key)
    id = "phase.choice" if options else "phase.open"
    text = text or rendezvous(0, CHOICE if options else OPEN, key, id)
    return Question(id, "phase", text, options, answer, IDS[answer])


def yes_no(key: str, yes_in_ten: Callable[[str], int]) -> Question:
    """Ten neighbours have one instrument and, two by two, one wording; so many of them have yes."""
    surgery, _, number = key.rpartition("-")
    ten, place = divmod(int(number), 10)
    tool = TOOLS[draw(2, surgery, str(ten)) % len(TOOLS)]
    answer = "Yes" if place in (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[: yes_in_ten(tool.id)] else "No"
    text = rendezvous(0, WORDINGS, surgery, str(int(number) // 2)).format_map(
        {"subject": tool.phrase, "is": "is", "Is": "Is"}
    )
    return Question(f"tool.yesno.{tool.id}", "tool_yesno", text, (), answer, (answer.lower(),), (tool.id,))


def box(key: str, *, there: bool, text: str) -> Question:
    left, top = draw(4, key) % 300, draw(5, key) % 200
    boxes = ((left, top, left + 300, top + 200),) if there else ()
    truth = (",".join(map(str, boxes[0])),) if there else ()
    answer = "<bbox:0>" if there else "not visible"
    id = "anatomy.gallbladder"
    return Question(f"loc.{id}", "localization", text, (), answer, truth, (id,), boxes)


def test_questions_that_give_nothing_away_are_left_alone() -> None:
    def clean(surgery: str, key: str) -> Iterator[Question]:
        yield phase(key)
        yield phase(key, options=tuple(shuffled(0, PHASES, key)))
        yield yes_no(key, lambda tool: 5)
        text = rendezvous(0, ONE, key).format_map({"the": "the gallbladder", "it": "it", "is": "is", "its": "its"})
        yield box(key, there=draw(6, key) % 8 > 0, text=text)

    found = scores(clean)
    assert {score.verdict for score in found.values()} == {"ok"}
    assert all(abs(score.gain) <= 0.02 for score in found.values()), found
    open_, choice = found["phase.open"], found["phase.choice"]
    assert 0.35 < open_.constant == choice.constant < 0.5, "a choice has the same constant: the most frequent option"
    assert (open_.train, open_.validation, open_.surgeries) == (1200, 750, 5)
    assert found["phase"].validation == 1500
    assert (found["tool_yesno"].constant, found["tool_yesno"].blind) == (0.5, 0.5)
    assert 0.2 < found["localization"].constant < 0.6, (
        "a box that meets most boxes half, not the true one of each frame"
    )


def test_a_wording_that_depends_on_the_answer_is_found() -> None:
    def leaking(surgery: str, key: str) -> Iterator[Question]:
        late = PHASES.index(answer_of(key)) > 3
        own = OPEN[: len(OPEN) // 2] if late else OPEN[len(OPEN) // 2 :]
        yield phase(key, text=rendezvous(0, own, key))

    assert scores(leaking)["phase"].verdict == "leaks"


def test_an_order_of_options_that_depends_on_the_answer_is_found() -> None:
    def leaking(surgery: str, key: str) -> Iterator[Question]:
        order = shuffled(0, PHASES, key)
        if draw(7, key) % 10 == 0:
            order.remove(answer_of(key))
            order.insert(0, answer_of(key))
        yield phase(key)
        yield phase(key, options=tuple(order))

    found = scores(leaking)
    assert found["phase.open"].verdict == "ok"
    always = scores(
        lambda surgery, key: iter(
            [phase(key, options=(answer_of(key), *(p for p in shuffled(0, PHASES, key) if p != answer_of(key))))]
        )
    )
    assert always["phase"].blind == 1.0 and always["phase"].verdict == "leaks"


def test_options_that_are_chosen_around_the_answer_are_found() -> None:
    def leaking(surgery: str, key: str) -> Iterator[Question]:
        place = PHASES.index(answer_of(key))
        near = [*PHASES[max(0, place - 2) : place], *PHASES[place : place + 2]]
        yield phase(key, options=tuple(shuffled(0, near, key)))

    assert scores(leaking)["phase"].verdict == "leaks"


def test_a_named_term_that_is_mostly_right_is_found() -> None:
    def leaking(surgery: str, key: str) -> Iterator[Question]:
        yield yes_no(key, lambda tool: 9 if tool == "instrument.hook" else 5)

    found = scores(leaking)["tool_yesno"]
    assert found.verdict == "leaks" and found.gain > found.margin > 0


def test_a_wording_that_tells_what_is_not_there_is_found() -> None:
    def leaking(surgery: str, key: str) -> Iterator[Question]:
        there = draw(6, key) % 8 > 0
        slots = {"the": "the gallbladder", "it": "it", "is": "is", "its": "its"}
        yield box(key, there=there, text=ONE[0 if there else 1].format_map(slots))

    found = scores(leaking)["localization"]
    assert found.verdict == "leaks" and found.gain > 0.1


def test_the_constant_answer_knows_the_data_set_and_the_named_instrument() -> None:
    def doing(name: str, verb: str) -> Question:
        id = f"instrument.{name}"
        truth = (id, f"verb.{verb}", "anatomy.gallbladder")
        text = f"What is the {name} doing, and to what?"
        return Question(f"triplet.doing.{id}", "triplet", text, (), f"{name}, {verb}, gallbladder", truth, (id,))

    both = [doing("hook", "dissect"), doing("grasper", "dissect")]
    train = [asked(surgery, question) for surgery, _ in frames(TRAIN) for question in both]
    validation = [asked(surgery, question) for surgery, _ in frames(VALIDATION) for question in both]
    (score,) = score_blind(train, validation)
    assert (score.constant, score.blind, score.verdict) == (1.0, 1.0, "ok")
    other = [asked(surgery, doing("hook", "retract"), "table") for surgery, _ in frames(TRAIN)]
    (score,) = score_blind([*train, *other], [asked("table/1", doing("hook", "retract"), "table")])
    assert score.constant == 1.0


@pytest.mark.parametrize(("train", "validation"), [(TRAIN[:1], VALIDATION), (TRAIN, VALIDATION[:2])])
def test_of_few_questions_or_operations_nothing_is_said(train: list[str], validation: list[str]) -> None:
    leaking = [
        [asked(s, phase(key, text=OPEN[PHASES.index(answer_of(key))])) for s, key in frames(split)]
        for split in (train, validation)
    ]
    (score,) = score_blind(*leaking)
    assert score.blind == 1.0 and (score.verdict, score.margin) == ("few", 0.0)


def test_every_wording_is_known_again_from_its_question() -> None:
    filled = {"subject": "a hook", "the": "the hook", "is": "is", "Is": "Is", "does": "does", "it": "it", "its": "its"}
    filled |= {"this": "hook, dissect, cystic duct", "a": "the hook", "b": "the gallbladder", "that": "that it is so"}
    filled |= {"act": "dissecting at the gallbladder", "every": "every hook", "one": "one"}
    for name, task in TASKS.items():
        assert [wording_of(name, text.format_map(filled)) for text in task.wordings] == list(task.wordings)
    assert wording_of("phase", "Which phase of the gastric bypass is in progress here?").count("bypass") == 1


def test_the_kind_of_a_question_is_its_id_without_the_terms() -> None:
    kinds = {
        "phase.open": "phase.open",
        "tool.yesno.instrument.clipper": "tool.yesno",
        "triplet.doing.instrument.hook": "triplet.doing",
        "triplet.yesno.hook.dissect.cystic_duct": "triplet.yesno",
        "loc.anatomy.gallbladder": "loc",
        "loc.all": "loc.all",
        "position.anatomy.cystic_duct.anatomy.gallbladder": "position",
        "cvs.one.two_structures": "cvs.one",
    }
    for id, kind in kinds.items():
        task = next(task for task in TASKS.values() if _is_of(task.subject, id))
        assert kind_of(Question(id, task.name, "", (), "", (), task.subject(id))) == kind


def _is_of(subject: Callable[[str], tuple[str, ...]], id: str) -> bool:
    try:
        subject(id)
    except ValueError:
        return False
    return True
