"""Null rewards: what completions earn that never look at the picture, beside what the right chain earns.

A reward is to be trusted only as far as the right chain stands above all of these on the same prompts; during a run the
same numbers show whether a policy has become one of them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import polars as pl

from cotgen.tasks import TASKS
from cotgen.tasks.boxes import NOT_VISIBLE, read_boxes
from cotgen.training.prompts import Row
from cotgen.training.rewards import RANGES, RewardConfig, Scorer, covering, weighted

#: A chain of the strict form that claims nothing.
NO_CHAIN = (
    "<think>Level 1: This is a view of the operation.\nLevel 2: Things are related to one another.\n"
    "Level 3: So this is the answer.</think>"
)
#: A chain that says one thing that is often right.
SAFE_CHAIN = (
    "<think>Level 1: A grasper is in view.\nLevel 2: A grasper serves to hold tissue.\n"
    "Level 3: So this is the answer.</think>"
)
#: Boxes of the spam along each side of the picture.
SPAM = 5
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def null_rewards(rows: Sequence[tuple[Row, str]], config: RewardConfig | None = None) -> pl.DataFrame:
    """Mean rewards of null completions for each task.

    Args:
        rows: prompts with the right completion of each, boxes in pixels of the stored picture.
        config: of the run.

    Returns:
        Sorted by task and completion: `task`, `completion`, `rows`, the mean of each reward over the rows that it covers
        (null for none), and `total`, the mean of the weighted sum. Completions: `gold`; `wrong answer`, the right chain
        with another answer; `other frame`, chain and answer of another frame; `majority`, the most frequent answer to the
        question (a box: the mean one) after a chain that says nothing; `safe claim`, the same after one that says one
        thing; `answer alone`, the right answer without a chain; `everything`, all answers at once, of boxes a grid over
        the picture with the right one in it; `empty`.
    """
    config = config or RewardConfig()
    scorer = Scorer(config)
    found: dict[tuple[str, str], list[dict[str, float | None]]] = defaultdict(list)
    for row, completions in _completions(rows):
        for name, text in completions.items():
            rewards = scorer.all(text, row)
            found[row.task, name].append({**rewards, "total": weighted(config, rewards)})
    table = [
        {"task": task, "completion": name, "rows": len(many)}
        | {column: _mean([one[column] for one in many]) for column in (*RANGES, "total")}
        for (task, name), many in sorted(found.items())
    ]
    numbers = dict.fromkeys((*RANGES, "total"), pl.Float64)
    return pl.DataFrame(table, schema={"task": pl.String, "completion": pl.String, "rows": pl.Int64, **numbers})


def _completions(rows: Sequence[tuple[Row, str]]) -> Iterator[tuple[Row, dict[str, str]]]:
    groups: dict[tuple[str, str], list[tuple[Row, str]]] = defaultdict(list)
    for row, gold in rows:
        groups[row.source, row.question.id].append((row, gold))
    for _, group in sorted(groups.items(), key=lambda item: item[0]):
        counted = Counter(_answer(gold) for _, gold in group)
        box = _mean_box(group)
        for n, (row, gold) in enumerate(group):
            others = [text for _, text in (*group[n + 1 :], *group[:n]) if _is_wrong(_answer(text), row)]
            usual = _placed(box, row) if box else _usual(counted, row)
            completions = {
                "gold": gold,
                "wrong answer": _with_answer(gold, _answer(others[0]) if others else _wrong(row)),
                "majority": f"{NO_CHAIN}<answer>{usual}</answer>",
                "safe claim": f"{SAFE_CHAIN}<answer>{usual}</answer>",
                "answer alone": f"<answer>{_answer(gold)}</answer>",
                "everything": _with_answer(gold, _everything(row, _answer(gold), counted)),
                "empty": "",
            }
            if others:
                completions["other frame"] = others[0]
            yield row, completions


def _with_answer(text: str, answer: str) -> str:
    return f"{text.partition('<answer>')[0]}<answer>{answer}</answer>"


def _answer(text: str) -> str:
    match = _ANSWER.search(text)
    return match[1] if match else ""


def _is_wrong(answer: str, row: Row) -> bool:
    """Whether it is an answer of the task's form and not the right one."""
    said = TASKS[row.task].parse(answer, row.question)
    return said is not None and said != row.question.truth


def _wrong(row: Row) -> str:
    tried = ("Yes", "No", NOT_VISIBLE, "1", "2", "none", "[0, 0, 2, 2]", *row.question.options)
    return next((answer for answer in tried if _is_wrong(answer, row)), "something else")


def _usual(counted: Counter[str], row: Row) -> str:
    """The most frequent answer, among the options where there are some."""
    offered = [answer for answer in counted if not row.question.options or answer in row.question.options]
    return min(offered, key=lambda answer: (-counted[answer], answer))


def _mean_box(group: Sequence[tuple[Row, str]]) -> tuple[float, ...]:
    """The mean box of what is asked for, as shares of width and height; empty where no single thing is asked for."""
    if covering(group[0][0]) != "boxes" or not group[0][0].question.subject:
        return ()
    shares = [
        (box[0] / row.size[0], box[1] / row.size[1], box[2] / row.size[0], box[3] / row.size[1])
        for row, gold in group
        for box in read_boxes(_answer(gold), ()) or ()
    ]
    return tuple(sum(values) / len(shares) for values in zip(*shares, strict=True))


def _placed(box: tuple[float, ...], row: Row) -> str:
    x1, y1, x2, y2 = (round(value * row.size[n % 2]) for n, value in enumerate(box))
    return f"[{x1}, {y1}, {x2}, {y2}]"


def _everything(row: Row, own: str, counted: Counter[str]) -> str:
    if covering(row) != "boxes":
        return "\n".join(row.question.options or dict.fromkeys([own, *sorted(counted), _wrong(row)]))
    width, height = row.size
    grid = [
        f"[{width * x // SPAM}, {height * y // SPAM}, {width * (x + 1) // SPAM}, {height * (y + 1) // SPAM}]"
        for x in range(SPAM)
        for y in range(SPAM)
    ]
    return " ".join([*([own] if own != NOT_VISIBLE else []), *grid])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
