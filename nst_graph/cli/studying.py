"""Commands that study the algorithm: compare the engines, reproduce the published numbers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nst_graph.cli.base import INTERRUPTED, SetOption, app, quiet_import


@app.command()
def compare(
    job: Annotated[Path, typer.Argument(help="A job file, such as configs/demo.yaml.")],
    engines: Annotated[
        str, typer.Option(metavar="NAMES", help="Which, separated by commas.")
    ] = "graph,function,eager",
    steps: Annotated[int, typer.Option(help="Steps of each engine, at least 3.")] = 20,
    output: Annotated[
        Path | None, typer.Option(help="A directory; by default the job's own, with .compare.")
    ] = None,
    overrides: SetOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a comparison that is there.")
    ] = False,
) -> None:
    """Run a job's first steps in each engine: what costs what, and are the numbers the same?"""
    from nst_graph.compare.request import make_request
    from nst_graph.plan import plan_file

    plan = plan_file(job, overrides or [])
    names = [name.strip() for name in engines.split(",")]
    request = make_request(plan, names, steps, output, overwrite=overwrite)
    with quiet_import():
        from nst_graph.compare.comparison import compare as compare_engines
    from rich.console import Console

    from nst_graph.compare.output import write_comparison
    from nst_graph.compare.table import as_table
    from nst_graph.console import stage_progress

    try:
        with stage_progress(Console(stderr=True)) as progress:
            found = compare_engines(request, progress)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    page = write_comparison(found, request.output)
    Console().print(as_table(found))
    print(page)


_Target = Annotated[
    str, typer.Argument(help="coursera, coursera-tf2, keras-io, keras-lbfgs or all.")
]
_Content = Annotated[Path | None, typer.Option(help="The published content picture.")]
_Style = Annotated[Path | None, typer.Option(help="The published style picture.")]
_Pictures = Annotated[
    Path | None, typer.Option(help="A folder to find the published pictures in, by name.")
]
_Weights = Annotated[
    Path | None, typer.Option(help="A .mat or .h5 file; by default that in pretrained/.")
]
_Group = Annotated[str | None, typer.Option(metavar="GROUP", help="graded, weights or trace.")]
_Steps = Annotated[
    int | None, typer.Option(min=1, help="Shorten the optimisations to so many steps.")
]
_Trace = Annotated[
    Path | None,
    typer.Option(help="Judge these losses (a metrics.csv) and diagnose them; run nothing."),
]
_Json = Annotated[
    Path | None, typer.Option("--json", metavar="OUT", help="Also write the report as JSON.")
]
_Markdown = Annotated[
    Path | None, typer.Option("--markdown", metavar="OUT", help="Also write it as a page.")
]


@app.command()
def reproduce(
    target: _Target = "all",
    content: _Content = None,
    style: _Style = None,
    pictures: _Pictures = None,
    weights: _Weights = None,
    only: _Group = None,
    steps: _Steps = None,
    trace: _Trace = None,
    json_path: _Json = None,
    markdown_path: _Markdown = None,
) -> None:
    """Compare with every published number: exit 0 all met, 1 a deviation, 3 an input missing."""
    from nst_graph import reproduce as published

    files = published.GivenFiles(content, style, weights, pictures)
    request = published.Request(target, files, only, steps, trace)
    published.check_request(request)
    published.check_places(json_path, markdown_path)
    with quiet_import():
        from nst_graph import pipeline as _pipeline  # noqa: F401
    from rich.console import Console

    from nst_graph.console import step_progress

    try:
        report = published.reproduce(
            request, lambda _, evaluations: step_progress(Console(stderr=True), evaluations)
        )
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    print(published.as_text(report))
    published.write_report(report, json_path, markdown_path, request.command)
    raise typer.Exit(report.exit_code)
