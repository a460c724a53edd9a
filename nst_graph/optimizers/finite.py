"""The check that losses and gradients are numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from nst_graph.errors import DivergedError


def check_finite(losses: Mapping[str, float], when: str, remedy: str) -> None:
    """Raise DivergedError naming the first term that is NaN or infinite.

    Args:
        losses: named terms, in the order of ``build_terms``; may be empty.
        when: for the message, such as "iteration 3".
        remedy: what to change.
    """
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        # "total" comes first in the mapping, and sums after it, but a sum is rarely the cause.
        name = next((name for name in bad if "/" in name or name == "total_variation"), bad[-1])
        raise DivergedError(f"loss {name} is {losses[name]} at {when}", remedy=remedy)
