"""A comparison as files: JSON and a page."""

from __future__ import annotations

from pathlib import Path

from nst_graph.compare.comparison import Comparison
from nst_graph.compare.page import as_page
from nst_graph.compare.request import JSON_NAME, PAGE_NAME
from nst_graph.files import make_directory, replace_file, write_json


def write_comparison(comparison: Comparison, directory: Path) -> Path:
    """Write ``compare.json`` and ``compare.html``, and return the page's path.

    Args:
        comparison: what ``compare`` returned.
        directory: made if it is not there; other files in it are left alone.

    Raises:
        OutputError: it cannot be written.
    """
    make_directory(directory, "choose another directory with --output")
    page = directory / PAGE_NAME
    replace_file(page, as_page(comparison).encode())
    write_json(directory / JSON_NAME, comparison.as_dict())
    return page
