"""Everything about a batch that can be known before its first job starts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nst_graph.artifacts import check_directory
from nst_graph.batch.expansion import MAX_PROBLEMS, Batch, BatchJob, load_batch
from nst_graph.batch.state import RunState, state_of
from nst_graph.errors import NstGraphError, OutputError
from nst_graph.jobs import InvalidJobError, problems_of
from nst_graph.plan import Plan, make_plan


@dataclass(frozen=True)
class PlannedJob:
    """A job of a batch with its names bound to things."""

    batch_job: BatchJob
    plan: Plan

    @property
    def name(self) -> str:
        return self.batch_job.name


@dataclass(frozen=True)
class PlannedBatch:
    """A batch whose jobs can all be run."""

    batch: Batch
    jobs: tuple[PlannedJob, ...]


def plan_batch(batch: Batch) -> PlannedBatch:
    """Bind the names of every job; TensorFlow is not needed for it.

    Raises:
        InvalidJobError: a picture or weights file is at fault, two jobs have the same directory or
            one inside the other's, or a directory cannot be used.
    """
    problems: dict[str, NstGraphError] = {}
    jobs = []
    for job in batch.jobs:
        try:
            jobs.append(PlannedJob(job, make_plan(job.loaded)))
            check_directory(jobs[-1].plan.output)
        except NstGraphError as error:
            problems |= {str(problem): problem for problem in problems_of(error)}
        if len(problems) > MAX_PROBLEMS:
            break
    found = [*problems.values(), *_collisions(batch.jobs)]
    if found:
        raise InvalidJobError(found)
    return PlannedBatch(batch, tuple(jobs))


def plan_files(
    files: Sequence[Path], overrides: Sequence[str] = ()
) -> list[PlannedBatch | NstGraphError]:
    """Plan each file, or say what is wrong with it; a directory that two files write is wrong too.

    Returns:
        One item for each file, in their order.
    """
    found: list[PlannedBatch | NstGraphError] = []
    owners: dict[Path, Path] = {}
    for file in files:
        try:
            planned = plan_batch(load_batch(file, overrides))
            _check_owners(planned, owners)
            found.append(planned)
        except NstGraphError as error:
            found.append(error)
    return found


def check_states(planned: PlannedBatch, *, overwrite: bool) -> list[RunState]:
    """The state of each job's directory.

    Raises:
        InvalidJobError: a directory holds another job's run, and ``overwrite`` is not asked for.
    """
    states = [state_of(job.plan) for job in planned.jobs]
    others: list[NstGraphError] = [
        OutputError(
            "holds the run of another job, or of this one with other pictures or weights",
            where=str(job.plan.output),
            remedy="replace it with --overwrite, or choose another directory with --set output=DIR",
        )
        for job, state in zip(planned.jobs, states, strict=True)
        if state is RunState.OTHER
    ]
    if others and not overwrite:
        raise InvalidJobError(others[:MAX_PROBLEMS])
    return states


def _collisions(jobs: Iterable[BatchJob]) -> list[NstGraphError]:
    """Jobs of one batch that would write into each other's directories."""
    problems: list[NstGraphError] = []
    owners: dict[Path, BatchJob] = {}
    for job in jobs:
        place = _place(job.job.output_directory)
        if place in owners:
            problems.append(_collision(job, f"two jobs have the name {job.name!r}"))
        owners.setdefault(place, job)
    for place, job in owners.items():
        above = next((parent for parent in place.parents if parent in owners), None)
        if above is not None:
            other = owners[above].name
            what = f"the directory of the job {job.name!r} lies in that of the job {other!r}"
            problems.append(_collision(job, what))
    return problems[:MAX_PROBLEMS]


def _collision(job: BatchJob, what: str) -> OutputError:
    remedy = "put what tells them apart into `name`, such as name: '{content.stem}-{style.stem}'"
    return OutputError(what, where=job.loaded.where("name"), remedy=remedy)


def _check_owners(planned: PlannedBatch, owners: dict[Path, Path]) -> None:
    """Add the batch's directories to those of the files before it."""
    file = planned.batch.file
    for job in planned.jobs:
        place = _place(job.plan.output)
        other = next((owners[path] for path in (place, *place.parents) if path in owners), None)
        if other is not None and other != file:
            raise OutputError(
                f"{job.plan.output} is written by {other}, too",
                where=job.batch_job.loaded.where("output"),
                remedy="give each file an `output` of its own",
            )
        owners[place] = file


def _place(directory: Path) -> Path:
    return Path(os.path.abspath(directory))  # noqa: PTH100 (a link is another name on purpose)
