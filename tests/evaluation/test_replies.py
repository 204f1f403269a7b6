"""Replies are scored by the tasks' own scores, beside what is reached without looking at the picture."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cotgen.chains.boxes import BoxFormat
from cotgen.chains.render import View, render
from cotgen.draws import shuffled
from cotgen.errors import CotgenError
from cotgen.evaluation.blind import asked_in
from cotgen.evaluation.predicted import PredictedReplies
from cotgen.evaluation.replies import ALL, ReplyScores, TaskScore, bare_answer, plain
from cotgen.records.base import canonical_json
from cotgen.tasks import TASKS
from cotgen.training.portions import Portion
from cotgen.training.rewards import RewardConfig
from cotgen.training.sampler import Prompt, prompts_of
from cotgen.training.selection import Selection
from tests.shards.samples import make, write_folder

MILLE = BoxFormat("per_mille")
#: Two of train, four of test.
SURGERIES = ("cholec80/01", "cholec80/02", "cholec80/73", "cholec80/74", "cholec80/06", "cholec80/80")


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make(SURGERIES, seconds=8, tasks=["phase", "tool_presence", "tool_yesno"])
    return write_folder(made, tmp_path_factory.mktemp("six") / "set", shards=2)


@pytest.fixture(scope="module")
def prompts(six: Path) -> list[Prompt]:
    selection = Selection(view="cot", splits=("test",), asserted=True)
    return list(prompts_of([Portion(six)], selection, MILLE))


@pytest.fixture(scope="module")
def some(prompts: list[Prompt]) -> list[Prompt]:
    """Fewer, where chains are read: checks take a millisecond each."""
    return prompts[::3]


def scores_of(six: Path, view: View, replies: Sequence[tuple[Prompt, tuple[str | None, ...]]]) -> list[TaskScore]:
    scores = ReplyScores(view, MILLE, asked_in(six, "train"), RewardConfig())
    for prompt, texts in replies:
        scores.add(prompt, texts)
    return scores.result()


def gold(prompt: Prompt, view: View) -> str:
    return str(render(prompt.pair, view, MILLE, prompt.size)["response"])


@pytest.mark.parametrize("view", ["vqa", "cot"])
def test_right_replies_score_one_and_stand_above_the_null_models(six: Path, some: list[Prompt], view: View) -> None:
    found = scores_of(six, view, [(prompt, (gold(prompt, view),)) for prompt in some])
    assert [score.task for score in found] == ["phase", "tool_presence", "tool_yesno", ALL]
    for score in found:
        assert (score.score, score.low, score.high, score.whole) == (1.0, 1.0, 1.0, 1.0)
        assert score.surgeries >= 3
        assert score.constant is not None and score.constant < 0.9
        assert score.sees
    assert sum(score.questions for score in found[:-1]) == found[-1].questions == len(some)
    if view == "cot":
        for score in found:
            assert score.reward is not None and score.reward > max(score.null_rewards.values())
    else:
        assert all(score.reward is None and not score.null_rewards for score in found)


def test_a_model_that_always_says_the_same_is_no_better_than_the_null_model(six: Path, prompts: list[Prompt]) -> None:
    from cotgen.evaluation.blind import BlindModel, asked_as

    null = BlindModel()
    for asked in asked_in(six, "train"):
        null.learn(asked)
    said = [(prompt, (null.constant(asked_as(prompt.record, prompt.pair)),)) for prompt in prompts]
    for score in scores_of(six, "vqa", said):
        assert score.score == score.constant
        assert not score.sees


def test_a_score_is_the_mean_of_the_tasks_own_scores(six: Path, prompts: list[Prompt]) -> None:
    """Of the instruments the first one alone is named: F1 by the task."""
    sets = [prompt for prompt in prompts if prompt.row.task == "tool_presence"]
    said = [(prompt, (prompt.pair.answer.partition("\n")[0],)) for prompt in sets]
    task = TASKS["tool_presence"]
    expected = [task.score(texts[0], prompt.row.question) for prompt, texts in said]
    [score, every] = scores_of(six, "vqa", said)
    assert 0.0 < min(expected) < 1.0
    assert math.isclose(score.score, sum(expected) / len(expected), abs_tol=2e-6)
    assert every.score == score.score
    assert score.low is not None and score.high is not None
    assert score.low <= score.score <= score.high


def test_of_several_replies_the_mean_counts_and_a_cut_one_scores_nothing(six: Path, prompts: list[Prompt]) -> None:
    one = prompts[0]
    [score, _] = scores_of(six, "cot", [(one, (gold(one, "cot"), None, "no chain", gold(one, "cot")))])
    assert (score.score, score.whole, score.questions, score.replies) == (0.5, 0.5, 1, 4)
    # One surgery is no ground for an interval.
    assert (score.low, score.high) == (None, None)
    assert not score.sees


def test_the_answer_counts_without_the_whole_form_and_the_form_is_told(six: Path, some: list[Prompt]) -> None:
    short = [(prompt, (f"<think>I think so.</think><answer>{prompt.pair.answer}</answer>",)) for prompt in some]
    for score in scores_of(six, "cot", short):
        assert (score.score, score.whole) == (1.0, 0.0)
    # In view vqa an answer stands alone, in view cot within its tags.
    tagged = [(prompt, (f"<answer>{prompt.pair.answer}</answer>",)) for prompt in some]
    assert scores_of(six, "vqa", tagged)[-1].score == 0.0
    assert scores_of(six, "cot", [(prompt, (prompt.pair.answer,)) for prompt in some])[-1].score == 0.0


def test_the_interval_is_over_surgeries(six: Path, prompts: list[Prompt]) -> None:
    """All right in two operations and all wrong in two: frames agree within them, so the interval is wide."""
    by_surgery = {"cholec80/73", "cholec80/74"}
    phases = [prompt for prompt in prompts if prompt.row.task == "phase"]
    said = [(p, (p.pair.answer if p.record["surgery"] in by_surgery else "x",)) for p in phases]
    [score, _] = scores_of(six, "vqa", said)
    assert score.score == 0.5
    assert score.low is not None and score.high is not None
    assert score.low < 0.1 and score.high > 0.9
    # The same share of right frames in each of the operations says more.
    phases.sort(key=lambda prompt: prompt.name)
    even = [(p, (p.pair.answer if n % 2 else "x",)) for n, p in enumerate(phases)]
    [score, _] = scores_of(six, "vqa", even)
    assert score.low is not None and score.low > 0.4


def test_all_tasks_count_the_same(six: Path, prompts: list[Prompt]) -> None:
    phase = [prompt for prompt in prompts if prompt.row.task == "phase"]
    [yes_no] = [prompt for prompt in prompts if prompt.row.task == "tool_yesno"][:1]
    found = scores_of(six, "vqa", [*((p, (p.pair.answer,)) for p in phase), (yes_no, ("perhaps",))])
    assert [score.score for score in found] == [1.0, 0.0, 0.5]


def test_scores_do_not_depend_on_the_order(six: Path, some: list[Prompt]) -> None:
    said: list[Any] = [(p, (gold(p, "cot") if n % 3 else "", gold(p, "cot"))) for n, p in enumerate(some)]
    first, second = (scores_of(six, "cot", order) for order in (said, shuffled(1, said)))
    assert canonical_json([plain(score) for score in first]) == canonical_json([plain(score) for score in second])


def test_what_train_never_asked_has_no_null_model(six: Path, prompts: list[Prompt]) -> None:
    scores = ReplyScores("vqa", MILLE, [], RewardConfig())
    scores.add(prompts[0], (prompts[0].pair.answer,))
    [score, every] = scores.result()
    assert score.constant is score.blind is score.null is every.null is None
    assert not score.sees


def test_boxes_are_read_as_the_model_writes_them(prompts: list[Prompt]) -> None:
    row = replace(prompts[0]).row
    assert row.size == (48, 36)
    assert bare_answer(" [0, 0, 500, 1000]\n", row, MILLE) == "[0, 0, 24, 36]"
    assert bare_answer("x" * 100_000, row, MILLE) is None


def test_nothing_to_score_is_said(six: Path) -> None:
    with pytest.raises(CotgenError, match="no reply to score"):
        ReplyScores("vqa", MILLE, [], RewardConfig()).result()
    with pytest.raises(CotgenError, match="neither"):
        ReplyScores("prompt", MILLE, [], RewardConfig())


def test_all_replies_of_a_file_are_found_by_pair(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    lines = [{"pair": "a#x", "response": "1"}, {"pair": "b#x", "response": "ä"}, {"pair": "a#x", "response": "2"}]
    path.write_bytes(b"\n".join(map(canonical_json, lines)) + b"\n\n")
    replies = PredictedReplies(path)
    assert (len(replies), "a#x" in replies, "c#x" in replies) == (2, True, False)
    assert (replies.texts("a#x"), replies.texts("b#x"), replies.texts("c#x")) == (("1", "2"), ("ä",), ())
    path.write_text('{"pair": 1}\n')
    with pytest.raises(CotgenError, match=r"predictions\.jsonl:1"):
        PredictedReplies(path)
