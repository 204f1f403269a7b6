"""Null completions earn less than the right chain, and the table says how much."""

import math
from functools import cache

import polars as pl

from cotgen.tasks import TASKS
from cotgen.training.null_rewards import null_rewards
from cotgen.training.rewards import RANGES, RewardConfig, Weights
from tests.training.prompts import every_prompt

ROWS = [(prompt.row, prompt.gold) for prompt in every_prompt()]


@cache
def null_table() -> pl.DataFrame:
    return null_rewards(ROWS)


def test_the_right_chain_stands_above_every_null_in_every_task() -> None:
    table = null_table()
    gold = dict(table.filter(pl.col("completion") == "gold").select("task", "total").iter_rows())
    assert set(gold) == set(TASKS) - {"field_visible"}
    for task, completion, total in table.select("task", "completion", "total").iter_rows():
        assert completion == "gold" or total < gold[task], (task, completion)


def test_the_table_is_whole_and_sorted() -> None:
    table = null_table()
    assert table.columns == ["task", "completion", "rows", *RANGES, "total"]
    assert table.equals(table.sort("task", "completion"))
    assert table.filter(pl.col("completion") == "gold")["rows"].sum() == len(ROWS)
    for name, (low, high) in RANGES.items():
        assert table[name].drop_nulls().is_between(low, high).all()
    empty = table.filter(pl.col("completion") == "empty")
    assert empty["total"].to_list() == [0.0] * len(empty)
    alone = table.filter(pl.col("completion") == "answer alone")
    assert alone["total"].to_list() == [0.0] * len(alone)


def test_majorities_are_what_a_blind_policy_earns() -> None:
    table = null_table()
    usual = table.filter(pl.col("completion") == "majority")
    answers = dict(usual.select("task", "answer").iter_rows())
    assert answers["tool_yesno"] == answers["camera"] == 0.5  # asked in equal parts
    assert 0.0 < answers["phase"] < 1.0
    assert usual["faithfulness"].drop_nulls().to_list() == [0.0] * usual["faithfulness"].count()
    spam = table.filter((pl.col("completion") == "everything") & (pl.col("task") == "localization"))["boxes"].item()
    assert spam < 0.2


def test_the_weights_of_the_run_make_the_total() -> None:
    config = RewardConfig(weights=Weights(format=0.0, faithfulness=0.0, consistency=0.0))
    gold = null_rewards(ROWS[::10], config).filter(pl.col("completion") == "gold")
    assert all(math.isclose(total, 1.0) for total in gold["total"])
