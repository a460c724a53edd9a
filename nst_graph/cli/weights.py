"""Commands about weights files: download, weights info."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nst_graph.cli.base import INTERRUPTED, app
from nst_graph.errors import NstGraphError

weights_app = typer.Typer(help="Look at weights files.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")


@app.command()
def download(
    key: Annotated[
        str, typer.Argument(help="Which file: mat, mat-beta16, mat-2015 or keras-h5.")
    ] = "mat",
    directory: Annotated[Path, typer.Option(help="Where it goes.")] = Path("pretrained"),
    url: Annotated[
        str | None,
        typer.Option(help="Fetch from this mirror instead."),
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option(help="Take a copy of a local file instead; its digest is checked."),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option(help="Accept an expired TLS certificate; the digest is still checked."),
    ] = False,
) -> None:
    """Fetch pretrained weights into pretrained/, checked against their published digest."""
    from rich.console import Console

    from nst_graph.console import download_progress
    from nst_graph.weights.download import download as fetch

    try:
        with download_progress(Console(stderr=True), "weights") as progress:
            report = fetch(
                key,
                directory,
                url=url,
                from_file=from_file,
                insecure=insecure,
                progress=progress,
            )
    except KeyboardInterrupt:
        print("interrupted; the part that came is kept and will be resumed", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    for line in report.lines():
        print(line)


@weights_app.command("info")
def weights_info(
    path: Annotated[Path, typer.Argument(help="A .mat or .h5 file.")],
) -> None:
    """Say what a weights file is: layout, digests, layers, mean pixel, known or not."""
    from nst_graph.weights import describe

    facts = describe(path)
    print(facts)
    if facts.problem:
        raise typer.Exit(NstGraphError.exit_code)
