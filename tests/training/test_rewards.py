"""Rewards: what each pays, to what it pays nothing, and that nothing beats the honest chain."""

import inspect
import math
import re
import time
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotgen.errors import CotgenError
from cotgen.tasks import TASKS
from cotgen.training.normalise import Normaliser, Scale
from cotgen.training.rewards import (
    RANGES,
    RewardConfig,
    Scorer,
    Weights,
    covering,
    reward_funcs,
    reward_weights,
    weighted,
)
from cotgen.training.schedule import Stages, SuccessWindow
from tests.chains.scenes import FRAMES
from tests.training.prompts import SCORER, Prompt, chain, every_prompt, first, prompts_of

CONFIG = RewardConfig()
SCORES = ("answer", "boxes", "set_f1", "cvs")


def score(prompt: Prompt, text: str) -> float:
    """The reward of the answer, whichever covers it."""
    value = prompt.rewards(text)[covering(prompt.row)]
    assert value is not None
    return value


def total(prompt: Prompt, text: str) -> float:
    return weighted(CONFIG, prompt.rewards(text))


def called(prompts: list[Prompt], texts: list[object], name: str = "answer", **more: object) -> list[float | None]:
    """A reward as the trainer calls it."""
    columns = {column: [p.columns[column] for p in prompts] for column in prompts[0].columns}
    function = SCORER.function(name)
    return function(prompts=["?"] * len(texts), completions=texts, **columns, **more)  # type: ignore[arg-type]


# the call


def test_the_functions_are_those_that_a_trainer_logs_and_weighs() -> None:
    functions = reward_funcs(CONFIG)
    assert [function.__name__ for function in functions] == list(RANGES)
    assert reward_weights(CONFIG) == [0.1, 1.0, 1.0, 1.0, 1.0, 0.5, 0.25, 0.5]
    named = list(inspect.signature(functions[0]).parameters)
    assert named == [
        "prompts", "completions", "completion_ids", "trainer_state", "log_extra", "log_metric", "columns"
    ]  # fmt: skip


def test_what_weighs_nothing_is_left_out() -> None:
    config = RewardConfig(weights=Weights(overlong=0.0, cvs=0.0))
    assert [f.__name__ for f in reward_funcs(config)] == [n for n in RANGES if n not in ("overlong", "cvs")]
    assert len(reward_weights(config)) == len(reward_funcs(config))


def test_a_configuration_is_checked() -> None:
    for values, name in (({"weights": {"format": -1.0}}, "format"), ({"most_tokens": 10, "soft_tokens": 10}, "soft_tokens"),
                         ({"formt": 1}, "formt")):  # fmt: skip
        with pytest.raises(ValueError, match=name):
            RewardConfig.model_validate(values)
    assert RewardConfig.from_json(CONFIG.to_json()) == CONFIG


def test_a_batch_of_messages_or_texts_gets_a_number_each_and_none_where_not_covered() -> None:
    phase, where = first("cholec80", "phase.open"), first("endoscapes", "loc.")
    for wrap in (lambda text: text, lambda text: [{"role": "assistant", "content": text}],
                 lambda text: [{"role": "assistant", "content": [{"type": "text", "text": text}]}]):  # fmt: skip
        assert called([phase, where], [wrap(phase.gold), wrap(where.gold)]) == [1.0, None]
        assert called([phase, where], [wrap(phase.gold), wrap(where.gold)], "boxes") == [None, 1.0]
    assert called([phase] * 3, [[], "", [{"role": "assistant", "content": None}]]) == [0.0, 0.0, 0.0]


def test_the_prompt_is_never_looked_at() -> None:
    phase = first("cholec80", "phase.open")
    columns = {name: [value] for name, value in phase.columns.items()}
    for name in RANGES:
        function = SCORER.function(name)
        results = [function(prompts=[seen], completions=[""], **columns) for seen in (phase.gold, "")]
        assert results[0] == results[1]


