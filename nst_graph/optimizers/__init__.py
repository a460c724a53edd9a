"""The optimisers: generators of Steps. ``optimise`` picks by the settings' name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nst_graph.config import (
    AdamSettings,
    LbfgsSettings,
    LogSettings,
    OptimizerSettings,
    SgdSettings,
)
from nst_graph.optimizers.adam import adam, add_adam
from nst_graph.optimizers.session_loop import BuildUpdate, SessionUpdater, add_update_to
from nst_graph.optimizers.sgd import add_sgd, sgd
from nst_graph.optimizers.update_loop import Updater
from nst_graph.problem import Problem
from nst_graph.types import OptimizerState, Step

Optimizer = Callable[[Problem, Any, LogSettings, OptimizerState | None], Iterator[Step]]


def _lbfgs(
    problem: Problem, settings: LbfgsSettings, log: LogSettings, state: OptimizerState | None
) -> Iterator[Step]:
    from nst_graph.optimizers.lbfgs import lbfgs  # SciPy is for those who use it

    return lbfgs(problem, settings, log, state)


OPTIMIZERS: dict[str, Optimizer] = {"adam": adam, "sgd": sgd, "lbfgs": _lbfgs}

#: Those of them that are ops in the graph.
UPDATES: dict[str, BuildUpdate] = {"adam": add_adam, "sgd": add_sgd}


def optimise(
    problem: Problem,
    settings: OptimizerSettings,
    log: LogSettings,
    state: OptimizerState | None = None,
) -> Iterator[Step]:
    """Run the optimiser that ``settings`` describe on a problem that was not started yet.

    With a ``state`` that a Step of the same optimisation gave, it goes on from there to the bit.
    """
    return OPTIMIZERS[settings.name](problem, settings, log, state)


def add_update(problem: Problem, settings: AdamSettings | SgdSettings) -> Any:
    """Add the op of one update to the graph of a problem that was not started yet; return it."""
    return add_update_to(problem, UPDATES[settings.name], settings)


def session_updater(problem: Problem, settings: AdamSettings | SgdSettings) -> Updater:
    """Updates one by one, of a problem that was not started yet."""
    return SessionUpdater(problem, UPDATES[settings.name], settings)


__all__ = ["OPTIMIZERS", "UPDATES", "Optimizer", "add_update", "optimise", "session_updater"]
