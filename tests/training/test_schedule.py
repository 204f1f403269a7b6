"""Schedules of the IoU: by progress, and by success; the state of the latter survives a checkpoint."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotgen.errors import CotgenError
from cotgen.training.schedule import LEVELS, Stage, Stages, SuccessWindow


def test_by_default_every_iou_counts() -> None:
    assert [Stages().at(progress) for progress in (0.0, 0.5, 1.0)] == [0.0, 0.0, 0.0]


def test_stages_begin_by_the_progress_of_the_run() -> None:
    stages = Stages.even()
    assert [stages.at(n / 8) for n in range(9)] == [0.0, 0.0, 0.3, 0.3, 0.5, 0.5, 0.7, 0.7, 0.7]
    assert Stages.from_json(stages.to_json()) == stages


def test_stages_in_another_order_are_refused() -> None:
    for stages in ([Stage(begins=0.5, least=0.5)], [Stage(begins=0.0, least=0.1), Stage(begins=0.0, least=0.2)]):
        with pytest.raises(ValueError, match="the first stage begins at 0"):
            Stages(stages=stages)


def test_the_threshold_rises_when_success_at_the_next_level_holds_over_the_window() -> None:
    window = SuccessWindow(window=3, rate=0.6)
    assert (window.at(0.9), window.following) == (0.0, 0.3)
    for rate in (0.9, 0.9):
        window.observe(rate)
    assert window.at(0.9) == 0.0  # the window is not full
    window.observe(0.1)
    assert window.at(0.9) == 0.3
    for rate in (1.0, 0.3, 0.3):
        window.observe(rate)
    assert window.at(0.9) == 0.3  # 0.53
    window.observe(1.0)
    assert window.at(0.9) == 0.3
    window.observe(1.0)
    assert (window.at(0.9), window.following) == (0.5, 0.7)


@given(st.lists(st.floats(0, 1), max_size=60))
def test_the_threshold_never_falls_and_ends_at_the_last_level(rates: list[float]) -> None:
    window = SuccessWindow(window=2, rate=0.5)
    seen = [window.at(0.0)]
    for rate in rates:
        window.observe(rate)
        seen.append(window.at(0.0))
    assert seen == sorted(seen)
    assert set(seen) <= set(LEVELS)


@given(st.lists(st.floats(0, 1), max_size=30), st.lists(st.floats(0, 1), max_size=30))
def test_a_run_that_is_resumed_goes_on_as_if_it_had_not_stopped(before: list[float], after: list[float]) -> None:
    whole = SuccessWindow(window=4)
    for rate in before:
        whole.observe(rate)
    resumed = SuccessWindow(window=4)
    resumed.load_state_dict(orjson.loads(orjson.dumps(whole.state_dict())))
    for rate in after:
        whole.observe(rate)
        resumed.observe(rate)
    assert resumed.state_dict() == whole.state_dict()


def test_what_cannot_be_is_refused() -> None:
    for wrong in ({"levels": (0.5, 0.3)}, {"levels": ()}, {"levels": (0.0, 1.0)}, {"window": 0}, {"rate": 0.0}):
        with pytest.raises(CotgenError, match="IoU schedule"):
            SuccessWindow(**wrong)  # type: ignore[arg-type]
    for rate in (-0.1, 1.1, float("nan")):
        with pytest.raises(CotgenError, match="is no success rate"):
            SuccessWindow().observe(rate)
    with pytest.raises(CotgenError, match="resume with the levels that it was begun with"):
        SuccessWindow().load_state_dict(SuccessWindow(levels=(0.0, 0.5)).state_dict())
