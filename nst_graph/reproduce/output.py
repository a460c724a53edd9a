"""A report as files."""

from __future__ import annotations

from pathlib import Path

from nst_graph.errors import OutputError
from nst_graph.files import looking_at, replace_file, write_json
from nst_graph.reproduce.report import Report
from nst_graph.reproduce.table import as_markdown


def check_places(*places: Path | None) -> None:
    """Check that files can be put there, before hours of computing.

    Raises:
        OutputError: a folder is not there, or the place is a folder itself.
    """
    for place in places:
        if place is None:
            continue
        with looking_at(place):
            fault = "is a folder" if place.is_dir() else ""
            if not place.parent.is_dir():
                fault = f"{place.parent} is not a folder"
        if fault:
            raise OutputError(fault, where=str(place), remedy="name a file in a folder that exists")


def write_report(
    report: Report, json_path: Path | None, markdown_path: Path | None, command: str
) -> None:
    """Write the report as JSON (``schema.json``) and as a Markdown page, each where asked for.

    Args:
        report: what ``reproduce`` returned.
        json_path, markdown_path: files; None is not written.
        command: what made the report, for the page.

    Raises:
        OutputError: a file cannot be written.
    """
    if json_path is not None:
        write_json(json_path, report.as_dict())
    if markdown_path is not None:
        replace_file(markdown_path, as_markdown(report, command).encode())