def test_whether_a_reward_covers_a_prompt_does_not_depend_on_the_completion() -> None:
    for prompt in every_prompt():
        of_gold, of_nothing = prompt.rewards(prompt.gold), prompt.rewards("<answer>hook</answer>")
        assert [v is None for v in of_gold.values()] == [v is None for v in of_nothing.values()]


def test_every_task_is_covered_by_one_score() -> None:
    seen = {prompt.row.task: covering(prompt.row) for prompt in every_prompt()}
    assert set(seen) == set(TASKS) - {"field_visible"}
    for prompt in every_prompt():
        assert sum(prompt.rewards("")[name] is not None for name in SCORES) == 1
    assert seen["localization"] == "boxes"
    assert seen["cvs"] == "cvs"
    assert {covering(p.row) for p in every_prompt() if p.row.task == "triplet"} == {"answer", "set_f1"}


def test_numbers_to_watch_are_logged_and_each_completion_is_named() -> None:
    where = [first("endoscapes", "loc."), first("endovis18", "loc.")]
    metrics: dict[str, float] = {}
    extra: dict[str, list[object]] = {}
    texts: list[object] = [where[0].gold, where[1].saying("not visible")]
    for name in ("format", "boxes", "faithfulness"):
        called(where, texts, name, log_metric=metrics.__setitem__, log_extra=extra.__setitem__)
    assert metrics["boxes/not_visible"] == 0.5
    assert metrics["boxes/iou"] == 0.5
    assert metrics["reply/unread"] == 0.0
    assert metrics["claims/paid"] >= 2
    assert extra == {"pair": [p.row.name for p in where]}


def test_a_reward_without_its_columns_says_what_is_missing() -> None:
    with pytest.raises(CotgenError, match="rewards need the column 'key'; render the prompts with view 'prompt'"):
        SCORER.function("answer")(prompts=[""], completions=[""])
    with pytest.raises(CotgenError, match="there is no reward 'accuracy'"):
        SCORER.function("accuracy")


# the honest chain


@pytest.mark.parametrize("source", ["cholec80", *FRAMES])
def test_the_right_chain_gets_all_there_is(source: str) -> None:
    for prompt in prompts_of(source):
        for name, value in prompt.rewards(prompt.gold).items():
            assert value in (None, RANGES[name][1]), (prompt.row.name, name, value)


def test_faithfulness_is_left_out_only_where_nothing_is_due() -> None:
    left_out = {p.row.task for p in every_prompt() if p.rewards(p.gold)["faithfulness"] is None}
    always = {p.row.task for p in every_prompt()} - {
        p.row.task for p in every_prompt() if p.rewards(p.gold)["faithfulness"] is not None
    }
    assert always == {"tool_yesno", "camera", "step"}
    # Of a bypass, frames without instruments, and things that are not there.
    assert left_out - always <= {"phase", "localization", "tool_presence", "tool_count", "triplet", "anatomy"}


def test_a_right_answer_after_a_wrong_chain_is_worth_less() -> None:
    for prompt in every_prompt():
        if prompt.rewards(prompt.gold)["faithfulness"] is not None:
            bare = chain(
                "This is a view of it all.", "Things are as they are here.", "So this is it now.", prompt.answer
            )
            assert total(prompt, bare) < total(prompt, prompt.gold)


def per_mille(text: str, size: tuple[int, int]) -> str:
    """The reader of a model that writes thousandths."""

    def one(match: re.Match[str]) -> str:
        values = [float(value) for value in match.group(1).split(",")]
        return f"[{', '.join(str(round(v * size[n % 2] / 1000)) for n, v in enumerate(values))}]"

    return re.sub(r"\[(-?[\d.]+(?:, -?[\d.]+){3})\]", one, text)


def in_mille(text: str, size: tuple[int, int]) -> str:
    def one(match: re.Match[str]) -> str:
        return (
            f"[{', '.join(str(round(1000 * int(v) / size[n % 2])) for n, v in enumerate(match.group(1).split(',')))}]"
        )

    return re.sub(r"\[([\d, ]+)\]", one, text)


