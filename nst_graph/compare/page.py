"""A comparison as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import base64
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from nst_graph import __version__
from nst_graph.compare import figures
from nst_graph.compare.comparison import Comparison
from nst_graph.compare.table import cost_rows, difference_rows
from nst_graph.images import png_bytes

TEMPLATE = "compare.html.j2"


def as_page(comparison: Comparison) -> str:
    """The page as HTML; figures and pictures are in it."""
    environment = Environment(
        loader=PackageLoader("nst_graph"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(_contents(comparison))


def _contents(comparison: Comparison) -> dict[str, Any]:
    return {
        "version": __version__,
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
            (result.name, _data("image/png", png_bytes(result.picture)), result.pixel_difference)
            for result in comparison.results
        ],
    }


def _svg(figure: bytes) -> str:
    return _data("image/svg+xml", figure)


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
