"""A batch on the terminal: what will be run, what is running, what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from nst_graph.batch.checks import PlannedBatch
from nst_graph.batch.outcome import (
    BatchReport,
    Event,
    Outcome,
    OutcomeStatus,
    Progress,
    Retried,
    Started,
)
from nst_graph.batch.state import RunState
from nst_graph.estimate import Estimate, estimate
from nst_graph.plan import Plan

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

_REMARKS = {
    RunState.NEW: "",
    RunState.FINISHED: "finished: will be skipped",
    RunState.UNFINISHED: "unfinished: will be completed",
    RunState.OTHER: "another run is there: will be replaced",
}


def listing(
    planned: PlannedBatch,
    states: Sequence[RunState],
    estimates: Sequence[Estimate],
    speed: float,
    workers: int,
) -> Iterator[str]:
    """Lines that say what a run of the batch would do.

    Args:
        planned: the batch.
        states: of its directories.
        estimates: of its jobs.
        speed: of this machine, operations a second.
        workers: processes.
    """
    width = max(len(job.name) for job in planned.jobs)
    to_run = []
    for job, state, cost in zip(planned.jobs, states, estimates, strict=True):
        height, breadth = job.plan.content.shape
        seconds = duration(cost.seconds(speed))
        line = (
            f"{job.name:{width}}  {breadth}x{height}  {job.plan.describe_work()}  "
            f"about {seconds}, {cost.memory_mb} MB {cost.mode}  {_REMARKS[state]}"
        )
        yield line.rstrip()
        if state is not RunState.FINISHED:
            to_run.append(cost)
    # The workers share the machine's cores: the whole takes no less time for being divided.
    seconds = duration(sum(cost.seconds(speed) for cost in to_run))
    memory = sum(sorted((cost.memory_mb for cost in to_run), reverse=True)[:workers])
    yield (
        f"{len(to_run)} of {len(planned.jobs)} jobs to run: about {seconds} on this machine's CPU, "
        f"{memory} MB with {workers} at a time -> {planned.batch.output}"
    )


@dataclass(frozen=True)
class Summary:
    """A planned file on one line.

    Attributes:
        text: what it is.
        largest: what the job that needs most memory takes.
    """

    text: str
    largest: Estimate


def summary_of(planned: PlannedBatch) -> Summary:
    """What a file comes to."""
    costs = (estimate(job.plan) for job in planned.jobs)
    largest = max(costs, key=lambda cost: cost.memory_mb)
    if planned.batch.single:
        return Summary(plan_text(planned.jobs[0].plan), largest)
    return Summary(f"{len(planned.jobs)} jobs -> {planned.batch.output}", largest)


def plan_text(plan: Plan) -> str:
    """Recipe, size, optimiser, weights and output of one job."""
    height, width = plan.content.shape
    weights = plan.weights.path or f"{plan.weights.source} weights"
    return (
        f"recipe {plan.job.recipe}, {width}x{height}, {plan.describe_work()}, "
        f"{weights} -> {plan.output}"
    )


def duration(seconds: float) -> str:
    """Seconds in the unit that people would use."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def closing_lines(planned: PlannedBatch, report: BatchReport) -> Iterator[str]:
    """Lines that say what came of the batch: failures one by one, counts, files."""
    for job, outcome in zip(planned.jobs, report.outcomes, strict=True):
        if outcome.status == "failed":
            yield f"failed: {job.name}: {outcome.error}"
    counts = [
        f"{report.count(status)} {status}"
        for status in get_args(OutcomeStatus)
        if report.count(status) or status in ("finished", "failed")
    ]
    yield f"{len(report.outcomes)} jobs: {', '.join(counts)}"
    if report.summary is not None:
        yield str(report.summary)
    if report.contact_sheet is not None:
        yield str(report.contact_sheet)


@contextmanager
def batch_progress(console: Console, planned: PlannedBatch) -> Iterator[Callable[[Event], None]]:
    """Show a batch: a bar for it and one for each job that runs; off a terminal a line per job.

    Yields:
        The callback that sees each event.
    """
    if not console.is_terminal:
        yield lambda event: _print_event(console, planned, event)
        return
    from rich import progress as rich_progress

    columns = (
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeRemainingColumn(),
        rich_progress.TextColumn("{task.fields[note]}", markup=False),
    )
    with rich_progress.Progress(*columns, console=console) as bar:
        whole = bar.add_task("jobs", total=len(planned.jobs), note="")
        running: dict[int, TaskID] = {}

        def show(event: Event) -> None:
            if isinstance(event, Started):
                job = planned.jobs[event.index]
                running[event.index] = bar.add_task(
                    job.name, total=job.plan.budget, note="starting"
                )
            elif isinstance(event, Progress):
                task = running[event.index]
                bar.update(task, completed=event.evaluations)
                if "total" in event.losses:
                    bar.update(task, note=f"total {event.losses['total']:.6g}")
            elif isinstance(event, Retried):
                bar.update(running[event.index], completed=0, note="starting")
                _print_event(bar.console, planned, event)
            else:
                if event.index in running:
                    bar.remove_task(running.pop(event.index))
                bar.advance(whole)
                if event.status == "failed":
                    _print_event(bar.console, planned, event)

        yield show


def _print_event(console: Console, planned: PlannedBatch, event: Event) -> None:
    if isinstance(event, Outcome | Retried):
        text = f"{planned.jobs[event.index].name}: {_account(event)}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _account(event: Outcome | Retried) -> str:
    if isinstance(event, Retried):
        return f"{event.cause}; attempt {event.attempt}"
    if event.status == "finished":
        total = event.losses.get("total", float("nan"))
        return f"finished, total loss {total:.6g}, {event.seconds:.0f} s"
    return f"{event.status}: {event.error}" if event.error else event.status
