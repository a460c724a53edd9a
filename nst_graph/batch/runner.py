"""A batch's jobs in this process, or in several; each one's failure is its own."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

from nst_graph.batch.checks import PlannedBatch
from nst_graph.batch.outcome import BatchReport, Event
from nst_graph.batch.pool import run_in_workers
from nst_graph.batch.state import RunState
from nst_graph.batch.summary import write_summary
from nst_graph.batch.tasks import Tasks
from nst_graph.batch.work import Shelf, perform
from nst_graph.interruption import stop_request

#: Called with each event as it comes.
BatchWatcher = Callable[[Event], None]


def run_batch(
    planned: PlannedBatch,
    states: Sequence[RunState],
    watch: BatchWatcher = lambda event: None,
    *,
    workers: int = 1,
    fail_fast: bool = False,
) -> BatchReport:
    """Run the jobs that are not finished, and write summary.csv and contact_sheet.png.

    Args:
        planned: the jobs.
        states: of their directories, from ``check_states``; what is unfinished goes on from its
            checkpoint, or is replaced.
        watch: sees every event.
        workers: processes; 1: this one. The cores are divided among them.
        fail_fast: after a failure, start no other job; those that run go on.

    Raises:
        OutputError: summary or contact sheet cannot be written.
    """
    tasks = Tasks(planned, states, watch, fail_fast=fail_fast)
    run_them = _run_here if workers == 1 else run_in_workers(workers)
    with stop_request() as stop:
        try:
            run_them(tasks)
        except KeyboardInterrupt:
            tasks.stop()
        with stop.deferred():
            outcomes = tasks.all_outcomes()
            summary, sheet = write_summary(planned, outcomes)
        signum = stop.signum or signal.SIGINT
    return BatchReport(outcomes, tasks.interrupted, summary, sheet, signum)


def _run_here(tasks: Tasks) -> None:
    shelf, last = Shelf(), None
    while (task := tasks.take(last)) is not None:
        last, plan = task
        outcome = perform(last, plan, shelf, tasks.report)
        tasks.end(outcome)
        if outcome.status == "interrupted":
            tasks.stop()
