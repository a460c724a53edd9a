"""The published optimisations, run as jobs: costs by iteration, read where the source read them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from nst_graph.errors import DivergedError
from nst_graph.jobs import make_job
from nst_graph.pipeline import Watcher
from nst_graph.pipeline import run as run_plan
from nst_graph.plan import Plan, make_plan
from nst_graph.reproduce.expected import Trace
from nst_graph.reproduce.inputs import Inputs
from nst_graph.reproduce.metrics_file import Losses
from nst_graph.types import Step

_LOG = logging.getLogger(__name__)


def plan_of(trace: Trace, inputs: Inputs, output: Path, steps: int | None = None) -> Plan:
    """The job that repeats a published optimisation.

    Args:
        trace: the published side.
        inputs: with both pictures and weights from a file.
        output: directory of its results.
        steps: a shorter length than the published one: updates, or rounds of L-BFGS.

    Raises:
        ConfigError: ``steps`` is out of range.
        PictureError, WeightsError: an input cannot be used.
    """
    assert inputs.weights is not None
    settings: dict[str, Any] = {
        **trace.job,
        "content": str(inputs.pictures["content"]),
        "style": str(inputs.pictures["style"]),
        "output": str(output),
        "weights": {"path": inputs.weights.provenance.path},
    }
    overrides = [f"{trace.length_key}={trace.length_for(steps)}", "log.image_every=0"]
    return make_plan(make_job(settings, overrides))


def measure(plan: Plan, watch: Watcher) -> Losses:
    """Run a plan into its directory and return the losses that were read on the way.

    Where the optimisation diverges, the losses up to there are returned.
    """
    losses: Losses = {}

    def record(step: Step) -> None:
        if step.losses:
            losses[step.iteration] = dict(step.losses)
        watch(step)

    try:
        with full_precision():
            run_plan(plan, record)
    except DivergedError as error:
        _LOG.warning("%s", error)
    return losses


@contextmanager
def full_precision() -> Iterator[None]:
    """Without TF32 on GPUs: its 10-bit mantissa alone exceeds the tolerances."""
    enabled = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(enabled)
