"""Losses as files: a row at a time, and taken up again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from nst_graph.errors import OutputError
from nst_graph.metrics import Metrics, losses_of, read_rows

ROWS = [
    {"iteration": number, "updates": number + 1, "seconds": 0.5, "total": 10.0 - number / 3}
    for number in range(4)
]


def test_both_files_hold_every_row_as_soon_as_it_is_added(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    for count, row in enumerate(ROWS, start=1):
        metrics.add(row)
        assert read_rows(tmp_path) == ROWS[:count]
        with (tmp_path / "metrics.csv").open(encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
        assert [float(line["total"]) for line in table] == [row["total"] for row in ROWS[:count]]
    assert losses_of(ROWS[0]) == {"total": 10.0}


def test_counts_are_no_losses() -> None:
    counts = {"stage": 1, "evaluations": 3, "status": "converged"}
    assert losses_of({**ROWS[0], **counts}) == {"total": 10.0}


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path)
    for row in ROWS:
        metrics.add(row)
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert read_rows(tmp_path) == ROWS[:3]
    assert read_rows(tmp_path / "absent") == []


def test_a_continued_run_drops_the_rows_after_the_place_where_it_begins(tmp_path: Path) -> None:
    first = Metrics(tmp_path)
    for row in ROWS:
        first.add(row)
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    second = Metrics(tmp_path, read_rows(tmp_path)[:2])
    assert read_rows(tmp_path) == ROWS[:2] == list(second.rows)
    for row in ROWS[2:]:
        second.add(row)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole
    Metrics(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        Metrics(tmp_path / "absent").add(ROWS[0])


def test_lines_are_json(tmp_path: Path) -> None:
    Metrics(tmp_path).add({"iteration": 0, "style/relu1_1": 1e-7, "status": "converged"})
    text = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")
    assert text.count("\n") == 1
    assert json.loads(text)["style/relu1_1"] == 1e-7
