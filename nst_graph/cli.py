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
    from nst_graph.batch import Batch
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
    job: Annotated[Path, typer.Argument(help="A job or batch file: configs/coursera.yaml.")],
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the jobs, their time and memory.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=1024, help="Processes that share the jobs of a batch.")
    ] = 1,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Start no other job once one has failed.")
    ] = False,
) -> None:
    """Run a job, or the jobs of a batch file that are not finished; exit 1 if some failed."""
    from nst_graph.batch import load_batch

    batch = load_batch(job, overrides or [])
    if dry_run:
        _list_jobs(batch, overwrite=overwrite, workers=workers)
    elif batch.single:
        _run(batch.jobs[0].loaded, overwrite=overwrite)
    else:
        _run_batch(batch, overwrite=overwrite, workers=workers, fail_fast=fail_fast)


@app.command()
def demo(
    overrides: SetOption = None,
) -> None:
    """Run the embedded example: no file and no network needed. Results go to runs/demo."""
    from nst_graph.jobs import DEMO, make_job

    _run(make_job(DEMO, overrides or []), overwrite=True)


@app.command()
def validate(
    jobs: Annotated[list[Path], typer.Argument(help="Job and batch files.")],
    overrides: SetOption = None,
) -> None:
    """Check job files, and the files that they name, without running them."""
    from nst_graph.batch import plan_files
    from nst_graph.batch.display import summary_of
    from nst_graph.estimate import machine_memory_mb

    faulty, memory = 0, machine_memory_mb()
    for path, found in zip(jobs, plan_files(jobs, overrides or []), strict=True):
        if isinstance(found, NstGraphError):
            faulty += 1
            print(f"error: {found}", file=sys.stderr)
            continue
        summary = summary_of(found)
        print(f"{path}: ok ({summary.text}, about {summary.memory_mb} MB)")
        if memory is not None and summary.memory_mb > memory:
            print(f"warning: {path}: this machine has {memory} MB", file=sys.stderr)
    if faulty:
        raise typer.Exit(NstGraphError.exit_code)


@app.command()
def schema() -> None:
    """Print the JSON Schema of job files, for editors."""
    import json

    from nst_graph.schema import job_file_schema

    print(json.dumps(job_file_schema(), indent=2))


@app.command("show-config")
def show_config(
    job: Annotated[Path, typer.Argument(help="A job file.")],
    overrides: SetOption = None,
) -> None:
    """Print the complete job, or jobs: the recipe's values and the file's, as YAML."""
    from nst_graph.batch import load_batch
    from nst_graph.jobs import to_yaml

    for number, found in enumerate(load_batch(job, overrides or []).jobs):
        print("---\n" if number else "", end="")
        print(f"# sha256 of the settings: {found.job.digest}")
        print(to_yaml(found.job), end="")


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
    with _quiet_import():
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


@app.command()
def inspect(
    job: Annotated[Path, typer.Argument(help="A job file.")],
    overrides: SetOption = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="Also write it as JSON.")
    ] = None,
) -> None:
    """Say what a job costs, without running it: layers, memory, arithmetic, operations."""
    from nst_graph.files import write_json
    from nst_graph.inspection import as_tables, inspect_job
    from nst_graph.plan import plan_file

    plan = plan_file(job, overrides or [])
    with _quiet_import():
        found = inspect_job(plan)
    from rich.console import Console

    for table in as_tables(found):
        Console().print(table)
    if json_path is not None:
        write_json(json_path, found.as_dict())


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


def _list_jobs(batch: Batch, *, overwrite: bool, workers: int) -> None:
    from nst_graph.batch import check_states, plan_batch
    from nst_graph.batch.display import listing
    from nst_graph.estimate import estimate, machine_speed

    planned = plan_batch(batch)
    states = check_states(planned, overwrite=overwrite)
    estimates = [estimate(job.plan) for job in planned.jobs]
    for line in listing(planned, states, estimates, machine_speed(), workers):
        print(line)


def _run_batch(batch: Batch, *, overwrite: bool, workers: int, fail_fast: bool) -> None:
    from rich.console import Console

    from nst_graph.batch import RunState, check_states, plan_batch, run_batch
    from nst_graph.batch.display import batch_progress, closing_lines

    planned = plan_batch(batch)
    states = check_states(planned, overwrite=overwrite)
    for notice in dict.fromkeys(job.plan.weights.notice for job in planned.jobs):
        if notice:
            print(f"notice: {notice}", file=sys.stderr)
    if workers == 1 and any(state is not RunState.FINISHED for state in states):
        with _quiet_import():
            from nst_graph import pipeline as _pipeline  # noqa: F401
    with batch_progress(Console(stderr=True), planned) as watch:
        report = run_batch(planned, states, watch, workers=workers, fail_fast=fail_fast)
    for line in closing_lines(planned, report):
        print(line)
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)
    if report.count("finished") + report.count("skipped") < len(report.outcomes):
        raise typer.Exit(1)


def _summary(plan: Plan) -> str:
    from nst_graph.batch.display import plan_text

    return plan_text(plan)


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
