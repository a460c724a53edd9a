"""The graph engine: ``Problem`` and the optimisers that run its session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nst_graph.builders import choose_builder
from nst_graph.config import (
    AdamSettings,
    LogSettings,
    OptimizerSettings,
    SessionSettings,
    SgdSettings,
)
from nst_graph.engines.base import Engine, Ingredients
from nst_graph.optimizers import optimise, session_updater
from nst_graph.optimizers.update_loop import Updater
from nst_graph.problem import Problem
from nst_graph.session import check_placement, choose_device, session_config
from nst_graph.types import FloatArray, OptimizerState, Step


class GraphEngine(Engine):
    """A graph of its own, described once and run by a session.

    Args:
        ingredients: what to optimise.
        settings: device and threads.

    Raises:
        DeviceError: the device is not there.
    """

    def __init__(self, ingredients: Ingredients, settings: SessionSettings) -> None:
        self._device = choose_device(settings.device)
        self._problem = Problem(
            ingredients.initial,
            ingredients.weights,
            ingredients.targets,
            ingredients.objective,
            session_config(settings),
            choose_builder(settings),
        )

    def close(self) -> None:
        self._problem.close()

    def optimise(
        self, settings: OptimizerSettings, log: LogSettings, state: OptimizerState | None = None
    ) -> Iterator[Step]:
        steps = optimise(self._problem, settings, log, state)
        return steps if self._device == "cpu" else self._on_device(steps)

    def _on_device(self, steps: Iterator[Step]) -> Iterator[Step]:
        """The steps; after the first, before it is handed on, the convolutions are looked for."""
        for number, step in enumerate(steps):
            if number == 0:
                check_placement(self._problem.session, self._problem.terms["total"], self._device)
            yield step

    def updater(self, settings: AdamSettings | SgdSettings) -> Updater:
        return session_updater(self._problem, settings)

    def loss_and_gradient(self, image: FloatArray) -> tuple[dict[str, float], FloatArray]:
        return self._problem.loss_and_gradient(image)

    @property
    def graph(self) -> Any:
        return self._problem.graph
