"""HTML pages that need nothing beside themselves."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from nst_graph import __version__


def render(template: str, contents: Mapping[str, Any]) -> str:
    """A page from a template in ``nst_graph/templates``.

    Args:
        template: name of the file.
        contents: what it shows; text is escaped. ``version`` is added.
    """
    environment = Environment(
        loader=PackageLoader("nst_graph"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render({**contents, "version": __version__})


def data_uri(kind: str, content: bytes) -> str:
    """A file as an address that holds it; ``kind`` is its media type, such as "image/png"."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
