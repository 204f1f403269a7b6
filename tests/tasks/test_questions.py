"""What is asked, how often, and that the words of a question never tell its answer."""

import re
import string
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from cotgen.errors import CotgenError
from cotgen.ontology import alias, vocabulary
from cotgen.records import Fact, Pair, Scene, Statement
from cotgen.tasks import TASKS, Question, chosen_tasks, plan_questions, wordings_sha256
from cotgen.tasks.balance import room_for
from cotgen.tasks.phase import CHOICE, OPEN

SceneOf = Callable[..., Scene]
SurgeryOf = Callable[..., list[Scene]]
Asked = list[tuple[Scene, Question]]
#: The tasks that Cholec80's labels feed.
OF_CHOLEC80 = ["phase", "tool_presence", "tool_count", "tool_yesno", "field_visible"]
POOLS = {
    "phase.open": OPEN,
    "phase.choice": CHOICE,
    **{name: task.wordings for name, task in TASKS.items() if name != "phase"},
}
ASKED_TOOLS = [item for item in vocabulary("cholec80", "instrument") if item.id != "instrument.grasper"]


@pytest.fixture(scope="module")
def asked(corpus: list[list[Scene]]) -> Asked:
    return [(scenes[place], question) for scenes in corpus for place, question in plan_questions(scenes, TASKS, 7)]


def of_task(asked: Asked, start: str) -> Asked:
    return [(scene, question) for scene, question in asked if question.id.startswith(start)]


def chi_square(pairs: Iterable[tuple[str, str]]) -> tuple[float, float]:
    """Statistic of independence of two columns, and the value that 999 of 1,000 independent tables stay under.

    The quantile is the approximation of Wilson and Hilferty, which is good to a per cent from ten degrees of freedom.
    """
    table = Counter(pairs)
    rows, columns = Counter[str](), Counter[str]()
    for (row, column), count in table.items():
        rows[row] += count
        columns[column] += count
    total = sum(rows.values())
    expected = {(row, column): rows[row] * columns[column] / total for row in rows for column in columns}
    statistic = sum((table[cell] - count) ** 2 / count for cell, count in expected.items())
    degrees = (len(rows) - 1) * (len(columns) - 1)
    return statistic, degrees * (1 - 2 / (9 * degrees) + 3.09 * (2 / (9 * degrees)) ** 0.5) ** 3


# Wordings


@pytest.mark.parametrize("pool", POOLS)
def test_there_are_fifteen_wordings_or_more(pool: str) -> None:
    assert len(set(POOLS[pool])) == len(POOLS[pool]) >= 15


@pytest.mark.parametrize("wording", sorted({wording for pool in POOLS.values() for wording in pool}))
def test_a_wording_is_a_plain_sentence_that_favours_no_answer(wording: str) -> None:
    assert re.fullmatch(r"[A-Z{][A-Za-z'{}:,;? .]+[?.]", wording) and "  " not in wording
    fields = {field for _, field, _, _ in string.Formatter().parse(wording) if field}
    # What the question names, and words that agree with it; never something that depends on the answer.
    assert fields <= {
        "subject",
        "is",
        "Is",
        "the",
        "it",
        "its",
        "does",
        "this",
        "that",
        "a",
        "b",
        "act",
        "every",
        "one",
    }
    words = set(re.findall(r"[a-z]+", wording.lower()))
    assert not words & {
        "still",
        "any",
        "yet",
        "already",
        "only",
        "again",
        "now",
        "continue",
        "frame",
        "video",
        "label",
    }
    named = {item.answer.lower() for kind in ("instrument", "phase") for item in vocabulary("cholec80", kind)} - {
        "specimen bag"
    }
    assert not any(name in wording.lower() for name in named)


def test_the_sha_of_the_wordings_changes_with_a_wording(monkeypatch: pytest.MonkeyPatch) -> None:
    before = wordings_sha256()
    assert before == wordings_sha256()
    monkeypatch.setattr(TASKS["tool_count"], "wordings", (*TASKS["tool_count"].wordings, "How many kinds?"))
    assert wordings_sha256() != before


