"""What a job will take, by rules of thumb: memory and time. No TensorFlow, nothing is run.

Both follow from ``layer_facts``: the sizes of the activations and the operations of a step.

* Memory = 900 MB + factor of the engine x activations of the content picture. 900 MB are Python,
  TensorFlow and the kernels; the factors are peaks measured with TensorFlow 2.21 on a CPU at 200 to
  1024 pixels (a step keeps activations before and after the ReLU, and their gradients). In tiles
  only the activations of the largest window count, and beside them the arrays of the image's own
  size and the content targets. Within 20 % of what was measured.
* Time = operations of a step x evaluations / speed of this machine's matrix product in float32.
  Convolutions reach some share of it, so expect the time to be right within a factor of two.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from nst_graph.config import Job, LbfgsSettings
from nst_graph.inspection.facts import layer_facts
from nst_graph.layers import deepest_of, reach_of
from nst_graph.machine import available_memory_mb
from nst_graph.memory_mode import Mode
from nst_graph.plan import Plan
from nst_graph.tiles import cut

#: Python, TensorFlow, kernels, MB.
BASE_MB = 900

#: Peak beyond the base, in sizes of all activations of the image, by engine.
ENGINE_FACTORS = {"graph": 3.4, "function": 4.7, "eager": 5.9}

#: The same for the hand-written step of the graph engine: as a whole, and with strips.
FAST_FACTOR, LOW_FACTOR = 1.45, 0.55

#: What Winograd's method adds to the hand-written step as a whole, MB: kernels of four times the
#: size, twice, and its transforms. In bfloat16 there is none of it, and activations are half.
WINOGRAD_MB = 500

#: Pixels from which most convolutions are by that method (``fast.winograd.worthwhile``).
WINOGRAD_PIXELS = 28_000

#: The same for the style picture, which goes forward only.
STYLE_FACTOR = 1.5

#: For each region, in sizes of the style layers' activations: their product with the guide, and its
#: gradient.
REGION_FACTOR = 2.0

#: The same as for an engine, for a window of a tile (peaks at tiles of 512 and 1024 pixels).
TILE_FACTOR = 2.8

#: Arrays of the image's size and type that a job holds beside the activations: the image, where it
#: started, its gradient, an optimiser's slots, and those on their way in and out.
IMAGE_ARRAYS = 6

#: Content targets: the array, and the variable in the graph.
TARGET_COPIES = 2

#: Sides of tiles to choose from, in pixels: the larger, the less of them is halo.
TILE_SIDES = (1024, 512, 256)

#: The same where a job's steps are in strips and only its targets in tiles.
LOW_TARGET_TILE = 256

#: Passes through the network of a step, and of a step in tiles, which goes forward twice.
PASSES, TILED_PASSES = 2, 3

#: Work of a step in strips by that of a whole one: a third of it lies in blocks 1 and 2.
LOW_WORK = 1.2

#: Share of the matrix product's speed that convolutions and their gradients reach.
CONVOLUTION_SHARE = 0.6

#: Seconds of a job that do not depend on its steps: pictures, weights, targets, graph, results.
START_SECONDS = 4.0

_MATRIX_SIDE = 1024

Shape = tuple[int, int]


@dataclass(frozen=True)
class Estimate:
    """What a job will take.

    Attributes:
        memory_mb: peak of its process, in MB of 2**20 bytes.
        operations: floating point operations of all its steps.
        mode: how its steps are to be computed: what the job says, else the fastest that fits.
        available_mb: memory that it can have; None where that is not known.
    """

    memory_mb: int
    operations: float
    mode: Mode
    available_mb: int | None

    @property
    def fits(self) -> bool:
        return self.available_mb is None or self.memory_mb <= self.available_mb

    def describe(self) -> str:
        """Memory that a job needs, that there is, and how it makes do."""
        return memory_text(self.memory_mb, self.available_mb, str(self.mode))

    def seconds(self, speed: float) -> float:
        """Time on a machine of that many operations a second."""
        return START_SECONDS + self.operations / speed


def estimate(plan: Plan, available_mb: int | None = None) -> Estimate:
    """Memory and operations of a plan: of several sizes, the largest and the sum.

    Args:
        plan: of one job.
        available_mb: memory that it can have; None: what this machine has left now.
    """
    if available_mb is None:
        available_mb = available_memory_mb()
    stages = [_of_one_size(stage, available_mb) for stage in plan.stages]
    return replace(
        stages[-1],
        memory_mb=max(stage.memory_mb for stage in stages),
        operations=sum(stage.operations for stage in stages),
    )


def memory_text(needed_mb: int, available_mb: int | None, how: str) -> str:
    """Memory that a job needs and that there is, MB; None where that is not known."""
    available = "" if available_mb is None else f" of {available_mb} MB available"
    return f"about {needed_mb} MB{available}, computed {how}"


def _of_one_size(plan: Plan, available_mb: int | None) -> Estimate:
    job, shapes, settled = plan.job, (plan.content.shape, largest_style(plan)), settled_mode(plan)
    to_choose = modes(job, plan.content.shape) if settled is None else (settled,)
    choices = {mode: memory_mb(job, *shapes, mode) for mode in to_choose}
    fitting = (
        mode for mode, size in choices.items() if available_mb is None or size <= available_mb
    )
    mode = next(fitting, min(choices, key=lambda mode: choices[mode]))
    return Estimate(choices[mode], _operations(job, plan.content.shape, mode), mode, available_mb)


def largest_style(plan: Plan) -> Shape:
    """Height and width of the largest style picture."""
    return max((style.picture.shape for style in plan.styles), key=prod)


def settled_mode(plan: Plan) -> Mode | None:
    """The mode that is settled for a plan of one size, if its settings allow it; else None."""
    mode, side = plan.mode, plan.job.session.tile_size
    if mode is None or (mode.tile_size is not None and side not in (None, mode.tile_size)):
        return None
    allowed = {choice.memory for choice in modes(plan.job, plan.content.shape)}
    return mode if mode.memory in allowed else None


def modes(job: Job, shape: Shape) -> Iterator[Mode]:
    """What the job's settings allow for a content picture of that shape, the fastest first."""
    wanted, side, graph = job.session.memory, job.session.tile_size, job.engine == "graph"
    if wanted in ("full", "auto"):
        yield Mode("full")
    by_hand = graph and not job.regions and job.session.mixed_precision == "none"
    if wanted == "low" or (wanted == "auto" and by_hand):
        yield Mode("low")
    exact = job.session.precision == "exact"
    if wanted == "tiled" or (wanted == "auto" and graph and exact):
        sides = TILE_SIDES if side is None else (side,)
        smaller = [side for side in sides if side < max(shape)]
        yield from (Mode("tiled", side) for side in smaller or sides[-1:])


