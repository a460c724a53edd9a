"""What the output directory of a job already holds."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from nst_graph.artifacts import MANIFEST, read_manifest
from nst_graph.checkpoint import check_job, load_checkpoint
from nst_graph.errors import OutputError
from nst_graph.faults import value_at
from nst_graph.plan import Plan, settled
from nst_graph.weights.cache import WeightsCache
from nst_graph.weights.loading import identify


class RunState(Enum):
    """A directory as a batch finds it."""

    NEW = "new"
    FINISHED = "finished"
    UNFINISHED = "unfinished"
    OTHER = "other"


def state_of(plan: Plan) -> RunState:
    """Compare the manifest in a plan's directory with the plan.

    Returns:
        NEW: no manifest. FINISHED: this job, with the same pictures and weights. UNFINISHED: this
        job, begun, interrupted or failed. OTHER: another job, or this one with other inputs.

    Raises:
        PictureError, WeightsError: an input cannot be read.
    """
    if not (plan.output / MANIFEST).is_file():
        return RunState.NEW
    manifest = read_manifest(plan.output)
    if manifest is None or manifest.get("job_sha256") != plan.job.digest:
        return RunState.OTHER
    if manifest.get("status") != "finished" or not result_path(plan.output, plan).is_file():
        return RunState.UNFINISHED
    return RunState.FINISHED if _same_inputs(plan, manifest) else RunState.OTHER


def can_resume(plan: Plan) -> bool:
    """Whether a plan's directory holds a checkpoint of it, with the same pictures and weights.

    Raises:
        PictureError, WeightsError: an input cannot be read.
    """
    try:
        checkpoint = load_checkpoint(plan.output)
        check_job(checkpoint, plan.job, plan.output)
    except OutputError:
        return False
    return state_of(plan) is RunState.UNFINISHED and _same_inputs(plan, checkpoint.facts)


def as_begun(plan: Plan) -> Plan:
    """The plan, its memory mode that of the run in its directory, where that can go on.

    Raises:
        PictureError, WeightsError: an input cannot be read.
    """
    if not can_resume(plan):
        return plan
    return settled(plan, value_at(read_manifest(plan.output), "memory"))


def result_path(directory: Path, plan: Plan) -> Path:
    """The picture that a finished run of the plan leaves."""
    return directory / f"result.{plan.job.picture.format}"


def _same_inputs(plan: Plan, manifest: Mapping[str, Any]) -> bool:
    inputs, weights = manifest.get("inputs"), manifest.get("weights")
    for name, picture in plan.sources.items():
        if value_at(value_at(inputs, name), "sha256") != picture.digest():
            return False
    if value_at(weights, "source") != plan.weights.source:
        return False
    if plan.weights.path is None:  # made from the seed, which is the job's, and the pictures
        return True
    digests = identify(plan.weights.path, WeightsCache()).digests
    return bool(value_at(weights, "sha256") == digests.sha256)
