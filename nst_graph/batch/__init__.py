"""Many jobs from one file: ``jobs:`` and ``sweep:``.

``expansion`` turns a file into jobs, ``checks`` binds and compares them, ``runner`` runs them
where a row of ``runners`` says, ``summary`` writes what came of them. Only ``work`` needs
TensorFlow, and only ``cluster`` and ``errand`` need Ray.
"""

from __future__ import annotations

from nst_graph.batch.checks import (
    PlannedBatch,
    PlannedJob,
    check_states,
    plan_batch,
    plan_files,
)
from nst_graph.batch.expansion import Batch, BatchJob, load_batch
from nst_graph.batch.outcome import BatchReport, Outcome, Progress, Retried, Started
from nst_graph.batch.runner import run_batch
from nst_graph.batch.runners import RUNNERS, RunnerOptions, make_runner, run_here
from nst_graph.batch.state import RunState, state_of

__all__ = [
    "RUNNERS",
    "Batch",
    "BatchJob",
    "BatchReport",
    "Outcome",
    "PlannedBatch",
    "PlannedJob",
    "Progress",
    "Retried",
    "RunState",
    "RunnerOptions",
    "Started",
    "check_states",
    "load_batch",
    "make_runner",
    "plan_batch",
    "plan_files",
    "run_batch",
    "run_here",
    "state_of",
]
