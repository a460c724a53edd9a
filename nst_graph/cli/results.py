"""Commands that take up what a run has left: rerun, report, animate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nst_graph.cli.base import OverwriteOption, SetOption, app
from nst_graph.cli.running import carry_out

if TYPE_CHECKING:
    from nst_graph.rerun import Comparison


@app.command()
def rerun(
    picture: Annotated[Path, typer.Argument(help="A result, or an image of the way to it.")],
    output: Annotated[
        Path | None, typer.Option(help="A directory; by default the run's own, with .rerun.")
    ] = None,
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Make a picture again from what its metadata say, and compare the two."""
    from nst_graph.artifacts import check_output
    from nst_graph.origin import read_origin
    from nst_graph.rerun import compare, default_output, plan_rerun

    origin = read_origin(picture)
    target = output or default_output(picture, origin)
    plan = plan_rerun(picture, origin, target, overrides or [])
    check_output(plan.output, overwrite=overwrite)
    carry_out(plan, overwrite=overwrite)
    _tell(picture, compare(picture, origin, plan.output))


@app.command()
def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Of a run, or of a batch.")],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="By default report.html in DIR.")
    ] = None,
    runs: Annotated[
        bool, typer.Option("--runs", help="Of a batch: the page of every run as well.")
    ] = False,
) -> None:
    """Write a run, or a batch, as one HTML page: pictures, time line, losses, settings, origin."""
    from nst_graph.report import write_report

    print(write_report(directory, output, runs=runs))


@app.command()
def animate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Of a run.")],
    kind: Annotated[str, typer.Option("--format", help="gif, or mp4: nst_graph[video].")] = "gif",
    fps: Annotated[
        float | None, typer.Option(min=1, max=50, help="Images a second; by default 8.")
    ] = None,
) -> None:
    """Make the saved images of a run into an animation: evolution.gif or evolution.mp4."""
    from nst_graph.animation import FPS, write_animation

    print(write_animation(directory, kind, FPS if fps is None else fps))


def _tell(picture: Path, found: Comparison) -> None:
    if found.difference is None:
        print(f"not compared with {picture}: {found.reason}")
    elif not found.difference.largest:
        print(f"{found.compared}: pixel for pixel the same as {picture}")
    else:
        apart = found.difference
        print(
            f"{found.compared}: {100 * apart.pixels:.3g} % of the pixels differ from {picture}, "
            f"by at most {apart.largest} of 255, {apart.mean:.3g} on average"
        )
    for change in found.changes:
        print(f"  {change}")
