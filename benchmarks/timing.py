"""Interleaved timing: every variant takes its turn in every round, so that all see one machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: Before anything is timed: the first step builds, optimises and allocates.
WARM_UP = 1


@dataclass(frozen=True)
class Timing:
    """Seconds of one variant.

    Attributes:
        seconds: of each round.
        ratios: by the name of a reference, the median over the rounds of this variant's time by the
            reference's of the same round.
    """

    seconds: list[float]
    ratios: dict[str, float]

    def as_dict(self) -> dict[str, object]:
        low, median, high = np.percentile(self.seconds, [25, 50, 75])
        return {
            "median_seconds": round(float(median), 4),
            "quartiles_seconds": [round(float(low), 4), round(float(high), 4)],
            "ratios": {name: round(ratio, 3) for name, ratio in self.ratios.items()},
            "rounds": len(self.seconds),
        }


def interleave(
    steps: Mapping[str, Callable[[], object]], rounds: int, references: Sequence[str]
) -> dict[str, Timing]:
    """Time all steps, round by round.

    Args:
        steps: by name.
        rounds: how often each is timed.
        references: names of steps that ratios are taken against; those that are not there are
            passed over.
    """
    for step in steps.values():
        for _ in range(WARM_UP):
            step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - started)
    bases = {name: np.array(seconds[name]) for name in references if name in seconds}
    return {
        name: Timing(
            values,
            {other: float(np.median(np.array(values) / base)) for other, base in bases.items()},
        )
        for name, values in seconds.items()
    }
