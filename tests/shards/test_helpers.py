"""Helpers evaluate an expression (`eval(shared, item)`), which every process can import."""

import operator

import pytest

from cotgen.shards.helpers import in_processes

DOUBLE = "n * 2"
DIE_AT_TWO = "__import__('os')._exit(3) if n == 2 else n * 2"


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    assert list(in_processes(eval, DOUBLE, [{"n": n} for n in range(6)], workers)) == [0, 2, 4, 6, 8, 10]


def test_a_helper_that_ends_unasked_costs_its_item_and_no_other() -> None:
    results = list(in_processes(eval, DIE_AT_TWO, [{"n": n} for n in range(5)], 2))
    assert [result for result in results if not isinstance(result, str)] == [0, 2, 6, 8]
    assert "ended unasked (exit code 3)" in results[2]


def test_who_stops_listening_waits_for_nobody() -> None:
    results = in_processes(operator.mul, 2, [1, 2, 3, 4], 2)
    assert next(results) == 2
    results.close()