def test_the_verb_agrees_with_the_instrument(asked: Asked) -> None:
    for _, question in of_task(asked, "tool.yesno."):
        plural = question.subject[0] in ("instrument.scissors", "instrument.bipolar")
        verbs = set(re.findall(r"\b(?:is|are)\b", question.text.lower()))
        assert verbs <= ({"are"} if plural else {"is"})
        phrase = next(item.phrase for item in vocabulary("cholec80", "instrument") if item.id == question.subject[0])
        assert re.search(rf"\b{re.escape(phrase)}\b", question.text)


def test_a_question_of_each_instrument_reads_well(asked: Asked) -> None:
    first = POOLS["tool_yesno"][0]
    assert first == "{Is} {subject} in view?"
    texts = {question.text for _, question in of_task(asked, "tool.yesno.")}
    assert {
        "Are bipolar forceps in view?",
        "Are scissors in view?",
        "Is a clip applier in view?",
        "Is a hook in view?",
        "Is a specimen bag in view?",
        "Is an irrigator in view?",
    } <= texts


# Words and answers


@pytest.mark.parametrize("start", ["phase.open", "phase.choice", "tool.presence", "tool.count"])
def test_wording_and_answer_are_independent(asked: Asked, start: str) -> None:
    pairs = [(question.text, question.answer) for _, question in of_task(asked, start)]
    common = {answer for answer, count in Counter(answer for _, answer in pairs).items() if count >= 100}
    pairs = [pair for pair in pairs if pair[1] in common]
    assert len(pairs) > 3_000 and len(common) >= 3
    statistic, limit = chi_square(pairs)
    assert statistic < limit


def test_the_independence_test_finds_a_dependence(asked: Asked) -> None:
    """A tenth of the answers with a wording of their own is enough to be found."""
    pairs = [(question.text, question.answer) for _, question in of_task(asked, "tool.count")]
    leaky = [("Is it one?" if a == "1" and n % 10 == 0 else text, a) for n, (text, a) in enumerate(pairs)]
    statistic, limit = chi_square(leaky)
    assert statistic > limit


def test_a_wording_depends_on_seed_key_and_id_alone(corpus: list[list[Scene]]) -> None:
    """Other labels on the same frames: the same words wherever the same question is asked."""
    scenes = corpus[0]
    names = ["phase", "tool_presence", "tool_count"]
    relabelled = [
        replace(scene, facts=other.facts, measured=other.measured)
        for scene, other in zip(scenes, scenes[500:] + scenes[:500], strict=True)
    ]
    one, other = (
        {(p, q.id): (q.text, q.options) for p, q in plan_questions(its, names, 0)} for its in (scenes, relabelled)
    )
    shared = one.keys() & other.keys()
    assert len(shared) > 4_000
    assert all(one[place] == other[place] for place in shared)


def test_every_wording_has_exactly_as_many_yes_as_no(asked: Asked) -> None:
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for _, question in [*of_task(asked, "tool.yesno."), *of_task(asked, "field.visible")]:
        found[question.id, question.text][question.answer] += 1
    assert len(found) > 90
    assert all(counts["Yes"] == counts["No"] > 0 for counts in found.values())


def test_yes_and_no_come_in_equal_parts_from_each_phase(asked: Asked) -> None:
    found: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for scene, question in of_task(asked, "tool.yesno."):
        found[question.id, scene.surgery, scene.terms("phase")[0]][question.answer] += 1
    assert {place[0].removeprefix("tool.yesno.") for place in found} == {item.id for item in ASKED_TOOLS}
    assert all(counts["Yes"] == counts["No"] for counts in found.values())


def test_as_many_are_asked_as_the_phase_allows(make_surgery: SurgeryOf) -> None:
    scenes = make_surgery()
    for tool in ASKED_TOOLS:
        there, absent = Counter[str](), Counter[str]()
        for scene in scenes:
            if scene.has_field:
                (there if tool.id in scene.terms("instrument") else absent)[scene.terms("phase")[0]] += 1
        expected = 2 * sum(min(there[phase], absent[phase]) for phase in there)
        asked = [q for _, q in plan_questions(scenes, ["tool_yesno"], 0) if q.subject == (tool.id,)]
        assert len(asked) == expected


