"""The optimisers: generators of Steps. ``optimise`` picks by the settings' name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nst_graph.config import LbfgsSettings, LogSettings, OptimizerSettings
from nst_graph.optimizers.adam import adam
from nst_graph.optimizers.sgd import sgd
from nst_graph.problem import Problem
from nst_graph.types import Step

Optimizer = Callable[[Problem, Any, LogSettings], Iterator[Step]]


def _lbfgs(problem: Problem, settings: LbfgsSettings, log: LogSettings) -> Iterator[Step]:
    from nst_graph.optimizers.lbfgs import lbfgs  # SciPy is for those who use it

    return lbfgs(problem, settings, log)


OPTIMIZERS: dict[str, Optimizer] = {"adam": adam, "sgd": sgd, "lbfgs": _lbfgs}


def optimise(problem: Problem, settings: OptimizerSettings, log: LogSettings) -> Iterator[Step]:
    """Run the optimiser that ``settings`` describe on a problem that was not started yet."""
    return OPTIMIZERS[settings.name](problem, settings, log)


__all__ = ["OPTIMIZERS", "Optimizer", "optimise"]
