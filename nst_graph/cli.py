"""The command line. It alone prints; heavy modules are imported by the commands that need them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nst_graph import __version__
from nst_graph.errors import NstGraphError

if TYPE_CHECKING:
    from nst_graph.jobs import LoadedJob
    from nst_graph.plan import Plan

app = typer.Typer(
    name="nst-graph",
    help="Neural style transfer as a TensorFlow graph-mode pipeline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
weights_app = typer.Typer(help="Look at weights files.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")

INTERRUPTED = 130

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as optimizer.steps=50."),
]
OverwriteOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace a run that is in the output directory."),
]


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


@app.command()
def run(
    job: Annotated[Path, typer.Argument(help="A job file, such as configs/coursera.yaml.")],
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Run a job; the results go into its output directory."""
    from nst_graph.jobs import load_job

    _run(load_job(job, overrides or []), overwrite=overwrite)


@app.command()
def demo(
    overrides: SetOption = None,
) -> None:
    """Run the embedded example: no file and no network needed. Results go to runs/demo."""
    from nst_graph.jobs import DEMO, make_job

    _run(make_job(DEMO, overrides or []), overwrite=True)


@app.command()
def validate(
    jobs: Annotated[list[Path], typer.Argument(help="Job files.")],
    overrides: SetOption = None,
) -> None:
    """Check job files, and the files that they name, without running them."""
    from nst_graph.jobs import load_job
    from nst_graph.plan import make_plan

    faulty = 0
    for path in jobs:
        try:
            plan = make_plan(load_job(path, overrides or []))
        except NstGraphError as error:
            faulty += 1
            print(f"error: {error}", file=sys.stderr)
        else:
            print(f"{path}: ok ({_summary(plan)})")
    if faulty:
        raise typer.Exit(NstGraphError.exit_code)


@app.command("show-config")
def show_config(
    job: Annotated[Path, typer.Argument(help="A job file.")],
    overrides: SetOption = None,
) -> None:
    """Print the complete job: the recipe's values and the file's, as YAML."""
    from nst_graph.jobs import load_job, to_yaml

    loaded = load_job(job, overrides or []).job
    print(f"# sha256 of the settings: {loaded.digest}")
    print(to_yaml(loaded), end="")


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


@app.command()
def reproduce(
    target: Annotated[
        str, typer.Argument(help="coursera, coursera-tf2, keras-io, keras-lbfgs or all.")
    ] = "all",
    content: Annotated[Path | None, typer.Option(help="The published content picture.")] = None,
    style: Annotated[Path | None, typer.Option(help="The published style picture.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="A folder to find the published pictures in, by name.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="A .mat or .h5 file; by default that in pretrained/.")
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="GROUP", help="graded, weights or trace.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Shorten the optimisations to so many steps.")
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(help="Judge these losses (a metrics.csv) and diagnose them; run nothing."),
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="Also write the report as JSON.")
    ] = None,
    markdown_path: Annotated[
        Path | None, typer.Option("--markdown", metavar="OUT", help="Also write it as a page.")
    ] = None,
) -> None:
    """Compare with every published number: exit 0 all met, 1 a deviation, 3 an input missing."""
    from nst_graph import reproduce as published

    files = published.GivenFiles(content, style, weights, pictures)
    request = published.Request(target, files, only, steps, trace)
    published.check_request(request)
    published.check_places(json_path, markdown_path)
    with _quiet_import():
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


def _run(loaded: LoadedJob, *, overwrite: bool) -> None:
    from nst_graph.artifacts import check_output
    from nst_graph.plan import make_plan

    plan = make_plan(loaded)
    check_output(plan.output, overwrite=overwrite)
    if plan.weights.notice:
        print(f"notice: {plan.weights.notice}", file=sys.stderr)
    print(_summary(plan))
    with _quiet_import():
        from nst_graph.pipeline import run as run_plan
    from rich.console import Console

    from nst_graph.console import step_progress

    try:
        with step_progress(Console(stderr=True), plan.job.optimizer.budget) as watch:
            result = run_plan(plan, watch, overwrite=overwrite)
    except KeyboardInterrupt:
        print(f"interrupted; the last picture is in {plan.output}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    seconds = sum(result.timings.values())
    print(f"{result.picture}: total loss {result.losses['total']:.6g}, {seconds:.0f} s")


def _summary(plan: Plan) -> str:
    height, width = plan.content.shape
    weights = plan.weights.path or f"{plan.weights.source} weights"
    return (
        f"recipe {plan.job.recipe}, {width}x{height}, {plan.job.optimizer.describe()}, "
        f"{weights} -> {plan.output}"
    )


@contextmanager
def _quiet_import() -> Iterator[None]:
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


if __name__ == "__main__":
    main()
