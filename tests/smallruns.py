"""Whole runs of a second or two, for tests of what runs leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nst_graph.jobs import make_job
from nst_graph.pipeline import RunResult, run
from nst_graph.plan import make_plan


def small_job(folder: Path, **settings: Any) -> dict[str, Any]:
    """A job of 7 Adam steps at 48 pixels into ``folder``/run; images and losses every second."""
    return {
        "recipe": "coursera",
        "content": "embedded:landscape",
        "style": "embedded:painting",
        "size": 48,
        "output": str(folder / "run"),
        "weights": {"source": "random"},
        "optimizer": {"steps": 7},
        "log": {"losses_every": 2, "image_every": 2},
        "content_layers": {"relu2_1": 1.0},
        "style_layers": {"relu1_1": 0.5, "relu2_1": 0.5},
        **settings,
    }


def small_run(folder: Path, **settings: Any) -> RunResult:
    return run(make_plan(make_job(small_job(folder, **settings))))
