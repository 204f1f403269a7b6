"""Runs of equal facts: what a second later is the same counts once."""

from collections import Counter

from cotgen.tasks import TASKS, plan_questions
from cotgen.tasks.runs import run_numbers, with_runs
from tests.tasks.conftest import SceneOf


def test_a_run_ends_where_the_facts_that_a_task_reads_change(make_scene: SceneOf) -> None:
    seen = [("preparation", ["grasper"]), ("preparation", ["grasper"]), ("preparation", ["grasper", "hook"])]
    seen += [("preparation", ["hook", "grasper"]), ("gallbladder_dissection", ["grasper", "hook"])]
    seen += [("preparation", ["grasper"])]
    scenes = [make_scene("cholec80/1", second, phase, tools) for second, (phase, tools) in enumerate(seen)]
    assert run_numbers(scenes, TASKS["phase"]) == [0, 0, 0, 0, 1, 2], "the same again later is another run"
    assert run_numbers(scenes, TASKS["tool_presence"]) == [0, 0, 1, 1, 1, 2], "rows may come in another order"
    assert run_numbers(scenes, TASKS["tool_yesno"]) == [0, 0, 1, 1, 2, 3], "it reads phases besides"
    assert run_numbers([], TASKS["phase"]) == []


def test_not_labelled_and_labelled_as_none_are_no_run(make_scene: SceneOf) -> None:
    scenes = [make_scene("cholec80/1", 0, "preparation"), make_scene("cholec80/1", 1, "preparation", labelled=())]
    assert run_numbers(scenes, TASKS["tool_presence"]) == [0, 1]
    black = make_scene("cholec80/1", 2, "preparation", black=1.0)
    assert run_numbers([scenes[0], black], TASKS["phase"]) == [0, 1]


def test_each_question_has_the_run_of_its_own_task(make_scene: SceneOf) -> None:
    scenes = [
        make_scene("cholec80/1", n, "preparation", ["grasper"] if n < 3 else ["grasper", "hook"]) for n in range(6)
    ]
    asked = list(with_runs(scenes, plan_questions(scenes, TASKS, 0)))
    assert [(n, question) for n, question, _ in asked] == list(plan_questions(scenes, TASKS, 0))
    runs = Counter(task for task, _ in {(question.task, run) for _, question, run in asked})
    assert runs == {"phase": 1, "tool_presence": 2, "tool_count": 2, "tool_yesno": 2}
