"""The lessons: each runs from a clean kernel, and its notebook is the run of its source."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
import pytest

LESSONS = Path(__file__).resolve().parents[1] / "docs" / "lessons"
SOURCES = sorted(LESSONS.glob("[0-9][0-9]_*.py"))
NAMES = [source.stem for source in SOURCES]

#: Notebooks are part of the repository; pictures in them stay small.
LARGEST_NOTEBOOK = 200_000


@pytest.fixture
def lessons_on_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(LESSONS))
    yield
    sys.modules.pop("execute", None)


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures_in(notebook: nbformat.NotebookNode) -> int:
    outputs = [output for cell in code_of(notebook) for output in cell.outputs]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def text_on(notebook: nbformat.NotebookNode, stream: str) -> str:
    outputs = [output for cell in code_of(notebook) for output in cell.outputs]
    return "".join(output.text for output in outputs if output.get("name") == stream)


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
@pytest.mark.usefixtures("lessons_on_path")
def test_lesson_runs_from_a_clean_kernel(source: Path) -> None:
    from execute import execute

    notebook = execute(source)

    assert [cell.execution_count for cell in code_of(notebook)] == [
        number for number, _ in enumerate(code_of(notebook), start=1)
    ]
    assert pictures_in(notebook) == 1


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_notebook_is_the_run_of_its_source(source: Path) -> None:
    written = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(written)
    cells = [(cell.cell_type, cell.source) for cell in written.cells]

    remedy = f"{source.name} was changed: run `make lessons`"
    assert cells == [(cell.cell_type, cell.source) for cell in jupytext.read(source).cells], remedy
    assert all(cell.execution_count for cell in code_of(written)), remedy
    assert pictures_in(written) == 1, remedy
    assert not text_on(written, "stderr"), "a lesson should raise no warning"
    assert source.with_suffix(".ipynb").stat().st_size < LARGEST_NOTEBOOK


def test_each_pitfall_is_shown_wrong_first() -> None:
    cells = code_of(jupytext.read(LESSONS / "03_four_pitfalls.py"))
    shown = [cell.source for cell in cells if "WRONG" in cell.source]

    assert len(shown) == 4
    for source in shown:
        wrong = re.search(r"^ *assert .*# WRONG", source, re.MULTILINE)
        right = re.search(r"^ *assert .*# right", source, re.MULTILINE)
        assert wrong and right
        assert wrong.start() < right.start()


def test_index_names_every_lesson_and_asks_about_it() -> None:
    index = (LESSONS / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((\d\d_\w+)\.ipynb\)", index)
    questions = re.split(r"^### ", index, flags=re.MULTILINE)[1:]

    assert linked == NAMES
    for source, section in zip(SOURCES, questions, strict=True):
        title = next(cell.source for cell in jupytext.read(source).cells).splitlines()[0]
        assert section.startswith(title.removeprefix("# "))
        assert len(re.findall(r"^\*[^*]+\?\*", section, re.MULTILINE)) >= 3
