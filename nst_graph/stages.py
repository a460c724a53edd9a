"""A run of several sizes, from coarse to fine: what one stage hands to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from nst_graph.types import FloatArray, OptimizerState, StageStart, Step


def resized(image: FloatArray, height: int, width: int) -> FloatArray:
    """An image in network space at another size, by Pillow's bicubic filter on float32 values.

    Nothing is rounded or clipped: what the optimiser put beyond 0..255 it finds again.

    Args:
        image: float32 [1, height, width, 3].
        height, width: of the result.
    """
    from PIL import Image

    channels = [
        Image.fromarray(np.ascontiguousarray(image[0, :, :, index])).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        for index in range(3)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)[np.newaxis]


def steps_of_stage(steps: Iterable[Step], start: StageStart, *, last: bool) -> Iterator[Step]:
    """The Steps of one stage as Steps of the whole run: counts go on, the last stage ends it.

    Evaluations are counted for every optimiser, an update of Adam or SGD being one.

    Args:
        steps: of the stage's optimiser, its iterations numbered from ``start.iteration`` on.
        start: of the stage.
        last: no stage follows.
    """
    for step in steps:
        made = step.updates if step.evaluations is None else step.evaluations
        moved = replace(
            step,
            updates=start.updates + step.updates,
            losses_at=start.updates + step.losses_at,
            evaluations=start.evaluations + made,
            final=step.final and last,
            stage=start.index + 1,
        )
        if step.final and not last:
            yield replace(moved, fetch_state=partial(_next_stage, moved))
        elif step.fetch_state is not None:
            yield replace(moved, fetch_state=partial(_in_stage, step.fetch_state, start))
        else:
            yield moved


def _in_stage(fetch_state: Callable[[], OptimizerState], start: StageStart) -> OptimizerState:
    return replace(fetch_state(), stage=start)


def _next_stage(ended: Step) -> OptimizerState:
    """The state in which the stage after ``ended`` begins."""
    image = ended.fetch_image() if ended.best is None else ended.best.image
    start = StageStart(
        index=ended.stage or 0,  # counted from 1 in a Step, from 0 here
        iteration=ended.iteration + 1,
        updates=ended.updates,
        evaluations=ended.evaluations or 0,
    )
    return OptimizerState(start.iteration, 0, {"image": image}, stage=start)
