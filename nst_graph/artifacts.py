"""A run's directory: pictures, metrics, manifest, log and plot. The only place that writes them.

runs/NAME/
    result.png          the picture (or .jpg, .webp, .tiff), its metadata naming job and weights
    side_by_side.png    content | style | result
    images/             the picture every `log.image_every` iterations
    metrics.csv         named losses of each logged iteration
    metrics.jsonl       the same, a JSON object a line
    losses.png          their plot
    tensorboard/        the same for TensorBoard, where `log.tensorboard` asks for it
    manifest.json       settings, inputs, weights, versions, timings
    checkpoint.npz      where an unfinished run stands; `nst-graph resume` goes on from it
    job.yaml            the complete job; `nst-graph run` on it repeats the run
    run.log             what was done, in words
"""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_graph import __version__
from nst_graph.checkpoint import CHECKPOINT
from nst_graph.claim import Claim, check_unclaimed
from nst_graph.errors import OutputError
from nst_graph.files import (
    append_line,
    lies_in,
    looking_at,
    make_directory,
    replace_file,
    sibling,
    write_json,
)
from nst_graph.images import write_picture
from nst_graph.metrics import Metrics, Row, read_rows
from nst_graph.montage import side_by_side
from nst_graph.origin import picture_metadata
from nst_graph.preprocess import Pixels
from nst_graph.types import Step

MANIFEST = "manifest.json"
IMAGES = "images"
LOG = "run.log"
SIDE_BY_SIDE = "side_by_side.png"

_ELSEWHERE = "choose another directory with --set output=DIR"


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
            is complete, instead of being refused. A finished run that is there already stays there,
            and the unfinished one that was to replace it goes.
        resume_at: number of the next iteration of the run that the directory holds, which goes on:
            its files stay, but for the rows of metrics.csv from there on. None: a new run.
        icc_profile: of the colours of its pictures; None: sRGB, which goes without saying.

    Raises:
        OutputError: it holds files already, cannot be written, or another process is writing it.
    """

    def __init__(
        self,
        path: Path,
        manifest: Mapping[str, Any],
        *,
        overwrite: bool = False,
        resume_at: int | None = None,
        icc_profile: bytes | None = None,
    ) -> None:
        self.path = path
        self._icc_profile = icc_profile
        self._started = now()
        self._manifest = {"nst_graph": __version__, "status": "running", **manifest}
        if resume_at is None:
            check_output(path, overwrite=overwrite)
            self._previous = _set_aside(path)
            make_directory(path, _ELSEWHERE)
            self.note("begun")
            self._claim = Claim(path / LOG)
            self._metrics = Metrics(path)
        else:
            self._claim = Claim(path / LOG)
            self._reopen(resume_at)
        self.update(started=self._started)

    def _reopen(self, resume_at: int) -> None:
        earlier = read_manifest(self.path) or {}
        self._started = earlier.get("started", self._started)
        resumed = [*earlier.get("resumed", []), {"at": now(), "iteration": resume_at}]
        self._manifest["resumed"] = resumed
        rows = [row for row in read_rows(self.path) if row["iteration"] < resume_at]
        self._metrics = Metrics(self.path, rows)
        previous = _previous_of(self.path)
        self._previous = previous if (previous / MANIFEST).is_file() else None
        self.note(f"resumed at iteration {resume_at}")

    def note(self, text: str) -> None:
        """Add a line to run.log."""
        append_line(self.path / LOG, f"{now()} {text}")

    def save_job(self, yaml_text: str) -> None:
        replace_file(self.path / "job.yaml", yaml_text.encode())

    def update(self, **facts: Any) -> None:
        """Add facts to the manifest and write it."""
        self._manifest.update(facts)
        self._write_manifest()

    def save_image(self, pixels: Pixels, iteration: int, extension: str) -> Path:
        """Save an image of the way, under its iteration's number."""
        name = f"{IMAGES}/iteration_{iteration:06d}.{extension}"
        path = self.path / name
        make_directory(path.parent, "check that the folder may be written and has room")
        self._write(name, pixels, iteration)
        return path

    def add_metrics(self, step: Step, seconds: float) -> None:
        """Add a row to the metrics: iteration, updates made when the losses were read, losses.

        For L-BFGS also the evaluations made so far, and how the segment ended. For a run of several
        sizes these and the stage, from 1.
        """
        row: dict[str, Any] = {"iteration": step.iteration, "updates": step.losses_at}
        if step.stage is not None:
            row = {"stage": step.stage, **row}
        if step.evaluations is not None:
            row |= {"evaluations": step.evaluations, "status": step.status or ""}
        row |= {"seconds": round(seconds, 3), **step.losses}
        self._metrics.add(row)
        terms = ", ".join(f"{name} {value:.6g}" for name, value in step.losses.items())
        ended = f" ({step.message})" if step.message else ""
        self.note(f"iteration {step.iteration}: {terms}{ended}")

    def save_result(
        self,
        content: Pixels,
        styles: Sequence[Pixels],
        result: Pixels,
        step: Step,
        extension: str,
    ) -> Path:
        """Save the result, the side-by-side picture and the plot of the losses."""
        iteration = step.best.iteration if step.best else step.iteration
        shown = [
            ("style" if len(styles) == 1 else f"style {n}", s) for n, s in enumerate(styles, 1)
        ]
        panels = [("content", content), *shown, ("result", result)]
        self._write(f"result.{extension}", result, iteration)
        self._write(SIDE_BY_SIDE, side_by_side(panels), iteration)
        if self._metrics.rows:
            replace_file(self.path / "losses.png", _plot(self._metrics.rows))
        return self.path / f"result.{extension}"

    def finish(self, status: str, **facts: Any) -> None:
        """Complete the manifest; a finished run replaces the one that was set aside."""
        self.update(status=status, ended=now(), **facts)
        self.note(status)
        if status == "finished" and self._previous is not None:
            try:
                _remove_run(self._previous)
            except OSError as error:
                self.note(f"{self._previous} could not be removed ({error.strerror})")
        self.close()

    def close(self) -> None:
        """Let other processes write here; for a run that ends without ``finish``."""
        self._claim.release()

    def _write(self, name: str, pixels: Pixels, iteration: int) -> None:
        metadata = picture_metadata(self._manifest, name, iteration)
        write_picture(self.path / name, pixels, metadata=metadata, icc_profile=self._icc_profile)

    def _write_manifest(self) -> None:
        write_json(self.path / MANIFEST, self._manifest)


