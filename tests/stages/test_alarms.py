"""Alarms: an answer that takes over is noticed by its share, long before the reward tells."""

from cotgen.stages.alarms import LEAST_SAID, MOST_OVER, OVER, AnswerShares, watched
from tests.training.prompts import SCORER, every_prompt


def test_an_answer_that_is_said_as_often_as_it_is_true_is_no_alarm() -> None:
    shares = AnswerShares()
    for n in range(100):
        shares.observe("phase", ("A", "B")[n % 2], ("A", "B")[(n // 2) % 2])
    ratio, _, _ = shares.worst()
    assert ratio <= 1.1


def test_an_answer_that_takes_over_is_named() -> None:
    shares = AnswerShares()
    for n in range(100):
        shares.observe("tool_yesno", "Yes", ("Yes", "No")[n % 2])
        shares.observe("phase", str(n % 5), str((n * 3) % 5))
    ratio, task, answer = shares.worst()
    assert (task, answer) == ("tool_yesno", "yes")
    assert 1.9 < ratio < 2.0


def test_few_completions_say_nothing_and_old_ones_are_forgotten() -> None:
    shares = AnswerShares(window=200)
    for _ in range(LEAST_SAID - 1):
        shares.observe("phase", "A", "B")
    assert shares.worst() == (0.0, "", "")
    shares.observe("phase", "A", "B")
    assert shares.worst()[0] > LEAST_SAID
    for n in range(200):
        shares.observe("phase", str(n % 2), str(n % 2))
    assert shares.worst()[0] == 1.0


def test_a_right_answer_in_other_words_is_no_answer_that_takes_over() -> None:
    asked = next(p for p in every_prompt() if p.row.task == "tool_presence" and "\n" in p.answer)
    said = ", ".join(reversed(asked.answer.lower().split("\n")))
    assert asked.rewards(asked.saying(said))["set_f1"] == 1.0
    logged: dict[str, float] = {}
    [reward] = watched([SCORER.function("set_f1")], AnswerShares())
    many = 2 * LEAST_SAID
    columns = {name: [value] * many for name, value in asked.columns.items()}
    reward([""] * many, [asked.saying(said)] * many, log_metric=logged.__setitem__, **columns)
    assert logged[OVER] <= MOST_OVER