def test_the_grasper_and_frames_without_a_phase_are_not_asked_about(make_scene: SceneOf) -> None:
    tools = [["grasper"], ["hook"], [], ["hook", "grasper"]] * 5
    scenes = [make_scene("cholec80/1", n, "preparation", tool) for n, tool in enumerate(tools)]
    asked = list(plan_questions(scenes, ["tool_yesno"], 0))
    assert {question.subject for _, question in asked} == {("instrument.hook",)} and len(asked) == 20
    without = [make_scene("cholec80/1", n, "", tool) for n, tool in enumerate(tools)]
    assert list(plan_questions(without, ["tool_yesno"], 0)) == []


# Choices


def test_the_options_are_all_seven_and_the_truth_stands_anywhere(asked: Asked) -> None:
    questions = [question for _, question in of_task(asked, "phase.choice")]
    places: dict[str, Counter[int]] = defaultdict(Counter)
    for question in questions:
        assert sorted(question.options) == sorted(item.answer for item in vocabulary("cholec80", "phase"))
        places[question.answer][question.options.index(question.answer)] += 1
    assert len(places) == 7
    total = sum(places.values(), Counter[int]())
    expected = len(questions) / 7
    assert sum((total[place] - expected) ** 2 / expected for place in range(7)) < 22.5  # 6 degrees, 99.9 %
    statistic, limit = chi_square((a, str(place)) for a, c in places.items() for place in c.elements())
    assert statistic < limit


def test_open_questions_have_no_options(asked: Asked) -> None:
    assert all(question.options == () for _, question in asked if question.id != "phase.choice")


# Caps and frames without a field


@pytest.mark.parametrize(("pair_id", "answer"), [("tool.presence", "none"), ("tool.count", "0")])
def test_the_empty_answer_is_right_in_at_most_five_per_cent(asked: Asked, pair_id: str, answer: str) -> None:
    by_surgery: dict[str, Counter[str]] = defaultdict(Counter)
    for scene, question in of_task(asked, pair_id):
        by_surgery[scene.surgery][question.answer] += 1
    assert all(0.045 < answers[answer] / answers.total() <= 0.05 for answers in by_surgery.values())


def test_a_cap_rounds_down() -> None:
    assert [room_for(5, others) for others in (0, 18, 19, 37, 38)] == [0, 0, 1, 1, 2]
    assert [room_for(1, others) for others in (98, 99, 197, 198)] == [0, 1, 1, 2]


def test_the_bag_is_an_instrument_for_presence_and_none_for_the_count(make_scene: SceneOf) -> None:
    scenes = [make_scene("cholec80/1", n, "gallbladder_packaging", ["specimen_bag", "grasper"]) for n in range(3)]
    found = {q.id: (q.answer, q.truth) for _, q in plan_questions(scenes, ["tool_presence", "tool_count"], 0)}
    assert found["tool.presence"] == ("grasper\nspecimen bag", ("instrument.grasper", "instrument.specimen_bag"))
    assert found["tool.count"] == ("1", ("1",))


def test_a_black_frame_is_asked_about_its_field_alone(asked: Asked) -> None:
    about_black = {question.id for scene, question in asked if not scene.has_field}
    assert about_black == {"field.visible"}
    assert all(q.answer == ("Yes" if scene.has_field else "No") for scene, q in of_task(asked, "field.visible"))


def test_the_field_is_asked_about_in_at_most_one_per_cent(asked: Asked, corpus: list[list[Scene]]) -> None:
    for scenes in corpus:
        found = Counter(question.id for scene, question in asked if scene.surgery == scenes[0].surgery)
        assert 0 < found["field.visible"] <= 0.01 * found.total()
        assert found["field.visible"] == 2 * sum(not scene.has_field for scene in scenes)


def test_many_black_frames_meet_the_cap(make_surgery: SurgeryOf) -> None:
    asked = Counter(question.id for _, question in plan_questions(make_surgery(black_every=4), TASKS, 0))
    assert 0.009 < asked["field.visible"] / asked.total() <= 0.01 and asked["field.visible"] % 2 == 0


