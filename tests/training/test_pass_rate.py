"""Which prompts a policy can learn from: passed sometimes, not as often blind, no answer above its share."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest

from cotgen.chains.boxes import BoxFormat
from cotgen.chains.render import render
from cotgen.draws import draw
from cotgen.errors import CotgenError
from cotgen.shards.index import write_part
from cotgen.training.pass_rate import (
    ALL_PASS,
    BLIND,
    HELD,
    NO_REPLY,
    NONE_PASS,
    OFTEN,
    SCHEMA,
    SELDOM,
    PassRates,
    Rate,
    Rules,
    Thresholds,
    as_often,
    summary,
)
from cotgen.training.pool import Pool
from cotgen.training.portions import Portion
from cotgen.training.rewards import RewardConfig, Scorer
from cotgen.training.sampler import Prompt, Sampled, prompts_of
from cotgen.training.selection import Selection

PIXELS = BoxFormat("pixels")
SCORER = Scorer(RewardConfig())
NO_HOLD = Rules(held_share=Fraction(1))


@pytest.fixture(scope="module")
def prompts(folder: Path) -> list[Prompt]:
    return list(prompts_of([Portion(folder)], Selection(view="prompt", tasks=("phase", "tool_yesno")), PIXELS))


def right(prompt: Prompt) -> str:
    return str(render(prompt.pair, "cot", PIXELS, prompt.size)["response"])


def wrong(prompt: Prompt) -> str:
    return right(prompt).partition("<answer>")[0] + "<answer>something else</answer>"


def replies(prompt: Prompt, passed: int, samples: int = 8) -> Sampled:
    return Sampled(prompt, tuple(right(prompt) if n < passed else wrong(prompt) for n in range(samples)))


def why(table: pl.DataFrame) -> dict[str, str]:
    return dict(table.select("name", "why").iter_rows())


def test_a_reply_passes_with_the_right_answer_in_the_whole_form(prompts: list[Prompt]) -> None:
    rates = PassRates(SCORER)
    for prompt in prompts[:20]:
        good = right(prompt)
        assert rates.passes(good, prompt.row)
        assert not rates.passes(wrong(prompt), prompt.row)
        broken = good.replace("Level 2", "Level two")
        assert not rates.passes(broken, prompt.row)
        # Nor where the rewards of the run count an answer in any form.
        assert not PassRates(Scorer(RewardConfig(gate=False))).passes(broken, prompt.row)
        assert not rates.passes(prompt.pair.answer, prompt.row)
        assert not rates.passes(None, prompt.row)


def test_each_reward_has_its_threshold(folder: Path) -> None:
    """Three of four instruments named give an F1 of 0.86."""
    asked = prompts_of([Portion(folder)], Selection(view="prompt", tasks=("tool_presence",)), PIXELS)
    prompt = next(each for each in asked if each.pair.answer.count("\n") == 3)
    text = right(prompt).replace(prompt.pair.answer, prompt.pair.answer.rpartition("\n")[0])
    assert PassRates(SCORER, Thresholds(set_f1=0.8)).passes(text, prompt.row)
    assert not PassRates(SCORER, Thresholds(set_f1=0.9)).passes(text, prompt.row)


def test_prompts_outside_the_range_are_left_out(prompts: list[Prompt]) -> None:
    passed = {0: NONE_PASS, 1: "", 6: "", 7: OFTEN, 8: ALL_PASS}
    sampled = [replies(prompt, n) for prompt, n in zip(prompts, passed, strict=False)]
    table = PassRates(SCORER, rules=NO_HOLD).table(sampled)
    assert why(table) == {prompt.name: said for prompt, said in zip(prompts, passed.values(), strict=False)}
    hard = dict(table.select("name", "difficulty").iter_rows())
    assert [hard[prompt.name] for prompt in prompts[:5]] == [1.0, 0.875, 0.25, 0.125, 0.0]
    narrow = replace(NO_HOLD, least=Fraction(1, 8), most=Fraction(1, 2))
    assert why(PassRates(SCORER, rules=narrow).table(sampled[1:2])) == {prompts[1].name: SELDOM}


def test_a_cut_reply_counts_and_a_request_without_a_reply_does_not(prompts: list[Prompt]) -> None:
    cut = replace(replies(prompts[0], 4), texts=(right(prompts[0]), None, None, None))
    lost = Sampled(prompts[1], (), "The server is gone.")
    table = PassRates(SCORER, rules=NO_HOLD).table([cut, lost])
    rows = {row["name"]: row for row in table.iter_rows(named=True)}
    assert (rows[cut.prompt.name]["passed"], rows[cut.prompt.name]["samples"]) == (1, 4)
    assert (rows[lost.prompt.name]["samples"], rows[lost.prompt.name]["why"]) == (0, NO_REPLY)


@pytest.mark.parametrize(
    ("passed", "blind", "often"),
    [
        (5, 5, True),
        (5, 4, True),
        (5, 3, False),
        (2, 0, False),
        (2, 1, True),
        (1, 0, False),
        (1, 1, True),
        (3, 6, True),
    ],
)
def test_as_often_is_from_the_lower_end_of_wilsons_interval_on(passed: int, blind: int, often: bool) -> None:
    assert as_often(passed, 8, blind, 8, 0.8) is often


def test_more_samples_make_the_same_difference_count() -> None:
    assert as_often(5, 10, 4, 10, 0.8)
    assert not as_often(50, 100, 40, 100, 0.8)
    assert not as_often(5, 10, 4, 10, 0.0)


def test_only_prompts_in_question_are_asked_without_the_picture(prompts: list[Prompt]) -> None:
    asked: list[str] = []
    by_name = {prompt.name: prompt for prompt in prompts}

    def blind(names: Collection[str]) -> Iterable[Sampled]:
        asked.extend(sorted(names))
        return [replies(by_name[name], 4 if name == prompts[1].name else 0) for name in asked]

    table = PassRates(SCORER, rules=NO_HOLD).table(
        [replies(prompts[0], 0), replies(prompts[1], 4), replies(prompts[2], 4), replies(prompts[3], 8)], blind
    )
    assert asked == sorted([prompts[1].name, prompts[2].name])
    assert why(table)[prompts[1].name] == BLIND
    assert why(table)[prompts[2].name] == ""
    assert table.filter(pl.col("name") == prompts[1].name)["blind_passed"].item() == 4


def test_a_share_of_what_is_passed_blind_can_be_kept(prompts: list[Prompt]) -> None:
    rules = replace(NO_HOLD, blind_share=Fraction(1, 4))
    sampled = [replies(prompt, 4, 8) for prompt in prompts[:60]]
    table = PassRates(SCORER, rules=rules).table(sampled, lambda names: sampled)
    kept = set(table.filter("kept")["name"])
    assert kept == {p.name for p in prompts[:60] if draw(0, "blind", p.name) < 2**62}
    assert 5 <= len(kept) <= 25


def answers(table: pl.DataFrame, task: str) -> Counter[str]:
    return Counter(table.filter("kept", pl.col("task") == task)["answer"])


def test_the_most_frequent_answer_has_at_most_its_share(prompts: list[Prompt]) -> None:
    phases = [prompt for prompt in prompts if prompt.row.task == "phase"]
    [(usual, _)] = Counter(prompt.pair.answer for prompt in phases).most_common(1)
    many = [p for p in phases if p.pair.answer == usual] + [p for p in phases if p.pair.answer != usual][:12]
    table = PassRates(SCORER).table([replies(prompt, 4) for prompt in many])
    kept = answers(table, "phase")
    assert kept[usual] == max(n for n in range(100) if n <= 0.3 * (n + 12)) == 5
    assert kept.total() - kept[usual] == 12
    assert set(table.filter(~pl.col("kept"))["why"]) == {HELD}
    # Half of two answers is an equal share: "No" is not made rarer than "Yes".
    yes_no = [prompt for prompt in prompts if prompt.row.task == "tool_yesno"]
    kept = answers(PassRates(SCORER).table([replies(prompt, 4) for prompt in yes_no[:41]]), "tool_yesno")
    assert abs(kept["Yes"] - kept["No"]) <= 1
    assert kept.total() >= 30


def test_boxes_are_different_answers_and_not_visible_is_held() -> None:
    boxes = [Rate(f"a-{n}#x", "localization", "endoscapes", "<bbox:0>", 4, 8) for n in range(14)]
    absent = [Rate(f"b-{n}#x", "localization", "endoscapes", "not visible", 4, 8) for n in range(20)]
    held = PassRates(SCORER)._held([*boxes, *absent])
    kept = Counter(rate.answer for rate in held if not rate.why)
    assert kept == {"<bbox:0>": 14, "not visible": 6}


def test_none_is_held_beside_the_most_frequent_answer() -> None:
    said = ["grasper"] * 20 + ["none"] * 16 + [f"answer {n}" for n in range(14)]
    rates = [Rate(f"a-{n}#x", "tool_presence", "cholec80", answer, 4, 8) for n, answer in enumerate(said)]
    kept = Counter(rate.answer for rate in PassRates(SCORER)._held(rates) if not rate.why)
    assert (kept["grasper"], kept["none"], kept.total()) == (10, 10, 34)


def test_the_table_is_the_same_in_any_order_and_selection_reads_it(
    prompts: list[Prompt], folder: Path, tmp_path: Path
) -> None:
    sampled = [replies(prompt, n % 9) for n, prompt in enumerate(prompts)]
    for number, order in enumerate((sampled, sampled[::-1])):
        table = PassRates(SCORER).table(order)
        assert dict(table.schema) == SCHEMA
        write_part(table, tmp_path / f"{number}.parquet")
    assert (tmp_path / "0.parquet").read_bytes() == (tmp_path / "1.parquet").read_bytes()
    pool = Pool([Portion(folder)], Selection(view="prompt", difficulty=tmp_path / "0.parquet"))
    kept = set(table.filter("kept")["name"])
    assert {pool.name(number) for number in range(len(pool))} == kept
    assert 0 < len(kept) < len(prompts)


def test_the_summary_counts_each_prompt_once(prompts: list[Prompt]) -> None:
    table = PassRates(SCORER).table([replies(prompt, n % 9) for n, prompt in enumerate(prompts)])
    counted = summary(table)
    assert counted["task"].to_list() == ["phase", "tool_yesno", "all"]
    reasons = counted.select(pl.sum_horizontal(pl.exclude("task", "prompts", "rate", "blind_rate")))
    assert reasons.to_series().to_list() == counted["prompts"].to_list()
    assert counted["blind_rate"].null_count() == 3
    assert counted["rate"][-1] == pytest.approx(table["passed"].sum() / table["samples"].sum())


def test_rules_that_mean_nothing_are_refused() -> None:
    for wrong_rules in ({"least": Fraction(1)}, {"blind_confidence": 1.0}, {"held_share": Fraction(0)}):
        with pytest.raises(CotgenError):
            replace(Rules(), **wrong_rules)
