"""Engines side by side: timed in turn, their numbers compared at every step."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np

from nst_graph.compare.request import GRAPH
from nst_graph.config import AdamSettings, SessionSettings, SgdSettings
from nst_graph.engines import Engine, Ingredients, open_engine
from nst_graph.types import FloatArray


@dataclass(frozen=True)
class Trial:
    """What was measured of one engine.

    Attributes:
        engine: its name.
        build_seconds: until the first step can begin: graph and session, or model and optimiser.
        step_seconds: of each step, the first one with what an engine puts off until then.
        losses: total before each update, along the engine's own run.
        same_image_losses: total at the reference's image before each update.
        gradient_differences: at the same image, the largest difference from the reference's
            gradient, relative to that gradient's largest component.
        python_calls: of Python functions in one step.
        operations: in the graph that a step runs, whether built or traced; None without a graph.
        image: after the last update, network space, float32 [1, height, width, 3].
    """

    engine: str
    build_seconds: float
    step_seconds: tuple[float, ...]
    losses: tuple[float, ...]
    same_image_losses: tuple[float, ...]
    gradient_differences: tuple[float, ...]
    python_calls: int
    operations: int | None
    image: FloatArray


def measure_engines(
    engines: Sequence[str],
    ingredients: Ingredients,
    session: SessionSettings,
    optimizer: AdamSettings | SgdSettings,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Trial]:
    """Run the engines in turn (A B C A B C), so that what else the machine does meets them all.

    Losses are read with every step, as the articles do. Between the steps, untimed, every engine
    evaluates the loss and its gradient at the reference's image: there engines differ by rounding
    alone, whereas along their own runs what was rounded differently has had steps to grow.

    Args:
        engines: names; the first is the reference.
        ingredients: the same arrays for all.
        session: device and threads.
        optimizer: its ``steps`` are made.
        progress: called with the number of steps made, all engines together.

    Raises:
        DeviceError: the device or the threads cannot be had.
    """
    if set(engines) - {GRAPH}:
        _warm_up(session)
    with ExitStack() as stack:
        runs = [_Run(name, ingredients, session, optimizer, stack) for name in engines]
        reference = runs[0]
        for step in range(optimizer.steps):
            image = reference.updater.read_image()
            for number, run in enumerate(runs, start=1):
                run.step()
                progress(step * len(runs) + number)
            gradient = reference.evaluate(image, None)
            for run in runs[1:]:
                run.evaluate(image, gradient)
        return [run.finish() for run in runs]


def _warm_up(session: SessionSettings) -> None:
    """Do what is done once a process, lest the first eager engine pay for those after it."""
    from nst_graph.engines.eager import begin_eager_mode  # this imports Keras, too

    begin_eager_mode(session.threads)


@dataclass
class _Run:
    """One engine at work."""

    name: str
    ingredients: Ingredients
    session: SessionSettings
    optimizer: AdamSettings | SgdSettings
    stack: ExitStack
    engine: Engine = field(init=False)
    updater: Any = field(init=False)
    build_seconds: float = field(init=False)
    step_seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    same_image_losses: list[float] = field(default_factory=list)
    gradient_differences: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        begun = time.perf_counter()
        engine = open_engine(self.name, self.ingredients, self.session)
        self.engine = self.stack.enter_context(engine)
        self.updater = self.engine.updater(self.optimizer)
        self.build_seconds = time.perf_counter() - begun

    def step(self) -> None:
        begun = time.perf_counter()
        losses = self.updater.update_and_read()
        self.step_seconds.append(time.perf_counter() - begun)
        self.losses.append(losses["total"])

    def evaluate(self, image: FloatArray, reference: FloatArray | None) -> FloatArray:
        losses, gradient = self.engine.loss_and_gradient(image)
        self.same_image_losses.append(losses["total"])
        self.gradient_differences.append(
            0.0 if reference is None else relative_difference(gradient, reference)
        )
        return gradient

    def finish(self) -> Trial:
        image = self.updater.read_image()
        graph = self.engine.graph
        return Trial(
            engine=self.name,
            build_seconds=self.build_seconds,
            step_seconds=tuple(self.step_seconds),
            losses=tuple(self.losses),
            same_image_losses=tuple(self.same_image_losses),
            gradient_differences=tuple(self.gradient_differences),
            python_calls=count_calls(self.updater.update_and_read),
            operations=None if graph is None else len(graph.get_operations()),
            image=image,
        )


def relative_difference(values: FloatArray, reference: FloatArray) -> float:
    """max |a - b| / max |b|."""
    return float(np.max(np.abs(values - reference)) / np.max(np.abs(reference)))


def count_calls(function: Callable[[], object]) -> int:
    """How many Python functions a call of ``function`` calls in turn, itself included."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls
