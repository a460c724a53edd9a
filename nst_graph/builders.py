"""Which builder makes the step of a job: the one place that reads it off the settings."""

from __future__ import annotations

from nst_graph.config import SessionSettings
from nst_graph.fast import fast_step, never, worthwhile
from nst_graph.precision import resolve_precision
from nst_graph.problem import StepBuilder, build_step
from nst_graph.tiled import TILE_SIZE, tiled_builder

#: Rows of a strip: 64 recompute more of their margins, 256 hold more (docs/memory.md).
STRIP_ROWS = 128


def choose_builder(settings: SessionSettings) -> StepBuilder:
    """The builder for a job's ``session`` settings; memory: auto counts as full.

    Raises:
        DeviceError: a GPU is asked for and none is visible.
    """
    if settings.memory == "tiled":
        return tiled_builder(settings.tile_size or TILE_SIZE)
    precision = resolve_precision(settings)
    if settings.memory == "low":
        return fast_step(precision.dtype, STRIP_ROWS)
    if precision.exact:
        return build_step
    return fast_step(precision.dtype, by_winograd=worthwhile if precision.winograd else never)
