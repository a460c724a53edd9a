"""What a job will take, by rules of thumb: memory and time. No TensorFlow, nothing is run.

Both follow from ``layer_facts``: the sizes of the activations and the operations of a step.

* Memory = 900 MB + factor of the engine x activations of the content picture. 900 MB are Python,
  TensorFlow and the kernels; the factors are peaks measured with TensorFlow 2.21 on a CPU at 200 to
  800 pixels (a step keeps activations before and after the ReLU, and their gradients). Within 20 %
  of what was measured.
* Time = operations of a step x evaluations / speed of this machine's matrix product in float32.
  Convolutions reach some share of it, so expect the time to be right within a factor of two.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass

import numpy as np

from nst_graph.inspection.facts import layer_facts
from nst_graph.plan import Plan

#: Python, TensorFlow, kernels, MB.
BASE_MB = 900

#: Peak beyond the base, in sizes of all activations of the image, by engine.
ENGINE_FACTORS = {"graph": 3.4, "function": 4.7, "eager": 5.9}

#: The same for the style picture, which goes forward only.
STYLE_FACTOR = 1.5

#: For each region, in sizes of the style layers' activations: their product with the guide, and its
#: gradient.
REGION_FACTOR = 2.0

#: Share of the matrix product's speed that convolutions and their gradients reach.
CONVOLUTION_SHARE = 0.6

#: Seconds of a job that do not depend on its steps: pictures, weights, targets, graph, results.
START_SECONDS = 4.0

_MATRIX_SIDE = 1024


@dataclass(frozen=True)
class Estimate:
    """What a job will take.

    Attributes:
        memory_mb: peak of its process, in MB of 2**20 bytes.
        operations: floating point operations of all its steps.
    """

    memory_mb: int
    operations: float

    def seconds(self, speed: float) -> float:
        """Time on a machine of that many operations a second."""
        return START_SECONDS + self.operations / speed


def estimate(plan: Plan) -> Estimate:
    """Memory and operations of a plan."""
    content = list(layer_facts(plan.job, *plan.content.shape))
    largest = max((style.picture.shape for style in plan.styles), key=math.prod)
    style = layer_facts(plan.job, *largest)
    guided = sum(layer.memory_bytes for layer in content if layer.style is not None)
    activations = max(
        ENGINE_FACTORS[plan.job.engine] * sum(layer.memory_bytes for layer in content)
        + REGION_FACTOR * plan.job.regions * guided,
        STYLE_FACTOR * sum(layer.memory_bytes for layer in style),
    )
    step = sum(layer.step_flops for layer in content)
    return Estimate(BASE_MB + round(activations / 2**20), step * plan.job.optimizer.budget)


def machine_speed() -> float:
    """Operations a second that convolutions can be expected to reach on this machine's CPU."""
    matrix = np.ones((_MATRIX_SIDE, _MATRIX_SIDE), np.float32)
    best = float("inf")
    for _ in range(4):  # the first one starts BLAS's threads
        started = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - started)
    return CONVOLUTION_SHARE * 2 * _MATRIX_SIDE**3 / best


def machine_memory_mb() -> int | None:
    """Physical memory, MB; None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    except (AttributeError, ValueError, OSError):
        return None
