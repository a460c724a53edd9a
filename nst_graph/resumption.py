"""Runs that were interrupted: which of them can be taken up again, and with which plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nst_graph.artifacts import MANIFEST, read_manifest
from nst_graph.checkpoint import check_job, load_checkpoint
from nst_graph.errors import OutputError
from nst_graph.files import looking_at
from nst_graph.jobs import load_job
from nst_graph.plan import Plan, make_plan, settled


def plan_to_resume(directory: Path) -> Plan:
    """The plan of the interrupted run in a directory; TensorFlow is not needed for it.

    Raises:
        OutputError: no run is there, it is finished, it left no checkpoint, or its ``job.yaml`` is
            not the job that it began with.
        NstGraphError: the job's files are not there any more.
    """
    manifest = read_manifest(directory)
    with looking_at(directory):
        if not (directory / MANIFEST).is_file() or not (directory / "job.yaml").is_file():
            raise OutputError(
                "holds no run", where=str(directory), remedy="name the output directory of a run"
            )
    if manifest is not None and manifest.get("status") == "finished":
        raise OutputError(
            "the run is finished: there is nothing to go on with",
            where=str(directory),
            remedy=f"run it anew with nst-graph run {directory / 'job.yaml'} --overwrite",
        )
    checkpoint = load_checkpoint(directory)
    loaded = load_job(directory / "job.yaml")
    check_job(checkpoint, loaded.job, directory)
    # The directory may have been moved since, and its name is no part of the job.
    plan = make_plan(loaded)
    coarser = tuple(replace(stage, output=directory) for stage in plan.coarser)
    moved = replace(plan, output=directory, coarser=coarser)
    return settled(moved, checkpoint.facts.get("memory"))