def check_directory(path: Path) -> None:
    """Make sure that runs may use the directory, without touching it.

    Raises:
        OutputError: it is a file, holds files that are not a run's, or cannot be written.
    """
    with looking_at(path):
        nearest = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
        if not nearest.is_dir():
            raise OutputError(
                f"{nearest} is a file, not a directory", where=str(path), remedy=_ELSEWHERE
            )
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise OutputError(f"{nearest} may not be written", where=str(path), remedy=_ELSEWHERE)
        if path.is_dir() and any(path.iterdir()) and not (path / MANIFEST).is_file():
            raise OutputError(
                "holds files that are not a run's", where=str(path), remedy=_ELSEWHERE
            )


def check_output(path: Path, *, overwrite: bool, job_sha256: str = "") -> None:
    """Make sure that a new run may begin in the directory, without touching it.

    Args:
        path: the directory.
        overwrite: a run that it holds may be replaced.
        job_sha256: of the job, whose own run could be taken up again.

    Raises:
        OutputError: as of ``check_directory``; or it holds a run, and ``overwrite`` is not asked
            for, another process is writing it, or ``NAME.previous`` is not a run's.
    """
    check_directory(path)
    if not (path / MANIFEST).is_file():
        return
    check_unclaimed(path / LOG)
    if not overwrite:
        manifest = read_manifest(path) or {}
        status = manifest.get("status", "unknown")
        ours = job_sha256 and manifest.get("job_sha256") == job_sha256
        go_on = f"go on with it: nst-graph resume {path}; or "
        if not ours or status == "finished" or not (path / CHECKPOINT).is_file():
            go_on = ""
        raise OutputError(
            f"already holds a run (status: {status})",
            where=str(path),
            remedy=f"{go_on}replace it with --overwrite, or {_ELSEWHERE}",
        )
    previous = _previous_of(path)
    with looking_at(previous):
        if previous.exists() and not (previous / MANIFEST).is_file():
            raise OutputError(
                f"cannot be set aside as {previous}: what is there is not a run's",
                where=str(path),
                remedy=f"move that away, or {_ELSEWHERE}",
            )


def would_replace(directory: Path, path: Path) -> bool:
    """Whether a run into a directory may take a file away: from it, or from ``NAME.previous``."""
    return any(lies_in(path, place) for place in (directory, _previous_of(directory)))


def _previous_of(path: Path) -> Path:
    return sibling(path, ".previous")


def _set_aside(path: Path) -> Path | None:
    """Make way for a new run in ``path``; return the run that it replaces, where there is one.

    That is the one in ``path``, renamed to ``NAME.previous``. But where there is a finished run of
    that name already, and the one in ``path`` is not finished, it is the finished one.
    """
    if not (path / MANIFEST).is_file():
        return None
    previous = _previous_of(path)
    try:
        if _is_finished(previous) and not _is_finished(path):
            _remove_run(path)
            return previous
        if previous.exists():
            _remove_run(previous)
        path.rename(previous)
    except OSError as error:
        raise OutputError(
            f"cannot be set aside as {previous} ({error.strerror})",
            where=str(path),
            remedy=_ELSEWHERE,
        ) from None
    return previous


def _is_finished(path: Path) -> bool:
    return (read_manifest(path) or {}).get("status") == "finished"


def _remove_run(path: Path) -> None:
    """Remove a run's directory, the manifest last: until then one can tell what it is.

    Raises:
        OSError: something in it cannot be removed.
    """
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != MANIFEST:
            entry.unlink()
    (path / MANIFEST).unlink(missing_ok=True)
    if path.is_symlink():
        path.unlink()
    else:
        path.rmdir()


def _plot(rows: Sequence[Row]) -> bytes:
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
