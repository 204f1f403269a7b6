"""The common scale of rewards: medians at a half, order kept, no noise amplified."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotgen.errors import CotgenError
from cotgen.training.normalise import LEAST_IQR, LEAST_REWARDS, Normaliser, Scale

MANY = [n / 39 for n in range(40)]


def test_the_median_of_every_task_and_source_is_a_half() -> None:
    low, high = [0.2 * value for value in MANY], [0.6 + 0.4 * value for value in MANY]
    fitted = Normaliser.fit(
        [("localization", "endoscapes", v) for v in low] + [("cvs", "endoscapes", v) for v in high]
    )
    assert set(fitted.scales) == {"localization/endoscapes", "cvs/endoscapes"}
    assert fitted(0.1, "localization", "endoscapes") == pytest.approx(0.5)
    assert fitted(0.8, "cvs", "endoscapes") == pytest.approx(0.5)


def test_the_curve_is_the_published_one() -> None:
    fitted = Normaliser(steepness=2.0, scales={"a/b": Scale(median=0.4, iqr=0.2, count=30)})
    assert fitted(0.7, "a", "b") == pytest.approx(1 / (1 + math.exp(-2.0 * (0.7 - 0.4) / 0.2)))


def test_a_small_spread_is_floored_and_none_has_no_scale() -> None:
    narrow = Normaliser.fit([("a", "b", 0.5 + value / 1000) for value in MANY])
    assert narrow.scales["a/b"].iqr == LEAST_IQR
    assert abs(narrow(0.5, "a", "b") - narrow(0.539, "a", "b")) < 0.11
    assert Normaliser.fit([("a", "b", 0.7)] * 100).scales == {}
    assert Normaliser.fit([("a", "b", v) for v in MANY[: LEAST_REWARDS - 1]]).scales == {}


def test_what_has_no_scale_keeps_its_reward() -> None:
    assert Normaliser()(0.3, "phase", "cholec80") == 0.3


def test_only_raw_rewards_are_fitted() -> None:
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(CotgenError, match="fit the scales on raw rewards"):
            Normaliser.fit([("a", "b", wrong)])


@given(st.lists(st.floats(0, 1), min_size=LEAST_REWARDS, max_size=60), st.floats(0, 1), st.floats(0, 1))
def test_it_is_finite_in_range_and_keeps_the_order(rewards: list[float], one: float, other: float) -> None:
    fitted = Normaliser.fit([("a", "b", reward) for reward in rewards])
    low, high = sorted((one, other))
    assert 0.0 <= fitted(low, "a", "b") <= fitted(high, "a", "b") <= 1.0
    assert Normaliser.from_json(fitted.to_json()) == fitted