def test_boxes_in_the_convention_of_the_model_are_brought_back_to_the_stored_picture() -> None:
    scorer = Scorer(CONFIG, per_mille)
    asked = [p for p in every_prompt() if "[" in p.gold]
    assert {p.row.task for p in asked} > {"localization", "position", "cvs", "action"}
    for prompt in asked:
        found = scorer.all(in_mille(prompt.gold, prompt.row.size), prompt.row)
        assert found["faithfulness"] in (None, 1.0)
        assert found["consistency"] in (None, 1.0)
        if prompt.row.task == "localization":
            assert found["boxes"] is not None
            assert found["boxes"] > 0.95  # a thousandth of 1280 pixels is more than one
            if "[" in prompt.answer:
                assert score(prompt, in_mille(prompt.gold, prompt.row.size)) < found["boxes"]


# hostile answers: nothing but the answer in its form


@pytest.mark.parametrize(
    "answer",
    [
        "", " ", "\n", ".", "{0} {0}", "{0}\n{0}", "The answer is {0}.", "{0} or something else", "not {0}", "{0}?",
        "**{0}**", "```{0}```", '{{"answer": "{0}"}}', "\\boxed{{{0}}}", "<answer>{0}</answer>", "A, B, C, D, E, F, G",
        "yes no", "Yes\nNo", "{0}\u200b{0}", "all of the above", "1.0", "NaN", "inf", "-1", "[[{0}]]", "{0} = {0}",
    ],
)  # fmt: skip
def test_an_answer_in_which_the_right_one_is_hidden_is_worth_nothing(answer: str) -> None:
    """No substring, no mathematics, no list of everything; what a set may list twice is refused as well."""
    for prompt in every_prompt()[::7]:
        text = prompt.saying(answer.format(prompt.answer))
        assert total(prompt, text) < total(prompt, prompt.gold)
        if answer in ("{0} {0}", "{0}\n{0}") and "[" in prompt.answer:
            assert score(prompt, text) <= 0.5  # boxes twice are too many boxes
        else:
            assert score(prompt, text) == 0.0
            assert prompt.rewards(text)["format"] == 0.0


def test_a_part_of_the_right_answer_is_not_the_answer() -> None:
    phase = first("cholec80", "phase.open")
    for said in (phase.answer[:-1], phase.answer.split()[0][:5], "dissection", "phase", phase.answer + " phase x"):
        assert score(phase, phase.saying(said)) == 0.0
    choice = next(p for p in prompts_of("cholec80") if p.pair.options)
    letters = "ABCDEFG"[: len(choice.pair.options)]
    assert sum(score(choice, choice.saying(letter)) for letter in letters) == 1.0
    assert score(choice, choice.saying("\n".join(choice.pair.options))) == 0.0


def test_criteria_and_boxes_that_fool_a_mathematics_parser_get_what_they_deserve() -> None:
    """`math_verify` compares the last number and calls these equal to the right answer."""
    criteria = first("endoscapes", "cvs.criteria")
    lines = criteria.answer.split("\n")
    flipped = [lines[0].replace("yes", "NO").replace("no", "yes").replace("NO", "no"), *lines[1:]]
    assert score(criteria, criteria.saying("\n".join(flipped))) == pytest.approx((len(lines) - 1) / len(lines))
    where = next(p for p in prompts_of("endoscapes") if re.fullmatch(r"\[\d+, \d+, \d+, \d+\]", p.answer))
    assert score(where, where.saying(f"[1, 1, 2, {where.answer.rpartition(' ')[2]}")) < 0.1


