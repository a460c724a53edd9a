"""One job after another in one process, with what they share read and computed once."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, TypeVar

from nst_graph.batch.outcome import Outcome, OutcomeStatus, Progress
from nst_graph.batch.state import can_resume
from nst_graph.errors import NstGraphError
from nst_graph.plan import Plan
from nst_graph.types import Step
from nst_graph.weights import ResolvedWeights

if TYPE_CHECKING:
    from nst_graph.ingredients import Reusable

_LOG = logging.getLogger(__name__)

#: Sets of kernels that are kept: 80 MB each. Random ones are made for each pair of pictures.
KEPT_WEIGHTS = 2

#: Sets of Gram matrices that are kept: 2.6 MB each for the five layers that are usual.
KEPT_STYLES = 64

Value = TypeVar("Value")


class _Recent(Generic[Value]):
    """The values last used, by key."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._capacity:
            self._values.popitem(last=False)


class Shelf:
    """Weights and style targets of the runs before."""

    def __init__(self) -> None:
        self._weights: _Recent[Reusable] = _Recent(KEPT_WEIGHTS)
        self._styles: _Recent[Reusable] = _Recent(KEPT_STYLES)

    def get(self, plan: Plan) -> Reusable:
        """What earlier runs left that is the same for this plan."""
        from nst_graph.ingredients import Reusable

        weights = self._weights.get(weights_key(plan))
        style = self._styles.get(style_key(plan))
        kernels = weights.weights if weights is not None else None
        if style is None:
            return Reusable(kernels)
        return replace(style, weights=kernels)

    def put(self, plan: Plan, made: Reusable) -> None:
        """Keep what a run used."""
        from nst_graph.ingredients import Reusable

        self._weights.put(weights_key(plan), Reusable(weights=made.weights))
        self._styles.put(style_key(plan), replace(made, weights=None))


def weights_key(plan: Plan) -> Hashable:
    """What decides the kernels: the file, or the seed and the pictures they are scaled on."""
    resolved: ResolvedWeights = plan.weights
    if resolved.path is not None:
        return (resolved.source, str(resolved.path))
    pictures = tuple(style.picture for style in plan.styles)
    return (resolved.source, resolved.seed, plan.content, pictures, _of_colors(plan))


def style_key(plan: Plan) -> Hashable:
    """What decides the style targets, the kernels among them."""
    job = plan.job
    layers = tuple(job.style_layers)
    styles = (plan.styles, _of_colors(plan))
    return (weights_key(plan), styles, job.network, layers, job.session)


def _of_colors(plan: Plan) -> Hashable:
    """What decides the colours of the style pictures, beside these themselves."""
    match = plan.job.color.match
    return (match, plan.content.icc_profile, None if match == "none" else plan.content)


def perform(
    index: int,
    plan: Plan,
    shelf: Shelf,
    report: Callable[[Progress], None],
) -> Outcome:
    """Run a plan; whatever comes of it is an Outcome.

    An unfinished run of the same job in its directory goes on; any other is replaced.
    """
    started = time.monotonic()

    def watch(step: Step) -> None:
        done = step.updates if step.evaluations is None else step.evaluations
        report(Progress(index, done, dict(step.losses)))

    def ended(status: OutcomeStatus, error: str = "") -> Outcome:
        return Outcome(index, status, round(time.monotonic() - started, 3), error=error)

    try:
        from nst_graph.pipeline import run

        resume = can_resume(plan)
        result = run(plan, watch, overwrite=True, reuse=shelf.get(plan), resume=resume)
        shelf.put(plan, result.reusable)
    except KeyboardInterrupt:
        return ended("interrupted")
    except NstGraphError as error:
        return ended("failed", " ".join(str(error).split()))
    except BrokenPipeError:
        raise  # the batch that this process works for is gone
    except Exception as error:  # a fault of this program: the others go on
        _LOG.debug("job %d failed", index, exc_info=True)
        text = " ".join(str(error).split())
        return ended("failed", f"{type(error).__name__}: {text}"[:500])
    return replace(ended("finished"), losses=result.losses, picture=result.picture)
