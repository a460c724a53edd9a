"""The command line. It alone prints; heavy modules are imported by the commands that need them."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from nst_graph import __version__
from nst_graph.cli.base import app
from nst_graph.errors import NstGraphError

# In the order in which --help lists their commands.
# isort: off
from nst_graph.cli import running, results, checking, studying, weights  # noqa: F401
# isort: on


def main() -> None:
    """Entry point: errors a user can cure are printed without a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        app()
    except NstGraphError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        print(f"nst_graph {__version__}")
        raise typer.Exit