def test_criteria_of_safety_are_counted_and_always_no_is_no_answer_of_its_own() -> None:
    for prompt in (p for p in prompts_of("endoscapes") if p.pair.id == "cvs.criteria"):
        names = [line.partition(":")[0] for line in prompt.answer.split("\n")]
        no = "\n".join(f"{name}: {'not achieved' if name == 'critical view' else 'no'}" for name in names)
        right = sum(a == b for a, b in zip(no.split("\n"), prompt.answer.split("\n"), strict=True))
        assert score(prompt, prompt.saying(no)) == pytest.approx(right / len(names))
        assert score(prompt, prompt.saying("no")) == 0.0


def test_a_set_is_scored_by_f1_so_that_listing_everything_costs() -> None:
    tools = next(p for p in prompts_of("cholec80") if p.pair.id == "tool.presence" and p.answer.count("\n") == 1)
    everything = "grasper\nbipolar\nhook\nscissors\nclipper\nirrigator\nspecimen bag"
    assert score(tools, tools.saying(everything)) == pytest.approx(2 * 2 / (2 + 7))
    assert score(tools, tools.saying(tools.answer.split("\n")[0])) == pytest.approx(2 / 3)
    assert score(tools, tools.saying(f"{tools.answer}\n{tools.answer}")) == 0.0
    assert score(tools, tools.saying("none")) == 0.0


def test_the_constant_pair_of_triplets_is_paid_as_f1_of_whole_triplets() -> None:
    acts = next(p for p in prompts_of("cholect50") if p.pair.id == "triplet.set" and "gallbladder" in p.answer)
    constant = "grasper, retract, gallbladder\nhook, dissect, gallbladder"
    right = len(set(constant.split("\n")) & set(acts.answer.split("\n")))
    number = len(acts.answer.split("\n"))
    assert score(acts, acts.saying(constant)) == pytest.approx(2 * right / (2 + number))
    one = acts.answer.split("\n")[0].split(", ")
    assert score(acts, acts.saying(f"{one[0]}, {'cut' if one[1] != 'cut' else 'clip'}, {one[2]}")) == 0.0


# hostile boxes


def box_prompt() -> Prompt:
    return next(p for p in prompts_of("endoscapes") if re.fullmatch(r"\[\d+, \d+, \d+, \d+\]", p.answer))


def test_more_boxes_than_there_are_cost() -> None:
    where = box_prompt()
    spam = " ".join(f"[{x}, {y}, {x + 9}, {y + 9}]" for x in range(0, 40, 10) for y in range(0, 50, 10))
    assert score(where, where.saying(f"{where.answer} {spam}")) == pytest.approx(1 / 21, abs=0.01)
    assert score(where, where.saying(" ".join([where.answer] * 5))) == pytest.approx(0.2)
    assert score(where, where.saying(" ".join([where.answer] * 65))) == 0.0
    width, height = where.row.size
    assert score(where, where.saying(f"[0, 0, {width}, {height}]")) < 0.5
    assert score(where, where.saying("not visible")) == 0.0


@pytest.mark.parametrize(
    "said",
    [
        "[9, 9, 3, 3]", "[3, 9, 3, 12]", "[NaN, 1, 2, 3]", "[nan, nan, nan, nan]", "[inf, inf, inf, inf]",
        "[0, 0, inf, inf]",
        "[1e9, 1e9, 2e9, 2e9]", "[0, 0, 99999999999999999999, 99999999999999999999]", "[-1e308, 0, 1e308, 1]", "[1, 2, 3]",
        "[1, 2, 3, 4, 5]", "[]", "[,,,]", "[0, 0, 0, 0]", "[1 2 3 4]", "(1, 2, 3, 4)", "<bbox>", "[[1, 2, 3, 4]]",
        "[-5, -5, -1, -1]", "[１, ２, ３, ４", "[" * 900, "[1, 2, 3, 4" * 80,
    ],
)  # fmt: skip
def test_boxes_that_are_none_are_worth_nothing_and_never_raise(said: str) -> None:
    where = box_prompt()
    for scorer in (SCORER, Scorer(CONFIG, per_mille)):
        text = chain(f"The gallbladder lies on the left {said}.", f"It is at {said}.", f"So {said} it is.", said)
        found = scorer.all(text, where.row)
        assert found["boxes"] == 0.0
        assert found["faithfulness"] == 0.0


