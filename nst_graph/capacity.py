"""Whether a job fits into memory, and how it is computed so that it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from nst_graph.errors import CapacityError
from nst_graph.estimate import (
    LOW_TARGET_TILE,
    estimate,
    largest_style,
    memory_mb,
    modes,
)
from nst_graph.plan import Plan
from nst_graph.session import choose_device
from nst_graph.tiled import TILE_SIZE


def decide_memory(
    plan: Plan, begun: Mapping[str, Any] | None = None
) -> tuple[Plan, dict[str, Any]]:
    """The plan with ``session.memory`` and ``tile_size`` as they will be; and what is known of it.

    Of several sizes each is decided for itself; the facts of the smaller ones are in "coarser".

    On a GPU it is not this machine's memory that counts: there the settings stay as they are.

    Args:
        plan: of one job.
        begun: what was known when the run was begun that is to be resumed; it goes on as it was
            computed then, for its last bits depend on that.

    Raises:
        CapacityError: the job needs more memory than there is; it names the largest size that fits.
        DeviceError: a GPU is asked for and none is visible.
    """
    last, facts = _decide_one_size(plan.stages[-1], begun)
    coarser = [
        _decide_one_size(stage, None if begun is None else begun["coarser"][index])
        for index, stage in enumerate(plan.coarser)
    ]
    decided = replace(plan, job=plan.job.model_copy(update={"session": last.job.session}))
    if coarser:
        decided = replace(decided, coarser=tuple(stage for stage, _ in coarser))
        facts["coarser"] = [known for _, known in coarser]
    return decided, facts


def _decide_one_size(plan: Plan, begun: Mapping[str, Any] | None) -> tuple[Plan, dict[str, Any]]:
    settings = plan.job.session
    if choose_device(settings.device) == "gpu":
        return plan, {"mode": settings.memory, "tile_size": tile_size_of(plan)}
    asked = plan
    if begun is not None:
        plan = _with_session(plan, memory=begun["mode"], tile_size=begun["tile_size"])
    cost = estimate(plan)
    if not cost.fits:
        assert cost.available_mb is not None
        raise CapacityError(
            f"a picture of {plan.content.shape[1]}x{plan.content.shape[0]} pixels, computed "
            f"{cost.mode}, needs about {cost.memory_mb} MB, and this machine has "
            f"{cost.available_mb} MB available",
            remedy=_remedy(asked, cost.available_mb, begun=begun is not None),
        )
    decided = _with_session(plan, memory=cost.mode.memory, tile_size=cost.mode.tile_size)
    return decided, {
        "mode": cost.mode.memory,
        "tile_size": cost.mode.tile_size,
        "estimated_mb": cost.memory_mb,
        "available_mb": cost.available_mb,
    }


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
        plan: as the job says.
        available_mb: memory that it can have.
        begun: its run goes on as it was computed before, unless it starts over.
    """
    changes = " or ".join(_changes_that_fit(plan, available_mb))
    if not begun:
        return f"use {changes}" if changes else "free some memory"
    if estimate(plan, available_mb).fits:  # its memory is "auto", which is decided anew
        changed = ""
    elif changes:
        changed = f" with {changes}"
    else:
        return "free some memory"
    again = f"nst-graph run {plan.output / 'job.yaml'} --overwrite"
    return f"free some memory, or start over{changed}: {again}"


def _changes_that_fit(plan: Plan, available_mb: int) -> Iterator[str]:
    """Options with which the job would fit, each with what there is to say of it."""
    if plan.job.session.memory in ("full", "low") and plan.job.engine == "graph":
        other = estimate(_with_session(plan, memory="auto"), available_mb)
        if other.fits:
            yield f"--set session.memory={other.mode.memory} (about {other.memory_mb} MB)"
    side = _largest_side(plan, available_mb)
    if side:
        yield f"--set size={side}, the largest that fits"


def _largest_side(plan: Plan, available_mb: int) -> int | None:
    """The longest side of the picture, in its proportions, at which the job would fit."""
    longest = max(plan.content.shape)

    def fits(side: int) -> bool:
        content, style = (
            (max(16, height * side // longest), max(16, width * side // longest))
            for height, width in (plan.content.shape, largest_style(plan))
        )
        sizes = (memory_mb(plan.job, content, style, mode) for mode in modes(plan.job, content))
        return min(sizes) <= available_mb

    low, high = 15, longest
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low if low >= 16 else None


def _with_session(plan: Plan, **settings: Any) -> Plan:
    session = plan.job.session.model_copy(update=settings)
    return replace(plan, job=plan.job.model_copy(update={"session": session}))
