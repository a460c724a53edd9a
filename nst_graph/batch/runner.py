"""A batch from its first job to its summary; each job's failure is its own."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

from nst_graph.batch.checks import PlannedBatch
from nst_graph.batch.outcome import BatchReport, Event
from nst_graph.batch.runners import RunTasks, run_here
from nst_graph.batch.state import RunState
from nst_graph.batch.summary import write_summary
from nst_graph.batch.tasks import Tasks
from nst_graph.interruption import stop_request

#: Called with each event as it comes.
BatchWatcher = Callable[[Event], None]


def run_batch(
    planned: PlannedBatch,
    states: Sequence[RunState],
    watch: BatchWatcher = lambda event: None,
    *,
    run_tasks: RunTasks = run_here,
    fail_fast: bool = False,
) -> BatchReport:
    """Run the jobs that are not finished, and write summary.csv and contact_sheet.png.

    A file that is one job gets neither: its directory says it all.

    Args:
        planned: the jobs.
        states: of their directories, from ``check_states``; what is unfinished goes on from its
            checkpoint, or is replaced.
        watch: sees every event.
        run_tasks: from ``make_runner``: where they run; by default in this process.
        fail_fast: after a failure, start no other job; those that run go on.

    Raises:
        OutputError: summary or contact sheet cannot be written.
        ConfigError, DeviceError: the runner cannot begin; nothing was run.
    """
    tasks = Tasks(planned, states, watch, fail_fast=fail_fast)
    with stop_request() as stop:
        try:
            run_tasks(tasks)
        except KeyboardInterrupt:
            tasks.stop()
        with stop.deferred():
            outcomes = tasks.all_outcomes()
            single = planned.batch.single
            summary, sheet = (None, None) if single else write_summary(planned, outcomes)
        signum = stop.signum or signal.SIGINT
    return BatchReport(outcomes, tasks.interrupted, summary, sheet, signum)