@pytest.mark.parametrize("mark", ["<bbox:0>", "<BBOX:0>", "< bbox:0>", "＜bbox:0＞", "<bbox:0> <bbox:1>"])
def test_a_completion_cannot_point_into_the_stored_boxes(mark: str) -> None:
    """In stored text `<bbox:0>` is the true box; from a policy it is nothing."""
    for prompt in (p for p in every_prompt() if p.row.task == "localization" and "[" in p.answer):
        stolen = re.sub(r"\[[\d, ]+\]", mark, prompt.gold)
        assert score(prompt, stolen) == 0.0
        assert prompt.rewards(stolen)["faithfulness"] in (None, 0.0)


def test_an_iou_under_the_threshold_counts_as_nothing() -> None:
    where = box_prompt()
    x1, y1, x2, y2 = map(int, re.findall(r"\d+", where.answer))
    half = where.saying(f"[{x1}, {y1}, {x1 + round(0.6 * (x2 - x1))}, {y2}]")
    dense = score(where, half)
    assert 0.55 < dense < 0.65
    staged = Scorer(RewardConfig(iou=Stages.even((0.0, 0.5, 0.7))))
    assert [staged.one("boxes", half, where.row, progress=p) for p in (0.0, 0.5, 0.9)] == [dense, dense, 0.0]
    assert staged.one("boxes", where.gold, where.row, progress=1.0) == 1.0
    window = SuccessWindow(levels=(0.0, 0.7), window=1, rate=0.5)
    by_window = Scorer(CONFIG, threshold=window)
    assert by_window.one("boxes", half, where.row) == dense
    window.observe(1.0)
    assert by_window.one("boxes", half, where.row) == 0.0


def test_progress_is_that_of_the_trainer() -> None:
    where = box_prompt()
    x1, y1, x2, y2 = map(int, re.findall(r"\d+", where.answer))
    half = where.saying(f"[{x1}, {y1}, {x1 + round(0.6 * (x2 - x1))}, {y2}]")
    boxes = next(f for f in reward_funcs(RewardConfig(iou=Stages.even((0.0, 0.7)))) if f.__name__ == "boxes")
    columns = {name: [value] for name, value in where.columns.items()}
    for step, steps, paid in ((0, 10, True), (9, 10, False), (9, 0, True), (9, -1, True)):
        state = SimpleNamespace(global_step=step, max_steps=steps)
        [value] = boxes(prompts=[""], completions=[half], trainer_state=state, **columns)
        assert bool(value) == paid


# the form


def hostile_forms(prompt: Prompt) -> list[str]:
    """Completions that break the form around the right chain and answer."""
    think, answer = prompt.think, prompt.answer
    inner = think.removeprefix("<think>").removesuffix("</think>")
    right = f"<answer>{answer}</answer>"
    return [
        right, answer, f"<think></think>{right}", f"<think>{inner}{right}", f"{think}<answer>{answer}", think,
        f"<think>{inner}{right}</think>", f"<think>{inner}{right}</think>{right}", f"{think}{right}{right}",
        f"{think}<answer>x</answer>{right}", f"<think>a</think>{think}{right}", f"{think}</think>{right}",
        f"<think>{think}</think>{right}", f"{think}<answer>{right}</answer>", f"{think}{right} Done.", f"So: {think}{right}",
        f"{think}<answer></answer>", f"{think}<ANSWER>{answer}</ANSWER>", f"{think.upper()}{right}",
        f"{think}\n</think>\n{right}",
        f"{right}{think}", f"```{think}{right}```", f"<think>{inner.replace('Level 2', 'Level 3')}</think>{right}",
        f"<think>{inner.replace('Level 1: ', '')}</think>{right}", f"<think>{inner}\nLevel 4: So.</think>{right}",
        f"<think>{inner}\nLevel 1: Again.</think>{right}", f"{think}{right}" * 2, f"{think * 50}{right}",
        f"<think>Well. {inner}</think>{right}", chain("", "", "", answer), f"<think>{inner}</think><answer>{answer}</answer",
    ]  # fmt: skip


