"""A run's directory: pictures, metrics, manifest, log and plot. The only place that writes them.

runs/NAME/
    result.png          the picture (or .jpg, .webp, .tiff), its metadata naming job and weights
    side_by_side.png    content | style | result
    images/             the picture every `log.image_every` iterations
    metrics.csv         named losses of each logged iteration
    losses.png          their plot
    tensorboard/        the same for TensorBoard, where `log.tensorboard` asks for it
    manifest.json       settings, inputs, weights, versions, timings
    job.yaml            the complete job; `nst-graph run` on it repeats the run
    run.log             what was done, in words
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from nst_graph import __version__
from nst_graph.errors import OutputError
from nst_graph.files import replace_file, write_json
from nst_graph.images import write_picture
from nst_graph.montage import side_by_side
from nst_graph.preprocess import Pixels
from nst_graph.types import Step

MANIFEST = "manifest.json"


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """The manifest of a run's directory, or None where there is none that can be read."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


class RunDirectory:
    """The directory of one run, from its first file to its manifest.

    Args:
        path: the directory; made if it is not there.
        manifest: what is known at the start; ``finish`` completes it.
        overwrite: a directory that holds a run is set aside as ``NAME.previous`` until the new run
            is complete, instead of being refused.

    Raises:
        OutputError: it holds files already, or cannot be written.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any], *, overwrite: bool) -> None:
        self.path = path
        check_output(path, overwrite=overwrite)
        self._previous = _set_aside(path)
        self._manifest = {"nst_graph": __version__, "status": "running", **manifest}
        self._started = now()
        self._rows: list[dict[str, Any]] = []
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._log: TextIO = (path / "run.log").open("w", encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"cannot be written ({error.strerror})",
                where=str(path),
                remedy="choose another directory with --set output=DIR",
            ) from None
        self._write_manifest()

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, *exception: object) -> None:
        self._log.close()

    def note(self, text: str) -> None:
        """Add a line to run.log."""
        self._log.write(f"{now()} {text}\n")
        self._log.flush()

    def save_job(self, yaml_text: str) -> None:
        replace_file(self.path / "job.yaml", yaml_text.encode())

    def update(self, **facts: Any) -> None:
        """Add facts to the manifest and write it."""
        self._manifest.update(facts)
        self._write_manifest()

    def save_image(self, pixels: Pixels, iteration: int, extension: str) -> Path:
        """Save an image of the way, under its iteration's number."""
        directory = self.path / "images"
        directory.mkdir(exist_ok=True)
        path = directory / f"iteration_{iteration:06d}.{extension}"
        write_picture(path, pixels, metadata=self._metadata(iteration))
        return path

    def add_metrics(self, step: Step, seconds: float) -> None:
        """Add a row to metrics.csv: iteration, updates made when the losses were read, losses.

        For L-BFGS also the evaluations made so far, and how the segment ended.
        """
        row: dict[str, Any] = {"iteration": step.iteration, "updates": step.losses_at}
        if step.evaluations is not None:
            row |= {"evaluations": step.evaluations, "status": step.status or ""}
        row |= {"seconds": round(seconds, 3), **step.losses}
        self._rows.append(row)
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, fieldnames=list(self._rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        replace_file(self.path / "metrics.csv", buffer.getvalue().encode())
        terms = ", ".join(f"{name} {value:.6g}" for name, value in step.losses.items())
        ended = f" ({step.message})" if step.message else ""
        self.note(f"iteration {step.iteration}: {terms}{ended}")

    def save_result(
        self, content: Pixels, style: Pixels, result: Pixels, step: Step, extension: str
    ) -> Path:
        """Save the result, the side-by-side picture and the plot of the losses."""
        path = self.path / f"result.{extension}"
        metadata = self._metadata(step.best.iteration if step.best else step.iteration)
        write_picture(path, result, metadata=metadata)
        panels = [("content", content), ("style", style), ("result", result)]
        write_picture(self.path / "side_by_side.png", side_by_side(panels), metadata=metadata)
        if self._rows:
            replace_file(self.path / "losses.png", _plot(self._rows))
        return path

    def finish(self, status: str, **facts: Any) -> None:
        """Complete the manifest; a finished run replaces the one that was set aside."""
        self.update(status=status, started=self._started, ended=now(), **facts)
        self.note(status)
        if status == "finished" and self._previous is not None:
            shutil.rmtree(self._previous)

    def _write_manifest(self) -> None:
        write_json(self.path / MANIFEST, self._manifest)

    def _metadata(self, iteration: int) -> dict[str, str]:
        """What every picture says of itself."""
        weights = self._manifest.get("weights", {})
        summary = {
            "recipe": self._manifest["job"]["recipe"],
            "job_sha256": self._manifest["job_sha256"],
            "weights": weights,
            "inputs": self._manifest.get("inputs", {}),
            "iteration": iteration,
        }
        return {
            "Software": f"nst_graph {__version__}",
            "Description": f"Neural style transfer; weights: {weights.get('description')}",
            "nst_graph": json.dumps(summary),
        }


def check_output(path: Path, *, overwrite: bool) -> None:
    """Make sure that a run may use the directory, without touching it.

    Raises:
        OutputError: it is a file, holds files that are not a run's, holds a run and ``overwrite``
            is not asked for, or cannot be written.
    """
    elsewhere = "choose another directory with --set output=DIR"
    nearest = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not nearest.is_dir():
        raise OutputError(
            f"{nearest} is a file, not a directory", where=str(path), remedy=elsewhere
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"{nearest} may not be written", where=str(path), remedy=elsewhere)
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not (path / MANIFEST).is_file():
        raise OutputError("holds files that are not a run's", where=str(path), remedy=elsewhere)
    if not overwrite:
        status = (read_manifest(path) or {}).get("status", "unknown")
        raise OutputError(
            f"already holds a run (status: {status})",
            where=str(path),
            remedy=f"replace it with --overwrite, or {elsewhere}",
        )


def _set_aside(path: Path) -> Path | None:
    """Rename the run in ``path``, if there is one, to ``NAME.previous``."""
    if not (path / MANIFEST).is_file():
        return None
    previous = path.with_name(f"{path.name}.previous")
    try:
        if previous.exists():
            shutil.rmtree(previous)
        path.rename(previous)
    except OSError as error:
        raise OutputError(
            f"cannot be set aside as {previous} ({error.strerror})",
            where=str(path),
            remedy="choose another directory with --set output=DIR",
        ) from None
    return previous


def _plot(rows: list[dict[str, Any]]) -> bytes:
    """Total, content and style against the number of updates, on a log axis, as PNG.

    Where evaluations are counted apart from the updates, it is against evaluations.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    count = "evaluations" if "evaluations" in rows[0] else "updates"
    for name in ("total", "content", "style", "total_variation"):
        if name in rows[0]:
            label = name.replace("_", " ")
            axes.plot(
                [row[count] for row in rows], [row[name] for row in rows], marker=".", label=label
            )
    axes.set_yscale("log")
    axes.set_xlabel("function evaluations" if count == "evaluations" else "image updates")
    axes.set_ylabel("loss (unweighted terms)")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
