"""A comparison of engines as data, from a plan to JSON."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median, quantiles
from typing import Any

import numpy as np

from nst_graph import __version__
from nst_graph.capacity import decide_memory
from nst_graph.compare.measure import Trial, measure_engines
from nst_graph.compare.memory import PeakMemory, measure_peak
from nst_graph.compare.request import GRAPH, CompareRequest
from nst_graph.errors import CapacityError
from nst_graph.images import UInt8Array
from nst_graph.ingredients import prepare
from nst_graph.plan import Plan
from nst_graph.preprocess import to_pixels
from nst_graph.session import environment

#: Called with a stage, and how far it is.
Progress = Callable[[str, str], None]

#: Raised with every change of the JSON form that a reader could stumble over.
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Result:
    """One engine's measurements, and what they come to beside the reference.

    Attributes:
        trial: measurements.
        memory: peak of a process of its own; None where it was not measured.
        picture: after the last update, uint8 RGB [height, width, 3].
        own_run_differences: relative difference of the total loss from the reference's at each
            step, each engine along its own run.
        same_image_differences: the same with both at the reference's image.
        pixel_difference: largest, between the pictures.
    """

    trial: Trial
    memory: PeakMemory | None
    picture: UInt8Array
    own_run_differences: tuple[float, ...]
    same_image_differences: tuple[float, ...]
    pixel_difference: int

    @property
    def name(self) -> str:
        return self.trial.engine

    @property
    def first_step(self) -> float:
        """Seconds of the first step."""
        return self.trial.step_seconds[0]

    @property
    def step_quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the seconds of the later steps."""
        later = self.trial.step_seconds[1:]
        if len(later) < 2:
            return (later[0],) * 3
        lower, _, upper = quantiles(later, n=4, method="inclusive")
        return lower, median(later), upper

    def as_dict(self) -> dict[str, Any]:
        lower, middle, upper = self.step_quartiles
        trial = self.trial
        return {
            "engine": trial.engine,
            "build_seconds": trial.build_seconds,
            "first_step_seconds": self.first_step,
            "median_step_seconds": middle,
            "step_seconds_quartiles": [lower, upper],
            "step_seconds": list(trial.step_seconds),
            "python_calls_per_step": trial.python_calls,
            "operations": trial.operations,
            "peak_memory_mb": None if self.memory is None else round(self.memory.peak, 1),
            "start_memory_mb": None if self.memory is None else round(self.memory.start, 1),
            "losses": list(map(_finite, trial.losses)),
            "loss_difference_own_run": list(map(_finite, self.own_run_differences)),
            "loss_difference_same_image": list(map(_finite, self.same_image_differences)),
            "gradient_difference_same_image": list(map(_finite, trial.gradient_differences)),
            "largest": {key: _finite(value) for key, value in self.largest.items()},
            "pixel_difference": self.pixel_difference,
        }

    @property
    def largest(self) -> dict[str, float]:
        """The largest difference of each kind over all steps."""
        return {
            "loss_own_run": max(self.own_run_differences),
            "loss_same_image": max(self.same_image_differences),
            "gradient_same_image": max(self.trial.gradient_differences),
        }


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found.

    Attributes:
        results: by engine, the reference first.
        facts: job, machine and versions.
    """

    results: tuple[Result, ...]
    facts: dict[str, Any]

    @property
    def reference(self) -> str:
        return self.results[0].name

    def as_dict(self) -> dict[str, Any]:
        """As JSON data; the form is ``schema.json``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "nst_graph": __version__,
            "reference": self.reference,
            **self.facts,
            "engines": [result.as_dict() for result in self.results],
        }


def compare(request: CompareRequest, progress: Progress = lambda stage, detail: None) -> Comparison:
    """Run a job's first steps in several engines and compare.

    Args:
        request: checked.
        progress: called with what is being done, and how far it is.

    Raises:
        CapacityError: an engine needs more memory than there is.
        WeightsError, PictureError, DeviceError: an input turned out bad when it was read.
    """
    engines = sorted(request.engines, key=lambda name: name != GRAPH)
    plan, optimizer = _that_fits(request.plan, engines), request.optimizer
    job = plan.job
    progress("computing the targets", "")
    ingredients = prepare(plan)
    steps = len(engines) * optimizer.steps
    trials = measure_engines(
        engines,
        ingredients,
        job.session,
        optimizer,
        lambda done: progress("taking steps in turn", f"{done} of {steps}"),
    )
    memory = []
    for name in engines:
        progress(f"measuring the memory of {name}", "")
        memory.append(measure_peak(name, ingredients, job.session, optimizer))
    pictures = [
        to_pixels(trial.image, job.network.channel_order, job.picture.rounding) for trial in trials
    ]
    results = tuple(
        _result(trial, peak, picture, trials[0], pictures[0])
        for trial, peak, picture in zip(trials, memory, pictures, strict=True)
    )
    return Comparison(results, _facts(request, ingredients.weights.provenance.description))


def _that_fits(plan: Plan, engines: Sequence[str]) -> Plan:
    """The plan with its memory mode as decided for the first engine, once each of them fits.

    Whoever needs more than the graph can only be computed as a whole, and so is the graph then.

    Raises:
        CapacityError: one does not.
    """
    decided = plan
    for name in reversed(engines):
        try:
            decided, _ = decide_memory(
                replace(plan, job=plan.job.model_copy(update={"engine": name}))
            )
        except CapacityError as error:
            error.where = f"engine {name}"
            raise
    return decided


def _result(
    trial: Trial,
    memory: PeakMemory | None,
    picture: UInt8Array,
    reference: Trial,
    reference_picture: UInt8Array,
) -> Result:
    return Result(
        trial,
        memory,
        picture,
        relative_differences(trial.losses, reference.losses),
        relative_differences(trial.same_image_losses, reference.same_image_losses),
        int(np.abs(picture.astype(int) - reference_picture).max()),
    )


def relative_differences(values: Sequence[float], reference: Sequence[float]) -> tuple[float, ...]:
    """|a - b| / |b|, one by one."""
    return tuple(
        abs(value - other) / abs(other) if other else math.inf if value else 0.0
        for value, other in zip(values, reference, strict=True)
    )


def _facts(request: CompareRequest, weights: str) -> dict[str, Any]:
    job = request.plan.job
    height, width = request.plan.content.shape
    return {
        "job": job.model_dump(mode="json"),
        "job_sha256": job.digest,
        "height": height,
        "width": width,
        "steps": request.optimizer.steps,
        "weights": weights,
        "environment": {
            **environment(job.session),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": platform.system(),
        },
    }


def _finite(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return value if math.isfinite(value) else None
