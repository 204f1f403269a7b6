"""Arguments: what a recipe is told becomes a selection and rewards, or a sentence."""

import pytest

from cotgen.errors import CotgenError
from cotgen.stages.arguments import DataArguments, RewardArguments


def test_filters_caps_and_temperature_become_a_selection() -> None:
    given = DataArguments(data=["set"], tasks=["phase"], caps=["class=100", "task=1000"], temperature_of_data=2.0)
    chosen = given.selection("vqa")
    assert chosen.tasks == ("phase",)
    assert chosen.caps == {"class": 100, "task": 1000}
    assert chosen.temperature == 2.0
    assert chosen.splits == ("train",)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"caps": ["task"]}, "'task' is no GROUP=NUMBER"),
        ({"caps": ["surgery=3"]}, "groups are task, source, class"),
        ({"tasks": ["fase"]}, "fase"),
        ({"over": "colour"}, "'colour' is no group"),
    ],
)
def test_what_means_nothing_is_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(CotgenError, match=told):
        DataArguments(**given).selection("cot")  # type: ignore[arg-type]


def test_a_convention_of_boxes_is_one_that_there_is() -> None:
    with pytest.raises(CotgenError, match="boxes: 'yolo' is none of"):
        DataArguments(boxes="yolo")


def test_rewards_come_as_a_mapping_or_as_json_and_know_the_length() -> None:
    config = RewardArguments(rewards={"weights": {"format": 0.2}}).reward_config(512)
    assert (config.weights.format, config.weights.answer) == (0.2, 1.0)
    assert (config.most_tokens, config.soft_tokens) == (512, 128)
    assert RewardArguments(rewards='{"gate": false}').reward_config(512).gate is False
    assert RewardArguments().reward_config(64).most_tokens == 64


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"weights": {"anwser": 1}}, r"rewards: weights\.anwser"),
        ('{"gate"', "no mapping and no JSON"),
        ({"soft_tokens": 600}, "soft_tokens is less than most_tokens"),
    ],
)
def test_rewards_that_mean_nothing_are_refused(given: object, told: str) -> None:
    with pytest.raises(CotgenError, match=told):
        RewardArguments(rewards=given).reward_config(512)  # type: ignore[arg-type]
