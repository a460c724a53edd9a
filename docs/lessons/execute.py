"""Run the lessons and write them with their outputs: ``make lessons``.

The sources are the ``.py`` files, in jupytext's percent format; each ``.ipynb`` beside them is one
of these files after a run from a clean kernel.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

LESSONS = Path(__file__).resolve().parent

#: Lines of TensorFlow's log, about the machine and about runs that failed: not part of a lesson.
LOG_LINE = re.compile(
    r"^(\d{4}-\d\d-\d\d .*: [IWE] |[IWE]\d{4} \d\d|WARNING: All log messages before"
    r"|To enable the following|\t \[\[).*\n?",
    re.MULTILINE,
)


def sources() -> list[Path]:
    """The lessons, in their order."""
    return sorted(LESSONS.glob("[0-9][0-9]_*.py"))


def execute(source: Path, timeout: int = 120) -> nbformat.NotebookNode:
    """Run one lesson in a kernel of its own and return it with outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an exception.
    """
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # random ids would change the file with every run
    NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(LESSONS)}},
        record_timing=False,
    ).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _is_kept(output)]
    return notebook


def _is_kept(output: nbformat.NotebookNode) -> bool:
    """Whether anything is left of an output without TensorFlow's log."""
    if output.output_type != "stream":
        return True
    output.text = LOG_LINE.sub("", output.text)
    return bool(output.text)


def main(names: list[str]) -> None:
    for source in sources():
        if not names or any(source.name.startswith(name) for name in names):
            target = source.with_suffix(".ipynb")
            nbformat.write(execute(source), target)
            print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
