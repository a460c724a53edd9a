"""Commands that make pictures: run, resume and demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nst_graph.cli.base import OverwriteOption, SetOption, app, quiet_import

if TYPE_CHECKING:
    from nst_graph.batch import Batch
    from nst_graph.batch.runners import RunTasks
    from nst_graph.jobs import LoadedJob
    from nst_graph.plan import Plan


@app.command()
def run(
    job: Annotated[Path, typer.Argument(help="A job or batch file: configs/coursera.yaml.")],
    overrides: SetOption = None,
    overwrite: OverwriteOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the jobs, their time and memory.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="local: processes, 1 by default."),
    ] = None,
    runner: Annotated[
        str, typer.Option(help="local: this machine; ray: a Ray cluster, see docs/cluster.md.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="ray: of a cluster that runs already.")
    ] = None,
    cpus_per_job: Annotated[
        int | None, typer.Option(min=1, max=1024, help="ray: CPUs of a job; 1 by default.")
    ] = None,
    gpus_per_job: Annotated[
        float | None, typer.Option(help="ray: share of a GPU, to 1; 1 by default.")
    ] = None,
    retries: Annotated[
        int | None,
        typer.Option(min=0, max=1000, help="ray: of a job whose worker is lost; 3 by default."),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Start no other job once one has failed.")
    ] = False,
) -> None:
    """Run a job, or the jobs of a batch file that are not finished; exit 1 if some failed."""
    from nst_graph.batch import RunnerOptions, load_batch, make_runner

    options = RunnerOptions(workers, address, cpus_per_job, gpus_per_job, retries)
    run_tasks = make_runner(runner, options)
    batch = load_batch(job, overrides or [])
    if dry_run:
        _list_jobs(batch, overwrite=overwrite, workers=workers or 1)
    elif batch.single and runner == "local":
        _run(batch.jobs[0].loaded, overwrite=overwrite)
    else:
        _run_batch(batch, run_tasks, overwrite=overwrite, fail_fast=fail_fast)


@app.command()
def demo(
    overrides: SetOption = None,
) -> None:
    """Run the embedded example: no file and no network needed. Results go to runs/demo."""
    from nst_graph.jobs import DEMO, make_job

    _run(make_job(DEMO, overrides or []), overwrite=True)


@app.command()
def resume(
    directory: Annotated[Path, typer.Argument(help="Output directory of an interrupted run.")],
) -> None:
    """Go on with an interrupted run from its last checkpoint: the result is the same."""
    from nst_graph.resumption import plan_to_resume

    carry_out(plan_to_resume(directory), resume=True)


def _run(loaded: LoadedJob, *, overwrite: bool) -> None:
    from nst_graph.artifacts import check_output
    from nst_graph.plan import make_plan

    plan = make_plan(loaded)
    check_output(plan.output, overwrite=overwrite, job_sha256=plan.job.digest)
    carry_out(plan, overwrite=overwrite)


def carry_out(plan: Plan, *, overwrite: bool = False, resume: bool = False) -> None:
    """Run a plan before the eyes of the person at the terminal."""
    from nst_graph.batch.display import plan_text
    from nst_graph.interruption import Interrupted, stop_request
    from nst_graph.plan import settled

    if plan.weights.notice:
        print(f"notice: {plan.weights.notice}", file=sys.stderr)
    print(plan_text(plan))
    try:
        with stop_request():
            with quiet_import():
                from nst_graph.capacity import decide_memory, describe_memory
                from nst_graph.pipeline import run as run_plan
                from nst_graph.precision import resolve_precision
            _, memory = decide_memory(plan, begun=resume)
            print(f"memory: {describe_memory(memory)}")
            if notice := resolve_precision(plan.job.session).notice:
                print(f"notice: {notice}", file=sys.stderr)
            from rich.console import Console

            from nst_graph.console import step_progress

            with step_progress(Console(stderr=True), plan.budget) as watch:
                result = run_plan(settled(plan, memory), watch, overwrite=overwrite, resume=resume)
    except Interrupted as signal:
        print(f"interrupted {signal}{_left_in(plan.output)}", file=sys.stderr)
        raise typer.Exit(signal.exit_code) from None
    seconds = sum(result.timings.values())
    print(f"{result.picture}: total loss {result.losses['total']:.6g}, {seconds:.0f} s")


def _left_in(directory: Path) -> str:
    from nst_graph.artifacts import read_manifest
    from nst_graph.checkpoint import CHECKPOINT

    if (read_manifest(directory) or {}).get("status") == "finished":
        return f"; {directory} holds a finished run"
    if not (directory / CHECKPOINT).is_file():
        return ", before there was a checkpoint to go on from"
    return f"; the last picture is in {directory}; go on: nst-graph resume {directory}"


def _list_jobs(batch: Batch, *, overwrite: bool, workers: int) -> None:
    from nst_graph.batch import check_states, plan_batch
    from nst_graph.batch.display import listing
    from nst_graph.estimate import estimate, machine_speed
    from nst_graph.machine import memory_share_mb

    planned = plan_batch(batch)
    states = check_states(planned, overwrite=overwrite)
    share = memory_share_mb(workers)
    estimates = [estimate(job.plan, share) for job in planned.jobs]
    for line in listing(planned, states, estimates, machine_speed(), workers):
        print(line)


def _run_batch(batch: Batch, run_tasks: RunTasks, *, overwrite: bool, fail_fast: bool) -> None:
    from rich.console import Console

    from nst_graph.batch import RunState, check_states, plan_batch, run_batch, run_here
    from nst_graph.batch.display import batch_progress, closing_lines
    from nst_graph.interruption import exit_code_of

    planned = plan_batch(batch)
    states = check_states(planned, overwrite=overwrite)
    for notice in dict.fromkeys(job.plan.weights.notice for job in planned.jobs):
        if notice:
            print(f"notice: {notice}", file=sys.stderr)
    if run_tasks is run_here and any(state is not RunState.FINISHED for state in states):
        with quiet_import():
            from nst_graph import pipeline as _pipeline  # noqa: F401
    with batch_progress(Console(stderr=True), planned) as watch:
        report = run_batch(planned, states, watch, run_tasks=run_tasks, fail_fast=fail_fast)
    for line in closing_lines(planned, report):
        print(line)
    if report.interrupted:
        raise typer.Exit(exit_code_of(report.signum))
    if report.count("finished") + report.count("skipped") < len(report.outcomes):
        raise typer.Exit(1)
