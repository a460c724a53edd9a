"""How much of a picture is held at one time: the choice, and what manifests and pictures say of it.

A manifest has the mode of its run's last size under "mode" and "tile_size", and the same of each
smaller size, in order, in the list "coarser".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Mode:
    """How a step is computed, as far as its memory goes. It decides the last bits of a result.

    Attributes:
        memory: "full": all activations at once; "low": blocks 1 and 2 in strips; "tiled": those of
            one window.
        tile_size: side of a tile in pixels; None where there are none.
    """

    memory: Literal["full", "low", "tiled"]
    tile_size: int | None = None

    def __str__(self) -> str:
        if self.tile_size is not None:
            return f"in tiles of {self.tile_size} pixels"
        return "as a whole" if self.memory == "full" else "in strips"


def modes_in(memory: object) -> list[Mode | None]:
    """The modes that a manifest tells, from coarse to fine; None where it tells none.

    Args:
        memory: the manifest's entry of that name; None, or whatever else a file may hold there.
    """
    coarser = memory.get("coarser") if isinstance(memory, Mapping) else None
    stages = [*coarser, memory] if isinstance(coarser, (list, tuple)) else [memory]
    return [_mode_in(stage) for stage in stages]


def modes_only(memory: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a manifest's "memory" that is the same in every run of a job in these modes."""
    kept = {"mode": memory["mode"], "tile_size": memory["tile_size"]}
    if "coarser" in memory:
        kept["coarser"] = [modes_only(stage) for stage in memory["coarser"]]
    return kept


def modes_text(modes: Iterable[Mode | None]) -> str:
    """Modes from coarse to fine in words."""
    return ", then ".join(dict.fromkeys(map(str, modes)))


def _mode_in(stage: object) -> Mode | None:
    if not isinstance(stage, Mapping):
        return None
    memory, side = stage.get("mode"), stage.get("tile_size")
    if memory == "tiled" and isinstance(side, int):
        return Mode("tiled", side)
    return Mode(memory) if memory in ("full", "low") else None
