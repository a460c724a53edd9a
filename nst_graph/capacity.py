"""Whether a job fits into memory, and how it is computed so that it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod
from typing import Any

from nst_graph.errors import CapacityError, NstGraphError
from nst_graph.estimate import (
    LOW_TARGET_TILE,
    Shape,
    estimate,
    memory_mb,
    memory_text,
    modes,
    settled_mode,
)
from nst_graph.memory_mode import Mode, modes_in, modes_text
from nst_graph.picture_plan import has_own_size, style_source
from nst_graph.plan import Plan
from nst_graph.session import choose_device
from nst_graph.sources import check_picture
from nst_graph.tiled import TILE_SIZE


def decide_memory(plan: Plan, *, begun: bool = False) -> tuple[Plan, dict[str, Any]]:
    """The plan with ``session.memory`` and ``tile_size`` as they will be; and what is known of it.

    Of several sizes each is decided for itself; the facts of the smaller ones are in "coarser".

    On a GPU it is not this machine's memory that counts: nothing is refused there, and ``auto`` is
    ``full``.

    Args:
        plan: of one job. What is settled in its ``mode`` stays.
        begun: its run goes on; one that does not fit any more could only start over.

    Raises:
        CapacityError: the job needs more memory than there is; it names the largest size that fits.
        DeviceError: a GPU is asked for and none is visible.
    """
    last, facts = _decide_one_size(plan.stages[-1], begun=begun)
    coarser = [_decide_one_size(stage, begun=begun) for stage in plan.coarser]
    decided = replace(plan, job=plan.job.model_copy(update={"session": last.job.session}))
    if coarser:
        decided = replace(decided, coarser=tuple(stage for stage, _ in coarser))
        facts["coarser"] = [known for _, known in coarser]
    return decided, facts


def describe_memory(facts: Mapping[str, Any]) -> str:
    """What ``decide_memory`` knows, in words."""
    how = modes_text(modes_in(facts))
    if "estimated_mb" not in facts:
        return f"computed {how} on a GPU"
    needed = max(stage["estimated_mb"] for stage in (*facts.get("coarser", ()), facts))
    return memory_text(needed, facts["available_mb"], how)


def _decide_one_size(plan: Plan, *, begun: bool) -> tuple[Plan, dict[str, Any]]:
    if choose_device(plan.job.session.device) == "gpu":
        mode = settled_mode(plan) or _asked_for(plan)
        return _with_mode(plan, mode), {"mode": mode.memory, "tile_size": mode.tile_size}
    cost = estimate(plan)
    if not cost.fits:
        assert cost.available_mb is not None
        raise CapacityError(
            f"a picture of {plan.content.shape[1]}x{plan.content.shape[0]} pixels, computed "
            f"{cost.mode}, needs about {cost.memory_mb} MB, and this machine has "
            f"{cost.available_mb} MB available",
            remedy=_remedy(plan, cost.available_mb, begun=begun),
        )
    return _with_mode(plan, cost.mode), {
        "mode": cost.mode.memory,
        "tile_size": cost.mode.tile_size,
        "estimated_mb": cost.memory_mb,
        "available_mb": cost.available_mb,
    }


def _asked_for(plan: Plan) -> Mode:
    """The mode of a plan whose memory is not known."""
    memory = plan.job.session.memory
    return Mode("full" if memory == "auto" else memory, tile_size_of(plan))


def tile_size_of(plan: Plan) -> int | None:
    """Side of the tiles in which a plan's steps are computed; None: as a whole."""
    settings = plan.job.session
    return (settings.tile_size or TILE_SIZE) if settings.memory == "tiled" else None


def target_tile_of(plan: Plan) -> int | None:
    """Side of the tiles in which its targets are computed; None: as a whole."""
    return LOW_TARGET_TILE if plan.job.session.memory == "low" else tile_size_of(plan)


def _remedy(plan: Plan, available_mb: int, *, begun: bool) -> str:
    """What to do about a job that does not fit as it is to be computed.

    Args:
        plan: as the job says, with its mode if one is settled.
        available_mb: memory that it can have.
        begun: its run goes on as it was computed before, unless it starts over.
    """
    changes = " or ".join(_changes_that_fit(plan, available_mb))
    if not begun:
        return f"use {changes}" if changes else "free some memory"
    if estimate(replace(plan, mode=None), available_mb).fits:  # it is decided anew
        changed = ""
    elif changes:
        changed = f" with {changes}"
    else:
        return "free some memory"
    again = f"nst-graph run {plan.output / 'job.yaml'} --overwrite"
    return f"free some memory, or start over{changed}: {again}"


def _changes_that_fit(plan: Plan, available_mb: int) -> Iterator[str]:
    """Options with which the job would fit, each with what there is to say of it."""
    settings = plan.job.session
    if plan.mode is not None or settings.memory in ("full", "low"):
        undecided = replace(_with_session(plan, memory="auto"), mode=None)
        other = estimate(undecided, available_mb)
        if other.fits:
            yield f"--set session.memory={other.mode.memory} (about {other.memory_mb} MB)"
    side = _largest_side(plan, available_mb)
    if side is not None:
        yield f"--set size={side}, the largest that fits"
    elif any(has_own_size(plan.job, style) for style in plan.job.styles):
        yield "smaller styles (style_size, or `size` of a style in a list)"


def _largest_side(plan: Plan, available_mb: int) -> int | None:
    """The largest ``size``, below the picture's own, at which the job would fit."""
    low, high = 0, max(plan.content.shape)
    while high - low > 1:
        middle = (low + high) // 2
        shapes = _shapes_at(plan, middle)
        # What is too small for a picture is sought above, as what fits is.
        fits = shapes is None or _least_mb(plan, *shapes) <= available_mb
        low, high = (middle, high) if fits else (low, middle)
    return low if _shapes_at(plan, low) is not None else None


def _shapes_at(plan: Plan, side: int) -> tuple[Shape, Shape] | None:
    """Content and largest style as ``--set size=SIDE`` would have them; None: it is refused."""
    job = plan.job.model_copy(update={"size": side, "sizes": None})
    try:
        content = check_picture(job.content, side, job.resize_method, "")
        styles = [style_source(job, style, content, "") for style in job.styles]
    except NstGraphError:
        return None
    return content.shape, max((style.shape for style in styles), key=prod)


def _least_mb(plan: Plan, content: Shape, style: Shape) -> int:
    """Memory of the mode that needs least of those that the plan allows."""
    return min(memory_mb(plan.job, content, style, mode) for mode in modes(plan.job, content))


def _with_mode(plan: Plan, mode: Mode) -> Plan:
    return _with_session(plan, memory=mode.memory, tile_size=mode.tile_size)


def _with_session(plan: Plan, **settings: Any) -> Plan:
    session = plan.job.session.model_copy(update=settings)
    return replace(plan, job=plan.job.model_copy(update={"session": session}))
