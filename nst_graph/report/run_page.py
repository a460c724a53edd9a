"""The page of one run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from nst_graph.checkpoint import CHECKPOINT
from nst_graph.recipes import RECIPES
from nst_graph.report import curves
from nst_graph.report.pictures import (
    INPUT_SIDE,
    RESULT_SIDE,
    moments_of,
    shown_file,
    shown_input,
)
from nst_graph.report.record import RunRecord
from nst_graph.report.settings import settings_of
from nst_graph.webpage import render

TEMPLATE = "report.html.j2"

#: What is said of a run that did not come to its end.
_ENDINGS = {
    "running": "This run is still going on, or was killed.",
    "interrupted": "This run was interrupted before its end.",
    "diverged": "This run diverged: a loss became infinite or not a number.",
    "failed": "This run failed: memory ran out, or the device.",
}

#: Beyond so many, the table of the losses shows some of the rows.
_MOST_ROWS = 200


def run_page(run: RunRecord) -> str:
    """The page as HTML."""
    manifest = run.manifest
    iteration = run.result.iteration if run.result else None
    moments, saved = moments_of(run), {frame.iteration for frame in run.frames}
    return render(
        TEMPLATE,
        {
            "name": run.path.absolute().name,
            "job": run.job,
            "manifest": manifest,
            "recipe": getattr(RECIPES.get(str(run.job.get("recipe"))), "title", ""),
            "warning": _warning(run),
            "result": shown_file(run.result.path if run.result else None, RESULT_SIDE),
            "iteration": iteration,
            "losses": manifest.get("losses") or {},
            "inputs": _inputs(run),
            "side_by_side": shown_file(run.side_by_side, 2 * INPUT_SIDE),
            "moments": moments,
            "saved": len(saved),
            "taken": sum(moment.iteration in saved for moment in moments),
            "charts": _charts(run),
            "box": curves,
            "rows": _rows(run),
            "settings": settings_of(run.job),
            "facts": _facts(manifest),
            "timings": manifest.get("timings_seconds") or {},
            "commands": _commands(run),
        },
    )


def _warning(run: RunRecord) -> str:
    if run.status == "finished":
        return ""
    text = _ENDINGS.get(run.status, f"The status of this run is {run.status!r}.")
    error = run.manifest.get("error")
    return f"{text} {error}" if error else text


def _inputs(run: RunRecord) -> list[dict[str, Any]]:
    """Name, facts and picture of each input."""
    inputs = run.manifest.get("inputs") or {}
    method = str(run.job.get("resize_method", "lanczos"))
    return [
        {"name": name.replace("_", " "), "facts": facts, "picture": shown_input(facts, method)}
        for name, facts in inputs.items()
        if isinstance(facts, dict)
    ]


def _charts(run: RunRecord) -> list[tuple[str, curves.Chart]]:
    terms = list(run.rows[0]) if run.rows else []
    sums = [name for name in ("total", "content", "style", "total_variation") if name in terms]
    layers = [name for name in terms if "/" in name]
    found = [
        (
            "What is minimised, and its terms before their weights",
            curves.chart(run.rows, sums, "s"),
        ),
        ("Each layer's own loss", curves.chart(run.rows, layers, "l")),
    ]
    return [(title, chart) for title, chart in found if chart is not None]


def _rows(run: RunRecord) -> list[Mapping[str, Any]]:
    stride = -(-len(run.rows) // _MOST_ROWS) or 1
    return list(run.rows[::stride])


def _facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the page says of machine and course, by name."""
    environment = dict(manifest.get("environment") or {})
    names = environment.pop("device_names", None)
    if names:
        environment["device"] = f"{environment.get('device')} ({', '.join(map(str, names))})"
    optimizer = manifest.get("optimizer") or {}
    facts = {
        "status": manifest.get("status"),
        "started": manifest.get("started"),
        "ended": manifest.get("ended"),
        "resumed": _resumptions(manifest.get("resumed") or []),
        "iterations made": manifest.get("steps"),
        "image updates": optimizer.get("updates"),
        "evaluations": optimizer.get("evaluations"),
        "best iteration": (optimizer.get("best") or {}).get("iteration"),
        "seed": manifest.get("seed"),
        "nst_graph": manifest.get("nst_graph"),
        **environment,
    }
    if manifest.get("peak_memory_mb") is not None:
        facts["peak memory"] = f"{manifest['peak_memory_mb']} MB"
    return [(name, str(value)) for name, value in facts.items() if value is not None]


def _resumptions(resumed: Sequence[Mapping[str, Any]]) -> str | None:
    places = [f"{item.get('at')} at iteration {item.get('iteration')}" for item in resumed]
    return "; ".join(places) or None


def _commands(run: RunRecord) -> list[tuple[str, str]]:
    """How to make it again: what the command does, and the command."""
    directory = str(run.path)
    again = []
    if (run.path / CHECKPOINT).is_file():
        again.append(("go on with it", f"nst-graph resume {shlex.quote(directory)}"))
    if run.result is not None:
        picture = shlex.quote(str(run.result.path))
        again.append(("make the picture again and compare", f"nst-graph rerun {picture}"))
    if (run.path / "job.yaml").is_file():
        job = shlex.quote(str(run.path / "job.yaml"))
        output = shlex.quote(f"output={directory}.again")
        again.append(("run the job, changed or not", f"nst-graph run {job} --set {output}"))
    return again
