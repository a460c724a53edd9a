"""A comparison as one HTML page that needs nothing beside itself."""

from __future__ import annotations

from typing import Any

from nst_graph.compare import figures
from nst_graph.compare.comparison import Comparison
from nst_graph.compare.table import cost_rows, difference_rows
from nst_graph.images import png_bytes
from nst_graph.webpage import data_uri, render

TEMPLATE = "compare.html.j2"


def as_page(comparison: Comparison) -> str:
    """The page as HTML; figures and pictures are in it."""
    return render(TEMPLATE, _contents(comparison))


def _contents(comparison: Comparison) -> dict[str, Any]:
    return {
        "facts": comparison.facts,
        "reference": comparison.reference,
        "engines": [result.name for result in comparison.results],
        "colours": {name: colour for name, (colour, _) in figures.STYLES.items()},
        "costs": cost_rows(comparison),
        "differences": difference_rows(comparison),
        "losses": _svg(figures.losses(comparison)),
        "own_run": _svg(figures.own_run_differences(comparison)),
        "same_image": _svg(figures.same_image_differences(comparison)),
        "timings": [
            (title, _svg(figures.timings(comparison, title)))
            for title in ("build", "first step", "median step")
        ],
        "pictures": [
            (result.name, data_uri("image/png", png_bytes(result.picture)), result.pixel_difference)
            for result in comparison.results
        ],
    }


def _svg(figure: bytes) -> str:
    return data_uri("image/svg+xml", figure)
