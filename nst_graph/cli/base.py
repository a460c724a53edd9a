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
            with _without_keras():
                yield
        except BaseException:
            chatter.seek(0)
            os.write(terminal, chatter.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


@contextmanager
def _without_keras() -> Iterator[None]:
    """Spare TensorFlow the import of Keras 3, a fifth of its own: nothing here uses it.

    TensorFlow tries it at the end of its import and goes on where it is not installed; ``tf.keras``
    remains a lazy name that imports it when it is first asked for.
    """
    if "keras" in sys.modules:
        yield
        return
    sys.modules["keras"] = None  # type: ignore[assignment]  # to Python: cannot be imported
    try:
        yield
    finally:
        del sys.modules["keras"]
