"""Rows of a report: a published number, the measured one, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nst_graph.reproduce.expected import Expectation, Values

Verdict = Literal["met", "deviates", "missing"]

EXIT_MET, EXIT_DEVIATES, EXIT_MISSING = 0, 1, 3


@dataclass(frozen=True)
class Row:
    """One line of a report.

    Attributes:
        target, group, name, title, source: of the expectation.
        published, measured: of several values, the pair that deviates most; ``measured`` is None
            where nothing finite was measured.
        count: number of values compared.
        deviation: largest absolute difference, relative to the largest absolute published value;
            None without a measured value.
        tolerance: largest deviation allowed.
        verdict: "missing" where an input was not there.
        missing: the inputs that were not there.
        note: anything else that a reader of this line has to know.
    """

    target: str
    group: str
    name: str
    title: str
    source: str
    published: float
    measured: float | None
    count: int
    deviation: float | None
    tolerance: float
    verdict: Verdict
    missing: tuple[str, ...] = ()
    note: str = ""


def judge(
    expectation: Expectation, measured: npt.ArrayLike | None, *, tf32: bool = False, note: str = ""
) -> Row:
    """Compare what was measured with what was published.

    Args:
        expectation: the published side.
        measured: of the same shape; None where the run ended before it gave a value.
        tf32: the value was computed with TF32 arithmetic, so that the TF32 value counts as met.
        note: for the row.
    """
    if measured is None:
        note = _joined(note, "the run ended without it")
        return _row(expectation, expectation.value.flat[0], None, None, "deviates", note)
    values = np.asarray(measured, np.float64)
    if values.shape != expectation.value.shape:
        raise ValueError(
            f"{expectation.name}: measured {values.shape}, published {expectation.value.shape}"
        )
    published = expectation.value
    deviation, worst = _deviation(values, published)
    if deviation > expectation.rtol and expectation.tf32 is not None:
        tf32_deviation, tf32_worst = _deviation(values, expectation.tf32)
        if tf32_deviation <= expectation.rtol:
            note = _joined(note, "the value of TF32 arithmetic")
            if tf32:
                published, deviation, worst = expectation.tf32, tf32_deviation, tf32_worst
            else:
                note += ", which was not in use"
    verdict: Verdict = "met" if deviation <= expectation.rtol else "deviates"
    if not np.isfinite(deviation):
        note = _joined(note, f"measured {values.flat[worst]}")
        return _row(expectation, published.flat[worst], None, None, verdict, note)
    return _row(expectation, published.flat[worst], values.flat[worst], deviation, verdict, note)


def missing_row(expectation: Expectation, missing: Sequence[str]) -> Row:
    """The row of a number whose inputs are not all there."""
    return _row(expectation, expectation.value.flat[0], None, None, "missing", "", tuple(missing))


def exit_code(rows: Sequence[Row]) -> int:
    """0: every row met; 1: one deviates; 3: none deviates, but one could not be measured."""
    verdicts = {row.verdict for row in rows}
    if "deviates" in verdicts:
        return EXIT_DEVIATES
    return EXIT_MISSING if "missing" in verdicts else EXIT_MET


def counts(rows: Sequence[Row]) -> Mapping[Verdict, int]:
    """How many rows have each verdict."""
    verdicts: tuple[Verdict, ...] = ("met", "deviates", "missing")
    return {verdict: sum(row.verdict == verdict for row in rows) for verdict in verdicts}


def _deviation(values: Values, published: Values) -> tuple[float, int]:
    """Largest difference by the largest published value, and where it is."""
    differences = np.abs(values - published)
    worst = int(np.argmax(np.where(np.isnan(differences), np.inf, differences)))
    scale = float(np.max(np.abs(published))) or 1.0
    largest = float(differences.flat[worst])
    return (np.inf if np.isnan(largest) else largest / scale), worst


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _row(
    expectation: Expectation,
    published: float,
    measured: float | None,
    deviation: float | None,
    verdict: Verdict,
    note: str,
    missing: tuple[str, ...] = (),
) -> Row:
    return Row(
        target=expectation.target,
        group=expectation.group,
        name=expectation.name,
        title=expectation.title,
        source=expectation.source,
        published=float(published),
        measured=None if measured is None else float(measured),
        count=expectation.value.size,
        deviation=deviation,
        tolerance=expectation.rtol,
        verdict=verdict,
        missing=missing,
        note=note,
    )


def as_dict(row: Row) -> dict[str, Any]:
    """The row as JSON data."""
    return {**vars(row), "missing": list(row.missing)}