def test_a_small_surgery_has_room_for_one_couple_from_198_other_questions(make_surgery: SurgeryOf) -> None:
    for seconds in range(20, 120, 5):
        asked = Counter(q.id for _, q in plan_questions(make_surgery(seconds=seconds, black_every=10), TASKS, 0))
        others = asked.total() - asked["field.visible"]
        assert asked["field.visible"] == 2 * min(others // 198, seconds // 10)


def test_without_black_frames_or_pixels_the_field_is_not_asked_about(make_scene: SceneOf) -> None:
    for black in (0.0, None):
        scenes = [make_scene("cholec80/1", n, "preparation", ["hook"], black) for n in range(300)]
        assert not [q for _, q in plan_questions(scenes, TASKS, 0) if q.task == "field_visible"]


def test_what_was_not_labelled_is_not_asked(make_scene: SceneOf) -> None:
    only_phase = [make_scene("cholec80/1", n, "preparation", labelled=()) for n in range(40)]
    assert {q.id for _, q in plan_questions(only_phase, TASKS, 0)} == {"phase.open", "phase.choice"}
    only_tools = [make_scene("cholec80/1", n, "", ["hook"]) for n in range(40)]
    assert {q.id for _, q in plan_questions(only_tools, TASKS, 0)} == {"tool.presence", "tool.count"}
    assert list(plan_questions([], TASKS, 0)) == []


# Plans


def test_a_plan_is_in_time_order_and_asks_nothing_twice(corpus: list[list[Scene]]) -> None:
    asked = list(plan_questions(corpus[0], TASKS, 0))
    positions = [position for position, _ in asked]
    assert positions == sorted(positions)
    places = [(position, question.id) for position, question in asked]
    assert len(places) == len(set(places))


def test_a_plan_depends_on_its_surgery_tasks_and_seed_alone(corpus: list[list[Scene]]) -> None:
    alone = list(plan_questions(corpus[1], TASKS, 0))
    list(plan_questions(corpus[0], TASKS, 0))
    assert list(plan_questions(corpus[1], reversed(list(TASKS)), 0)) == alone
    assert list(plan_questions(corpus[1], TASKS, 1)) != alone


def test_one_task_alone_asks_what_it_asks_among_others(corpus: list[list[Scene]]) -> None:
    every = list(plan_questions(corpus[0], TASKS, 0))
    for name in ("phase", "tool_presence", "tool_count", "tool_yesno"):
        assert list(plan_questions(corpus[0], [name], 0)) == [entry for entry in every if entry[1].task == name]


@pytest.mark.parametrize("name", OF_CHOLEC80)
def test_a_new_wording_changes_only_the_questions_it_wins(
    name: str, make_surgery: SurgeryOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes = make_surgery(black_every=5)
    before = list(TASKS[name].questions(scenes, 0))
    new = "Brand new: {subject}?" if name == "tool_yesno" else "Brand new?"
    module = import_module(f"cotgen.tasks.{name}")
    for pool in ("OPEN", "CHOICE") if name == "phase" else ("WORDINGS",):
        monkeypatch.setattr(module, pool, (*getattr(module, pool), new))
    after = list(TASKS[name].questions(scenes, 0))
    won = sum(question.text.startswith("Brand new") for _, question in after)
    assert 0 < won < len(after) / 8
    for (position, old), (other_position, question) in zip(before, after, strict=True):
        assert position == other_position
        if not question.text.startswith("Brand new"):
            assert question == old
        else:
            assert replace(question, text=old.text) == old


def test_an_unknown_task_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CotgenError, match="tool_presence"):
        list(plan_questions([], ["phases"], 0))
    assert [task.name for task in chosen_tasks(["tool_count", "phase"])] == ["phase", "tool_count"]


# Truth, parser and score are of one piece


def test_the_written_answer_is_the_truth_by_the_facts_and_scores_one(asked: Asked) -> None:
    for scene, question in asked[::3]:
        task = TASKS[question.task]
        assert task.parse(question.answer, question) == question.truth == task.truth(scene, question)
        assert task.score(question.answer, question) == 1.0
        assert task.subject(question.id) == question.subject


def test_a_stored_pair_gives_its_question_back(asked: Asked) -> None:
    said = Statement(level=1, text="A hook is in view.", basis="label", evidence=["fact:cholec80.instrument.0"])
    for _, question in {question.id: (scene, question) for scene, question in asked}.values():
        pair = Pair(
            id=question.id, task=question.task, question=question.text, options=list(question.options),
            support="asserted", statements=[said], answer=question.answer, writer="template/1",
        )  # fmt: skip
        assert Question.of(pair) == question
        for change in ({"answer": "something else"}, {"task": "no_task"}, {"id": "phase.closed"}):
            with pytest.raises(ValueError):
                Question.of(pair.model_copy(update=change))


def test_the_labels_do_not_say_that_a_grasper_is_absent(make_scene: SceneOf) -> None:
    task = TASKS["tool_yesno"]
    scene = make_scene("cholec80/1", 0, "preparation", ["hook"])
    grasper, hook, clipper = (
        Question(f"tool.yesno.instrument.{name}", task.name, "?", (), "Yes", ("yes",), (f"instrument.{name}",))
        for name in ("grasper", "hook", "clipper")
    )
    assert (task.truth(scene, grasper), task.truth(scene, hook), task.truth(scene, clipper)) == (
        None,
        ("yes",),
        ("no",),
    )


# Cost, and the house


@pytest.mark.parametrize("name", list(TASKS))
@pytest.mark.slow
def test_six_thousand_frames_take_well_under_a_second(name: str, make_surgery: SurgeryOf) -> None:
    scenes = make_surgery(seconds=6_000)
    started = time.process_time()
    list(TASKS[name].questions(scenes, 0))
    assert time.process_time() - started < 1.0


def test_tasks_know_nothing_of_chains() -> None:
    code = "import sys, cotgen.tasks; print([m for m in sys.modules if m.startswith('cotgen.chains')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


# Real annotations


@pytest.mark.real
@pytest.mark.slow
def test_the_real_operations_give_balanced_questions(real_data: Path, make_scene: SceneOf) -> None:
    phase_of = {name: id.partition(".")[2] for name, id in alias("cholec80", "phase").items()}
    tool_of = {name: id.partition(".")[2] for name, id in alias("cholec80", "instrument").items()}
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    frames = 0
    for file in sorted((real_data / "cholec80/phase_annotations").glob("*.txt")):
        phases = dict(line.split("\t") for line in file.read_text().splitlines()[1:])
        head, *rows = Path(str(file).replace("phase", "tool")).read_text().splitlines()
        scenes = []
        for row in rows:
            index, *there = row.split("\t")
            tools = [tool_of[name] for name, value in zip(head.split("\t")[1:], there, strict=True) if value == "1"]
            scenes.append(
                make_scene(f"cholec80/{int(file.name[5:7])}", int(index) // 25, phase_of[phases[index]], tools)
            )
        frames += len(scenes)
        for _, question in plan_questions(scenes, TASKS, 0):
            answers[question.id][question.answer] += 1
    assert frames == 19_200
    assert answers["phase.open"].total() == answers["phase.choice"].total() == frames
    assert answers["tool.presence"]["none"] <= 0.05 * answers["tool.presence"].total()
    assert answers["tool.count"]["0"] <= 0.05 * answers["tool.count"].total()
    for tool in ASKED_TOOLS:
        counts = answers[f"tool.yesno.{tool.id}"]
        assert counts["Yes"] == counts["No"] > 200


def test_kinds_are_neither_named_nor_counted_where_an_act_names_a_further_one() -> None:
    retract = ["instrument.grasper", "verb.retract", "anatomy.gallbladder"]
    scene = Scene(
        "cholec80-73-000025",
        "cholec80/73",
        25,
        frozenset({"cholec80.instrument", "cholect50.triplet"}),
        (
            Fact(id="cholec80.instrument.0", kind="instrument", terms=["instrument.hook"], source="cholec80"),
            Fact(id="cholect50.triplet.0", kind="triplet", terms=retract, source="cholect50"),
        ),
    )
    assert not list(plan_questions([scene], ["tool_presence", "tool_count"], 0))
    without = replace(scene, facts=scene.facts[:1])
    asked = [question.task for _, question in plan_questions([without], ["tool_presence", "tool_count"], 0)]
    assert asked == ["tool_presence", "tool_count"]
