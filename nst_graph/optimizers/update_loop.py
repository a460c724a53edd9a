"""The loop of the optimisers that improve an image by one update after another, in any engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import numpy.typing as npt

from nst_graph.config import AdamSettings, LogSettings, SgdSettings
from nst_graph.optimizers.finite import check_finite
from nst_graph.types import BestImage, FloatArray, OptimizerState, Step

_REMEDY = "lower optimizer.learning_rate or the loss weights"


class Updater(Protocol):
    """An image and the rule that improves it: a session and an op, or variables and a function."""

    def update(self) -> None:
        """Make one update."""

    def update_and_read(self) -> dict[str, float]:
        """Make one update; return every named loss of the image before it."""

    def read_losses(self) -> dict[str, float]:
        """Every named loss of the image as it is now."""

    def read_image(self) -> FloatArray:
        """The image as it is now, float32 [1, height, width, 3]."""

    def read_variables(self) -> dict[str, npt.NDArray[Any]]:
        """All that updates read and change, by name: "image" and the optimiser's own variables."""

    def restore_variables(self, values: Mapping[str, npt.NDArray[Any]]) -> None:
        """Put back what ``read_variables`` gave."""


def update_loop(
    updater: Updater,
    settings: AdamSettings | SgdSettings,
    log: LogSettings,
    state: OptimizerState | None = None,
) -> Iterator[Step]:
    """One Step for each update.

    Losses are read on iterations that are multiples of ``log.losses_every`` and on the last one:
    before the update in the very run that makes it, or after it in a run of their own, as
    ``log.read_losses`` says.

    Args:
        updater: at the initial image.
        settings: number of steps, and which image to keep.
        log: when to read losses.
        state: of an earlier loop that this one continues, to the bit; None: from the beginning.

    Raises:
        DivergedError: a loss that was read is NaN or infinite.
    """
    before, keep_best = log.read_losses == "before_update", settings.keep == "best"
    best: BestImage | None = None
    first = 0
    if state is not None:
        updater.restore_variables(state.variables)
        first, best = state.updates, state.best
    for done in range(first, settings.steps):
        iteration, final = done + log.first_iteration, done + 1 == settings.steps
        logged = final or iteration % log.losses_every == 0
        losses: dict[str, float] = {}
        if keep_best or (logged and before):
            losses = updater.update_and_read()
            check_finite(losses, f"iteration {iteration}", _REMEDY)
        else:
            updater.update()
        if keep_best:
            best = _better(best, iteration, losses["total"], updater)
        if logged and not before:
            losses = updater.read_losses()
            check_finite(losses, f"iteration {iteration}", _REMEDY)
        yield Step(
            iteration=iteration,
            updates=done + 1,
            losses=losses if logged else {},
            losses_at=done if before else done + 1,
            fetch_image=updater.read_image,
            fetch_state=partial(_state, updater, iteration, done + 1, best),
            final=final,
            best=best,
        )


def _better(best: BestImage | None, iteration: int, loss: float, updater: Updater) -> BestImage:
    """The best-image rule of the eager tutorial and of the TF2 notebook, word for word.

    The loss compared is that of the image before the update, the image kept is the one after it.
    """
    if best is not None and best.loss <= loss:
        return best
    return BestImage(iteration, loss, updater.read_image())


def _state(
    updater: Updater, iteration: int, updates: int, best: BestImage | None
) -> OptimizerState:
    """The state after an iteration."""
    return OptimizerState(iteration + 1, updates, updater.read_variables(), best=best)