def test_no_broken_form_pays_and_none_is_above_the_honest_one() -> None:
    for prompt in every_prompt()[::5]:
        for text in hostile_forms(prompt):
            assert prompt.rewards(text)["format"] == 0.0, text
            assert score(prompt, text) == 0.0, text
            assert prompt.rewards(text)["faithfulness"] in (None, 0.0), text
            assert total(prompt, text) <= 0.0


def test_the_answer_is_read_after_the_last_think_block_only() -> None:
    prompt = first("cholec80", "phase.open")
    inside = f"<think>The answer is <answer>{prompt.answer}</answer></think><answer>Preparation</answer>"
    loose = Scorer(RewardConfig(gate=False))
    assert loose.one("answer", inside, prompt.row) == 0.0
    assert loose.one("answer", f"<think>Short.</think><answer>{prompt.answer}</answer>", prompt.row) == 1.0
    assert loose.one("answer", f"<answer>{prompt.answer}</answer>", prompt.row) == 0.0
    assert score(prompt, f"<think>Short.</think><answer>{prompt.answer}</answer>") == 0.0


def test_a_template_that_opens_the_think_block_is_said_so() -> None:
    prompt = first("cholec80", "phase.open")
    rest = prompt.gold.removeprefix("<think>")
    opened = Scorer(RewardConfig(think_opened=True))
    assert opened.all(rest, prompt.row) == prompt.rewards(prompt.gold)
    assert opened.one("format", prompt.gold, prompt.row) == 0.0
    assert prompt.rewards(rest)["format"] == 0.0


def test_levels_that_say_nothing_or_echo_one_another_are_not_of_the_form() -> None:
    """Exploit: one-word levels; the answer in level 1 and echoes of it below."""
    prompt = first("cholec80", "phase.open", due=True)
    one = prompt.think.partition("Level 1: ")[2].partition("\n")[0]
    for text in (
        chain("Yes.", "No.", "So.", prompt.answer),
        chain(one, "So.", "So it is in this view.", prompt.answer),
        chain(one, one, one, prompt.answer),
        chain(f"{prompt.answer}.", f"{prompt.answer}.", f"{prompt.answer}.", prompt.answer),
    ):
        found = prompt.rewards(text)
        assert found["format"] == 0.0
        assert found["faithfulness"] == 0.0
        assert found["consistency"] == 0.0


# the length


def test_only_what_is_too_long_costs_and_nothing_is_paid_for_being_short() -> None:
    config = RewardConfig(most_tokens=100, soft_tokens=20)
    long = next(f for f in reward_funcs(config) if f.__name__ == "overlong")
    prompt = first("cholec80", "phase.open")
    columns = {name: [value] * 6 for name, value in prompt.columns.items()}
    ids = [[0] * n for n in (0, 1, 80, 90, 100, 5000)]
    assert long(prompts=[""] * 6, completions=["x"] * 6, completion_ids=ids, **columns) == [0, 0, 0, -0.5, -1, -1]
    assert Scorer(config).one("overlong", "x" * 360, prompt.row) == -0.5  # four characters a token


# a common scale


def test_scores_of_a_task_and_source_are_brought_to_the_common_scale() -> None:
    where = box_prompt()
    name = f"{where.row.task}/{where.row.source}"
    config = RewardConfig(scales=Normaliser(scales={name: Scale(median=0.4, iqr=0.2, count=50)}))
    scorer = Scorer(config)
    assert scorer.one("boxes", where.gold, where.row) == pytest.approx(1 / (1 + math.exp(-3)))
    assert scorer.one("boxes", "", where.row) == pytest.approx(1 / (1 + math.exp(2)))
    assert scorer.one("format", where.gold, where.row) == 1.0
    elsewhere = first("endovis18", "loc.")
    assert scorer.one("boxes", elsewhere.gold, elsewhere.row) == 1.0


# anything at all

PIECES = st.sampled_from(
    [
        "<think>", "</think>", "<answer>", "</answer>", "<Think>", "Level 1:", "Level 2: ", "\nLevel 3: ", "\n", " ", ".",
        "hook",
        "A grasper is in view.", "No hook is in view.", "The hook is dissecting at the cystic duct.", "[1, 2, 30, 40]",
        "[1e999, nan, 2, 3]", "<bbox:0>", "¤\ue000", "£\uf8ff", "İ", "\u202e", "\x00", "Preparation", "Yes", "none",
        "not visible",
        "two structures: yes", "The upper one touches it.", "both", "Two graspers are to the left of the other one.",
    ]
)  # fmt: skip
ANYTHING = st.one_of(
    st.text(max_size=400),
    st.lists(PIECES, max_size=40).map("".join),
    st.lists(st.one_of(PIECES, st.text(max_size=20)), max_size=30).map(
        lambda parts: (
            f"<think>Level 1: {''.join(parts[::3])}\nLevel 2: {''.join(parts[1::3])}\nLevel 3: "
            f"{''.join(parts[2::3])}</think><answer>{''.join(parts[:1])}</answer>"
        )
    ),
)


def of_anything(number: int, text: str) -> None:
    prompt = every_prompt()[number % len(every_prompt())]
    found = prompt.rewards(text)
    for name, value in found.items():
        low, high = RANGES[name]
        assert value is None or (math.isfinite(value) and low <= value <= high)
    if found["consistency"] is not None:
        assert found["faithfulness"] is not None
        assert found["consistency"] <= found["faithfulness"]
    assert weighted(CONFIG, found) <= total(prompt, prompt.gold)
    assert found == prompt.rewards(text)


def with_more(number: int, place: int, text: str) -> None:
    prompt = every_prompt()[number % len(every_prompt())]
    place %= len(prompt.gold) + 1
    assert total(prompt, prompt.gold[:place] + text + prompt.gold[place:]) <= total(prompt, prompt.gold)


@given(st.integers(0, 10_000), ANYTHING)
@settings(max_examples=80, deadline=None)
def test_whatever_is_completed_every_reward_is_finite_in_its_range_and_not_above_the_honest_one(
    number: int, text: str
) -> None:
    of_anything(number, text)


@given(st.integers(0, 10_000), st.integers(0, 400), st.one_of(PIECES, st.text(min_size=1, max_size=12)))
@settings(max_examples=60, deadline=None)
def test_the_honest_chain_with_something_put_in_is_never_worth_more(number: int, place: int, text: str) -> None:
    with_more(number, place, text)


@pytest.mark.slow
@pytest.mark.parametrize("held", [of_anything, with_more])
def test_the_same_over_many_more(held: object) -> None:
    places = () if held is of_anything else (st.integers(0, 400),)
    texts = ANYTHING if held is of_anything else st.one_of(PIECES, st.text(min_size=1, max_size=12))
    run = given(st.integers(0, 10_000), *places, texts)(held)  # type: ignore[arg-type]
    settings(max_examples=1500, deadline=None)(run)()


def test_very_long_text_is_refused_quickly() -> None:
    prompt = first("endoscapes", "cvs.criteria")
    many = "A hook is in view. " * 900
    for text in ("<think>" * 400_000, "a" * 3_000_000, chain(many, many, many, "x"), "[" * 19_000, "[1, 2, 30, 40] " * 1_200,
                 chain("A hook and " * 1_700, "x", "y", "z"), chain("[1, 2, 30, 40] " * 1_000, "x", "y", "z")):  # fmt: skip
        start = time.process_time()
        found = prompt.rewards(text)
        assert time.process_time() - start < 1.0
        assert found["format"] == 0.0
        assert found["faithfulness"] == 0.0
