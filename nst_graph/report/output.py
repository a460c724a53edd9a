"""Reports as files: which page a directory gets, and where it may go."""

from __future__ import annotations

from pathlib import Path

from nst_graph.artifacts import MANIFEST
from nst_graph.batch.summary import SUMMARY
from nst_graph.errors import OutputError
from nst_graph.files import looking_at, replace_file
from nst_graph.report.batch_page import batch_page, read_summary
from nst_graph.report.record import read_run
from nst_graph.report.run_page import run_page

PAGE_NAME = "report.html"

#: By it a page is known as one of ours, which may be replaced.
GENERATOR = '<meta name="generator" content="nst_graph'


def write_report(directory: Path, output: Path | None = None, *, runs: bool = False) -> Path:
    """Write the page of a run, or of a batch, and return its path.

    Args:
        directory: of the run, finished or not, or of the batch.
        output: the file; by default report.html in the directory. An older report is replaced.
        runs: of a batch, write the page of every run as well.

    Raises:
        OutputError: there is neither run nor batch, or the page cannot be written there.
    """
    page = output or directory / PAGE_NAME
    with looking_at(directory):
        _check_page(page)
        if (directory / MANIFEST).is_file():
            html = run_page(read_run(directory))
        elif (directory / SUMMARY).is_file():
            if runs:
                _write_runs(directory)
            html = batch_page(directory, page, PAGE_NAME)
        else:
            raise OutputError(_absence(directory), where=str(directory), remedy=_remedy(directory))
    replace_file(page, html.encode("utf-8", "backslashreplace"))
    return page


def _write_runs(directory: Path) -> None:
    for row in read_summary(directory):
        run = directory / row["name"]
        if (run / MANIFEST).is_file():
            write_report(run)


def _check_page(page: Path) -> None:
    """Refuse to replace what is not a report."""
    elsewhere = "choose another file with --output FILE.html"
    if page.is_dir():
        raise OutputError("is a directory", where=str(page), remedy=elsewhere)
    if not page.is_file():
        return
    with page.open("rb") as file:
        if GENERATOR.encode() not in file.read(2000):
            raise OutputError("is there, and is no report", where=str(page), remedy=elsewhere)


def _absence(directory: Path) -> str:
    if not directory.exists():
        return "there is no such directory"
    if not directory.is_dir():
        return "is a file, not a directory"
    return "holds neither a run nor the summary of a batch"


def _remedy(directory: Path) -> str:
    below = sorted(path.parent for path in directory.glob(f"*/{MANIFEST}"))
    if below:
        return f"name a run below it, such as {below[0]}"
    return "name the directory of a run, such as runs/demo, or of a batch"
