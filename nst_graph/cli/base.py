"""What the commands share: the application, options, TensorFlow imported without its chatter."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

app = typer.Typer(
    name="nst-graph",
    help="Neural style transfer as a TensorFlow graph-mode pipeline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

INTERRUPTED = 130

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as optimizer.steps=50."),
]
OverwriteOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace a run that is in the output directory."),
]


@contextmanager
def quiet_import() -> Iterator[None]:
    """Keep TensorFlow's start-up chatter off the terminal; show it if the import fails."""
    import tempfile

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except BaseException:
            chatter.seek(0)
            os.write(terminal, chatter.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