def memory_mb(job: Job, content: Shape, style: Shape, mode: Mode) -> int:
    """Peak of a job's process, MB, for pictures of that height and width."""
    values = 3 * prod(content)
    optimizer = 0
    if isinstance(job.optimizer, LbfgsSettings):
        # SciPy's: two vectors for each pair remembered and some fifteen more, in float64.
        optimizer = 8 * values * (2 * job.optimizer.memory + 15)
    if mode.memory == "full":
        fast = job.session.precision == "fast"
        factor = FAST_FACTOR if fast else ENGINE_FACTORS[job.engine]
        step = factor * _activations(job, content) + _guided(job, content)
        if fast and prod(content) >= WINOGRAD_PIXELS:
            step += WINOGRAD_MB << 20
        largest = max(_activations(job, content), _activations(job, style))
        return _in_mb(max(step + optimizer, STYLE_FACTOR * largest))
    if mode.memory == "low":
        return _in_mb(LOW_FACTOR * _activations(job, content) + optimizer)
    assert mode.tile_size is not None
    named = [layer for layer in layer_facts(job, *content) if layer.content is not None]
    whole = IMAGE_ARRAYS * 4 * values + TARGET_COPIES * sum(layer.memory_bytes for layer in named)
    window = max(
        TILE_FACTOR * _activations(job, window) + _guided(job, window)
        for shape in (content, style)
        for window in set(_windows(job, shape, mode.tile_size))
    )
    return _in_mb(window + whole + optimizer)


def _in_mb(size: float) -> int:
    return BASE_MB + round(size / 2**20)


def _activations(job: Job, shape: Shape) -> int:
    """Bytes of all activations of an image."""
    return sum(layer.memory_bytes for layer in layer_facts(job, *shape))


def _guided(job: Job, shape: Shape) -> float:
    """Bytes of what regions add."""
    styles = sum(
        layer.memory_bytes for layer in layer_facts(job, *shape) if layer.style is not None
    )
    return REGION_FACTOR * job.regions * styles


def _windows(job: Job, shape: Shape, side: int) -> Iterator[Shape]:
    """Height and width of each tile's window."""
    reach = reach_of(deepest_of([*job.content_layers, *job.style_layers]))
    for rows, columns in cut(*shape, side, reach):
        yield rows.window_stop - rows.window_start, columns.window_stop - columns.window_start


def _operations(job: Job, shape: Shape, mode: Mode) -> float:
    def of_step(shape: Shape) -> float:
        return sum(layer.step_flops for layer in layer_facts(job, *shape))

    if mode.tile_size is None:
        work = LOW_WORK if mode.memory == "low" else 1.0
        return work * of_step(shape) * job.optimizer.budget
    windows = sum(map(of_step, _windows(job, shape, mode.tile_size)))
    return TILED_PASSES / PASSES * windows * job.optimizer.budget


def machine_speed() -> float:
    """Operations a second that convolutions can be expected to reach on this machine's CPU."""
    matrix = np.ones((_MATRIX_SIDE, _MATRIX_SIDE), np.float32)
    best = float("inf")
    for _ in range(4):  # the first one starts BLAS's threads
        started = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - started)
    return CONVOLUTION_SHARE * 2 * _MATRIX_SIDE**3 / best
