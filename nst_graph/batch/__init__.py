"""Many jobs from one file: ``jobs:`` and ``sweep:``.

``expansion`` turns a file into jobs, ``checks`` binds and compares them, ``runner`` runs them in
this process or in several, ``summary`` writes what came of them. Only ``work`` needs TensorFlow.
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
from nst_graph.batch.outcome import BatchReport, Outcome, Progress, Started
from nst_graph.batch.runner import run_batch
from nst_graph.batch.state import RunState, state_of

__all__ = [
    "Batch",
    "BatchJob",
    "BatchReport",
    "Outcome",
    "PlannedBatch",
    "PlannedJob",
    "Progress",
    "RunState",
    "Started",
    "check_states",
    "load_batch",
    "plan_batch",
    "plan_files",
    "run_batch",
    "state_of",
]
