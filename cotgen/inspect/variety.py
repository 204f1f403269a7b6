"""How varied chains are, on a draw of them: forms of text over a task, and inside its most frequent cell of equal facts.

A cell is found in the index by pair id, answer and the terms of the frame; among the chains drawn from it, those with the
most frequent exact signature (`cotgen.chains.diversity.signature`) are looked at. Which chains are drawn depends on their
names alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import polars as pl

from cotgen.chains.diversity import Plan, plan, signature, skeleton
from cotgen.draws import draw
from cotgen.inspect.balance import task_order
from cotgen.inspect.record import Diversity, Skeleton, bits_of
from cotgen.records import Pair, Sample, Scene

#: Chains of a task that are looked at, about.
DRAWN = 2_000
#: Chains of a cell that are drawn, about, and how many of equal signature are looked at.
_OF_CELL, CELL = 1_500, 1_000
#: The most frequent forms that are shown.
_SHOWN = 5
_ALL = 1 << 64


@dataclass(frozen=True, slots=True)
class _Cell:
    id: str
    answer: str
    terms: str
    limit: int


@dataclass
class _Task:
    limit: int
    cell: _Cell
    forms: Counter[str] = field(default_factory=Counter)
    examples: dict[str, tuple[int, str, list[str]]] = field(default_factory=dict)
    plans: dict[tuple[str, ...], list[tuple[int, Plan, str]]] = field(default_factory=lambda: defaultdict(list))


class Variety:
    """Draws chains while all records go by."""

    def __init__(self, index: pl.LazyFrame, share: float) -> None:
        """Find the cells.

        Args:
            index: of the folder.
            share: of the frames that will go by.
        """
        by = ["task", "id", "answer", pl.col("terms").list.join(" ")]
        cells = index.group_by(by).len().collect(engine="streaming").sort("len", "id", "answer", "terms")
        pairs = dict(cells.group_by("task").agg(pl.col("len").sum()).iter_rows())
        self._tasks: dict[str, _Task] = {}
        # The largest cell of a task stands last.
        for task, id, answer, terms, n in cells.iter_rows():
            cell = _Cell(id, answer, terms, _limit(_OF_CELL, n * share))
            self._tasks[task] = _Task(_limit(DRAWN, pairs[task] * share), cell)

    def add(self, record: dict[str, Any], json: bytes) -> None:
        """Look at the pairs of one record, given as plain values and as its bytes."""
        terms = ""
        for pair in record["pairs"]:
            task = self._tasks.get(pair["task"])
            if task is None:
                continue
            name = f"{record['key']}#{pair['id']}"
            drawn = draw(0, "statistics", name)
            if drawn < task.limit:
                self._form(task, pair, name, drawn)
            cell = task.cell
            if drawn < cell.limit and pair["id"] == cell.id and pair["answer"] == cell.answer:
                terms = terms or " ".join(sorted({term for fact in record["facts"] for term in fact["terms"]}))
                if terms == cell.terms:
                    sample = Sample.from_json(json)
                    stored = next(item for item in sample.pairs if item.id == cell.id)
                    key = signature(Scene.of(sample), stored)
                    task.plans[key].append((drawn, plan(stored), skeleton(stored)))

    def _form(self, task: _Task, pair: dict[str, Any], name: str, drawn: int) -> None:
        form = _skeleton(tuple((s["level"], s["text"]) for s in pair["statements"]))
        task.forms[form] += 1
        example = (drawn, name, [s["text"] for s in pair["statements"]])
        task.examples[form] = min(task.examples.get(form, example), example)

    def diversity(self) -> list[Diversity]:
        """What was found, by task."""
        return [self._of(name, self._tasks[name]) for name in sorted(self._tasks, key=task_order)]

    def _of(self, name: str, task: _Task) -> Diversity:
        ranked = sorted(task.forms.items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
        cells = sorted((sorted(found) for found in task.plans.values()), key=lambda found: (-len(found), found[0]))
        chains = cells[0][:CELL] if cells else []
        plans = Counter(plan for _, plan, _ in chains)
        return Diversity(
            task=name,
            chains=task.forms.total(),
            skeletons=len(task.forms),
            skeleton_bits=round(bits_of(task.forms.values()), 4),
            most=[
                Skeleton(text=form, chains=n, example=task.examples[form][1], sentences=task.examples[form][2])
                for form, n in ranked
            ],
            cell=task.cell.id,
            cell_answer=task.cell.answer,
            cell_chains=len(chains),
            cell_plan_bits=round(bits_of(plans.values()), 4),
            cell_skeleton_bits=round(bits_of(Counter(form for _, _, form in chains).values()), 4),
            cell_plan_pairs=max(plans.values(), default=0),
        )


def _limit(wanted: int, of: float) -> int:
    """The draws below it are about so many of so many."""
    return _ALL if of <= wanted else int(_ALL * wanted / of)


@lru_cache(maxsize=1 << 12)
def _skeleton(sentences: tuple[tuple[int, str], ...]) -> str:
    statements: list[Any] = [
        {"level": level, "text": text, "basis": "label", "evidence": ["statement:0"]} for level, text in sentences
    ]
    pair = {"id": "a.b", "task": "", "question": "?", "support": "asserted", "answer": "?", "writer": ""}
    return skeleton(Pair.model_validate({**pair, "statements": statements}))
