"""The optimisers: generators of Steps. ``optimise`` picks by the settings' name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nst_graph.config import LogSettings, OptimizerSettings
from nst_graph.optimizers.adam import adam
from nst_graph.problem import Problem
from nst_graph.types import Step

Optimizer = Callable[[Problem, OptimizerSettings, LogSettings], Iterator[Step]]

OPTIMIZERS: dict[str, Optimizer] = {"adam": adam}


def optimise(problem: Problem, settings: OptimizerSettings, log: LogSettings) -> Iterator[Step]:
    """Run the optimiser that ``settings`` describe on a problem that was not started yet."""
    return OPTIMIZERS[settings.name](problem, settings, log)
