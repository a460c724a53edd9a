"""The page of a batch: its pictures, its summary, and the pages of its runs."""

from __future__ import annotations

import csv
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from nst_graph.batch.summary import SUMMARY
from nst_graph.errors import OutputError
from nst_graph.report.pictures import STAMP_SIDE, Shown, shown_file
from nst_graph.webpage import render

TEMPLATE = "report_batch.html.j2"

#: Stamps in a page: 10 to 15 kB each.
MOST_STAMPS = 400

#: Of the summary, what a table on a page can do without.
_LEFT_OUT = ("job_sha256", "output")


@dataclass(frozen=True)
class BatchRun:
    """A row of the summary, with what is in the run's directory."""

    name: str
    row: Mapping[str, str]
    directory: Path
    picture: Shown | None
    has_picture: bool
    link: str

    @property
    def shown(self) -> dict[str, str]:
        """The row with its numbers to six digits: summary.csv has them all."""
        return {key: _short(value) for key, value in self.row.items()}


def read_summary(directory: Path) -> list[dict[str, str]]:
    """Rows of a batch's summary.csv.

    Raises:
        OutputError: it cannot be read, or is another table.
    """
    path = directory / SUMMARY
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                {str(key): str(value or "") for key, value in row.items()}
                for row in csv.DictReader(file)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OutputError(f"it cannot be read: {error}", where=str(path)) from None
    if any(not {"name", "status"} <= row.keys() or not row["name"] for row in rows):
        raise OutputError(
            "it is not the summary of a batch",
            where=str(path),
            remedy="name a directory that `nst-graph run` wrote",
        )
    return rows


def batch_page(directory: Path, page: Path, run_page_name: str) -> str:
    """The page as HTML.

    Args:
        directory: of the batch.
        page: where it will be; links to the runs' pages are relative to it.
        run_page_name: of a run's page, in the run's directory.

    Raises:
        OutputError: the batch's summary cannot be read.
    """
    runs = []
    for number, row in enumerate(read_summary(directory)):
        place = directory / row["name"]
        results = sorted(place.glob("result.*"))
        stamp = results[0] if results and number < MOST_STAMPS else None
        own_page = place / run_page_name
        runs.append(
            BatchRun(
                row["name"],
                row,
                place,
                shown_file(stamp, STAMP_SIDE),
                bool(results),
                _link(own_page, page) if own_page.is_file() else "",
            )
        )
    columns = [name for name in (runs[0].row if runs else ()) if name not in _LEFT_OUT]
    return render(
        TEMPLATE,
        {
            "name": directory.absolute().name,
            "runs": runs,
            "counts": Counter(run.row["status"] for run in runs).most_common(),
            "columns": columns,
            "linked": any(run.link for run in runs),
            "command": f"nst-graph report {shlex.quote(str(directory))} --runs",
        },
    )


def _short(text: str) -> str:
    try:
        return f"{float(text):.6g}" if "." in text else text
    except ValueError:
        return text


def _link(target: Path, page: Path) -> str:
    """The address of a file as a page beside or above it names it."""
    target, folder = target.absolute(), page.absolute().parent
    if target.is_relative_to(folder):
        return quote(target.relative_to(folder).as_posix())
    return target.as_uri()
