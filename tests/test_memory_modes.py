"""Whole runs in every memory mode: the same losses, and a manifest that says how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from smallruns import small_run

pytestmark = pytest.mark.tensorflow

#: Odd sizes, more than one strip of rows and more than one tile.
LARGER = {"size": [150, 131], "optimizer": {"steps": 3}, "log": {"losses_every": 1}}


def losses_of(folder: Path, **session: Any) -> dict[str, float]:
    """Losses after three steps, of a run with these session settings."""
    result = small_run(folder, session=session, **LARGER)
    manifest = json.loads((result.directory / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["memory"]["mode"] == session["memory"]
    return result.losses


@pytest.mark.parametrize(
    "session", [{"memory": "low"}, {"memory": "tiled", "tile_size": 64}], ids=["low", "tiled"]
)
def test_a_run_in_little_memory_has_the_losses_of_a_whole_one(
    tmp_path: Path, session: dict[str, Any]
) -> None:
    whole = losses_of(tmp_path / "whole", memory="full")
    assert losses_of(tmp_path / "little", **session) == pytest.approx(whole, rel=1e-4)
    assert whole["total"] > 0
