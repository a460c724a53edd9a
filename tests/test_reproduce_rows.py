"""Verdicts: when a number is met, when it deviates, and what the exit code says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nst_graph.reproduce.expected import Expectation
from nst_graph.reproduce.rows import Row, exit_code, judge, missing_row

NUMBER = Expectation(
    target="coursera",
    group="graded",
    name="J",
    title="a cost",
    value=np.array(200.0),
    rtol=1e-3,
    source="a page",
)
ARRAY = replace(NUMBER, value=np.array([[1.0, -4.0], [0.0, 2.0]]))


@pytest.mark.parametrize(
    ("measured", "deviation", "verdict"),
    [(200.0, 0.0, "met"), (200.19, 9.5e-4, "met"), (199.79, 1.05e-3, "deviates")],
)
def test_a_number_is_met_within_its_tolerance(
    measured: float, deviation: float, verdict: str
) -> None:
    row = judge(NUMBER, measured)
    assert (row.published, row.measured, row.verdict) == (200.0, measured, verdict)
    assert row.deviation == pytest.approx(deviation)


def test_an_array_is_judged_by_its_worst_value_on_the_scale_of_its_largest() -> None:
    row = judge(ARRAY, [[1.0, -4.0], [0.002, 2.001]])
    assert (row.published, row.measured, row.count) == (0.0, 0.002, 4)
    assert row.deviation == pytest.approx(0.0005)
    assert row.verdict == "met"
    assert judge(ARRAY, [[1.005, -4.0], [0.0, 2.0]]).verdict == "deviates"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_deviates(value: float) -> None:
    row = judge(ARRAY, [[1.0, -4.0], [value, 2.0]])
    assert (row.verdict, row.measured, row.deviation) == ("deviates", None, None)
    assert str(value) in row.note


def test_a_run_that_gave_no_value_deviates() -> None:
    assert judge(NUMBER, None).verdict == "deviates"


def test_another_shape_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="measured"):
        judge(ARRAY, [1.0, -4.0, 0.0, 2.0])


def test_the_tf32_value_counts_only_where_tf32_was_in_use() -> None:
    row = replace(NUMBER, tf32=np.array(210.0))
    with_tf32, without = judge(row, 210.1, tf32=True), judge(row, 210.1)
    assert (with_tf32.verdict, with_tf32.published) == ("met", 210.0)
    assert "TF32" in with_tf32.note
    assert (without.verdict, without.published) == ("deviates", 200.0)
    assert "not in use" in without.note
    assert judge(row, 200.0, tf32=True).published == 200.0
    assert judge(row, 205.0, tf32=True).verdict == "deviates"


def rows(*verdicts: str) -> list[Row]:
    made = {
        "met": judge(NUMBER, 200.0),
        "deviates": judge(NUMBER, 300.0),
        "missing": missing_row(NUMBER, ["monet.jpg"]),
    }
    return [made[verdict] for verdict in verdicts]


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (("met", "met"), 0),
        (("met", "deviates"), 1),
        (("met", "missing"), 3),
        (("missing",), 3),
        (("missing", "deviates", "met"), 1),
    ],
)
def test_exit_code(verdicts: tuple[str, ...], code: int) -> None:
    assert exit_code(rows(*verdicts)) == code


def test_a_missing_row_has_no_value() -> None:
    (row,) = rows("missing")
    assert (row.measured, row.deviation, row.missing) == (None, None, ("monet.jpg",))
