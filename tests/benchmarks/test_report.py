"""The table's arithmetic; the benchmarks themselves run by ``python -m tests.benchmarks``."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks.report import Measure, Value, as_json, number, table


def ms(*samples: float) -> Value:
    return Value.of(samples, "ms")


def warm() -> Measure:
    measure = Measure(
        "1",
        "warm",
        ms(2, 1, 9),
        {"slow": ms(4), "fast": ms(1)},
        remarks={"fast": "verifies nothing"},
    )
    measure.at_most(0.5, "slow")
    return measure


def test_a_value_is_the_median_of_its_rounds_with_their_spread() -> None:
    assert ms(2, 1, 9) == Value(2, 1, 9, "ms")
    assert str(ms(2, 1, 9)) == "2 ms (1–9)"
    assert str(ms(3)) == "3 ms"


def test_ratios_are_ours_divided_by_theirs() -> None:
    assert warm().ratios == {"slow": 0.5, "fast": 2}


def test_a_figure_of_another_unit_or_of_nothing_has_no_ratio() -> None:
    measure = Measure("9", "calls", Value.of([5], "calls"), {"time": ms(1)})
    assert measure.ratios == {}
    measure.peers["none"] = Value.of([0], "calls")
    assert measure.ratios == {}
    assert "| none | 0 calls |  |  |  |" in table([measure])


def test_a_target_at_its_limit_is_met_and_beyond_it_is_not() -> None:
    measure = warm()
    assert measure.met
    measure.at_most(1, "fast")
    assert not measure.met


def test_a_rate_must_reach_its_limit() -> None:
    measure = Measure("3", "rate", ms(6), {"peer": ms(2)})
    measure.at_least(3, "peer")
    assert measure.met
    measure.at_least(3.1, "peer")
    assert not measure.met


def test_a_target_may_be_another_lines_than_our_first() -> None:
    measure = Measure("2", "cold", ms(100), {"peer": ms(10), "ours, small": ms(5)})
    measure.at_most(1, "peer", of=("ours, small", measure.peers["ours, small"]))
    assert measure.met
    assert measure.targets[0].text == "ours, small ≤ 1 × peer"


def test_without_a_target_nothing_is_met_or_missed() -> None:
    assert Measure("0", "only shown", ms(1)).met is None


def test_the_table_has_a_row_for_each_contender_ours_first() -> None:
    assert table([warm()]).splitlines()[2:] == [
        "| 1 | warm | ours | 2 ms (1–9) | 1 | ≤ 0.5 × slow | yes |",
        "|  |  | slow | 4 ms | 0.50 |  |  |",
        "|  |  | fast (verifies nothing) | 1 ms | 2.00 |  |  |",
    ]


def test_a_missed_target_stands_out() -> None:
    measure = warm()
    measure.at_most(1, "fast")
    assert table([measure]).splitlines()[2].endswith("| ≤ 0.5 × slow; ≤ 1 × fast | **no** |")


def test_the_json_has_every_measure_with_versions_and_machine() -> None:
    found = json.loads(json.dumps(as_json([warm()], {"fastapi": "1"}, {"processors": 2})))

    assert found["versions"] == {"fastapi": "1"}
    assert found["machine"] == {"processors": 2}
    (measure,) = found["measures"]
    assert measure.keys() == {*("id", "name", "ours", "peers", "ratio", "target", "met", "remarks")}
    assert measure["ours"] == {"median": 2, "lowest": 1, "highest": 9, "unit": "ms"}
    assert measure["ratio"] == {"slow": 0.5, "fast": 2}
    assert measure["target"] == "≤ 0.5 × slow"
    assert measure["met"] is True


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.01234, "0.0123"), (12.34, "12.3"), (12345.6, "12,346")]
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text
