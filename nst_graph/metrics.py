"""The losses of a run as files: metrics.csv for spreadsheets, metrics.jsonl for programs.

Both grow by a row at a time, so that a run that is killed has lost none.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_graph.files import append_line, replace_file

CSV_NAME = "metrics.csv"
JSONL_NAME = "metrics.jsonl"

#: A row: for several sizes the stage, iteration, updates, for L-BFGS evaluations and status,
#: seconds, and the named losses.
Row = Mapping[str, Any]

#: Columns of a row that are no losses.
COUNTS = ("stage", "iteration", "updates", "evaluations", "status", "seconds")


class Metrics:
    """The two files of a run, and the rows in them.

    Args:
        directory: of the run; it is there.
        rows: of a run that is continued. The files are written anew with them: what they held
            beyond is dropped.

    Raises:
        OutputError: the files cannot be written.
    """

    def __init__(self, directory: Path, rows: Sequence[Row] = ()) -> None:
        self._directory = directory
        self._rows = list(rows)
        if self._rows:
            lines = "\n".join(map(json.dumps, self._rows))
            replace_file(directory / JSONL_NAME, f"{lines}\n".encode())
            table = _csv_lines(self._rows, header=True)
            replace_file(directory / CSV_NAME, f"{table}\n".encode())
        else:
            (directory / CSV_NAME).unlink(missing_ok=True)
            (directory / JSONL_NAME).unlink(missing_ok=True)

    @property
    def rows(self) -> Sequence[Row]:
        return self._rows

    def add(self, row: Row) -> None:
        """Append a row to both files; it has the keys of the rows before it.

        Raises:
            OutputError: they cannot be written.
        """
        append_line(self._directory / CSV_NAME, _csv_lines([row], header=not self._rows))
        append_line(self._directory / JSONL_NAME, json.dumps(row))
        self._rows.append(row)


def read_rows(directory: Path) -> list[dict[str, Any]]:
    """The rows in metrics.jsonl; none where it is not there.

    A line that was cut off as the run was killed ends them.
    """
    try:
        lines = (directory / JSONL_NAME).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    rows: list[dict[str, Any]] = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            break
        if not isinstance(row, dict):
            break
        rows.append(row)
    return rows


def losses_of(row: Row) -> dict[str, float]:
    """The named losses of a row, without its counts."""
    return {name: value for name, value in row.items() if name not in COUNTS}


def _csv_lines(rows: Sequence[Row], *, header: bool) -> str:
    """Lines of the table, the last without its end."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().removesuffix("\n")
