"""Rewards: all eight of a completion that no cache has seen, completions a second on one core."""

import time
from itertools import pairwise

from cotgen.training.rewards import RewardConfig, Scorer
from cotgen.training.rows import Row
from tests.training.prompts import every_prompt

COPIES = 4


def completions() -> dict[str, list[tuple[Row, str]]]:
    """Kinds of completion; each has a word that makes a sentence, or all of them, new to the caches of sentences."""
    prompts = every_prompt()
    pairs = [(p.row, p.gold) for p in prompts]
    others = [(p.row, q.gold) for p, q in pairwise(prompts)]
    return {
        "right chain, one sentence new": [(row, text.replace(".", f" {n}.", 1)) for n, (row, text) in _many(pairs)],
        "right chain, every sentence new": [(row, text.replace(".", f" {n}.")) for n, (row, text) in _many(pairs)],
        "chain of another frame": [(row, text.replace(".", f" {n}.", 1)) for n, (row, text) in _many(others)],
        "no chain": [(p.row, f"{p.answer} {n}") for n, p in enumerate(prompts)],
    }


def _many(pairs: list[tuple[Row, str]]) -> list[tuple[int, tuple[Row, str]]]:
    return list(enumerate(pairs * COPIES))


def run() -> str:
    """The table."""
    scorer = Scorer(RewardConfig())
    lines = ["| completion | completions | CPU s | completions a second |", "|---|---|---|---|"]
    for name, rows in completions().items():
        for row, _ in rows:
            _ = row.scene, row.question  # the completions of a group share them
        start = time.process_time()
        for row, text in rows:
            scorer.all(text, row)
        spent = time.process_time() - start
        lines.append(f"| {name} | {len(rows):,} | {spent:.1f} | {len(rows) / spent:,.0f} |")
    return "\n".join(lines)
