"""Where a run stands, in one file: enough to go on with it as though it had not stopped.

``checkpoint.npz`` holds the arrays of an ``OptimizerState`` and a JSON header. It is written whole
or not at all: the one before stays until the new one is complete.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from nst_graph.config import CheckpointSettings, Job, Section
from nst_graph.errors import OutputError
from nst_graph.files import replace_file
from nst_graph.types import BestImage, OptimizerState, StageStart, Step

CHECKPOINT = "checkpoint.npz"

#: What is read from a file that was damaged, cut off or not made by this module.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError)

_HEADER, _VARIABLE, _BEST = "header", "variable/", "best"


@dataclass(frozen=True)
class Progress:
    """What a run has recorded so far, beside the optimiser's state.

    Attributes:
        steps: that were made.
        losses: named terms as last read.
        segments: of L-BFGS, by how they ended.
        timings: seconds by stage.
    """

    steps: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    segments: Mapping[str, int] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A run between two iterations.

    Attributes:
        facts: the manifest's part that is known before the first step: "job", "job_sha256",
            "inputs", "weights", "environment".
        state: of the optimiser.
        progress: of the run.
    """

    facts: Mapping[str, Any]
    state: OptimizerState
    progress: Progress


class _Best(Section):
    iteration: int
    loss: float


class _Stage(Section):
    index: int = 0
    iteration: int = 0
    updates: int = 0
    evaluations: int = 0


class _Header(Section):
    """The JSON part of the file. Another layout is another number of ``format``."""

    format: Literal[1] = 1
    facts: dict[str, Any]
    next_iteration: int
    updates: int
    evaluations: int | None
    segments: int
    best: _Best | None
    stage: _Stage
    steps: int
    losses: dict[str, float]
    segments_by_status: dict[str, int]
    timings: dict[str, float]


class Saver:
    """Writes a run's checkpoints when they are due.

    Args:
        directory: of the run.
        settings: iterations and seconds between two.
        facts: of every ``Checkpoint``.
        first: number of the first iteration that will be made.
    """

    def __init__(
        self, directory: Path, settings: CheckpointSettings, facts: Mapping[str, Any], first: int
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._facts = facts
        self._saved = first - 1
        self._last = time.monotonic()
        self._offered: tuple[Step, Progress] | None = None

    def offer(self, step: Step, progress: Progress) -> None:
        """Take note of a step that can be gone on from, and save it if it is time to.

        Not every iteration can be gone on from: the first one that is due or overdue is saved.

        Raises:
            OutputError: the file cannot be written; the one before is untouched.
        """
        self._offered = (step, progress)
        every, seconds = self._settings.every, self._settings.seconds
        counted = bool(every) and step.iteration - self._saved >= every
        if counted or (seconds and time.monotonic() - self._last >= seconds):
            self.save()

    def save(self) -> None:
        """Save the step that was offered last, if there is one and it is not saved already."""
        if self._offered is None:
            return
        step, progress = self._offered
        assert step.fetch_state is not None
        save_checkpoint(self._directory, Checkpoint(self._facts, step.fetch_state(), progress))
        self._offered = None
        self._saved = step.iteration
        self._last = time.monotonic()

    def remove(self) -> None:
        """Remove the checkpoint, where there is one."""
        (self._directory / CHECKPOINT).unlink(missing_ok=True)


def save_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Put a checkpoint in place of the one in a run's directory.

    Raises:
        OutputError: it cannot be written; the one before is untouched.
    """
    state, progress = checkpoint.state, checkpoint.progress
    best = state.best
    header = _Header(
        facts=dict(checkpoint.facts),
        next_iteration=state.next_iteration,
        updates=state.updates,
        evaluations=state.evaluations,
        segments=state.segments,
        best=None if best is None else _Best(iteration=best.iteration, loss=best.loss),
        stage=_Stage(**asdict(state.stage)),
        steps=progress.steps,
        losses=dict(progress.losses),
        segments_by_status=dict(progress.segments),
        timings=dict(progress.timings),
    )
    arrays = {_VARIABLE + name: value for name, value in state.variables.items()}
    arrays[_HEADER] = np.frombuffer(header.model_dump_json().encode(), np.uint8)
    if best is not None:
        arrays[_BEST] = best.image
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type] # (its other parameter is a flag)
    replace_file(directory / CHECKPOINT, buffer.getvalue())


def load_checkpoint(directory: Path) -> Checkpoint:
    """The checkpoint in a run's directory.

    Raises:
        OutputError: there is none, it is damaged, or of another version's format.
    """
    path = directory / CHECKPOINT
    again = f"run it from the beginning: nst-graph run {directory / 'job.yaml'} --overwrite"
    if not path.is_file():
        raise OutputError("holds no checkpoint to go on from", where=str(directory), remedy=again)
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = _header_of(arrays.pop(_HEADER).tobytes(), path, again)
        best = header.best
        state = OptimizerState(
            header.next_iteration,
            header.updates,
            {
                name.removeprefix(_VARIABLE): array
                for name, array in arrays.items()
                if name.startswith(_VARIABLE)
            },
            header.evaluations,
            header.segments,
            None if best is None else BestImage(best.iteration, best.loss, arrays[_BEST]),
            StageStart(**header.stage.model_dump()),
        )
    except _DAMAGE as fault:
        raise OutputError(
            f"the checkpoint is damaged ({fault})", where=str(path), remedy=again
        ) from None
    progress = Progress(header.steps, header.losses, header.segments_by_status, header.timings)
    return Checkpoint(header.facts, state, progress)


def _header_of(text: bytes, path: Path, remedy: str) -> _Header:
    version = json.loads(text).get("format")
    if version != 1:
        raise OutputError(
            f"the checkpoint has format {version!r}, and this version reads format 1",
            where=str(path),
            remedy=f"go on with the version of nst_graph that wrote it, or {remedy}",
        )
    try:
        return _Header.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{error.error_count()} faults in its header") from None


def check_job(checkpoint: Checkpoint, job: Job, directory: Path) -> None:
    """Make sure that a checkpoint is of this very job.

    Raises:
        OutputError: it is of another; every difference is shown.
    """
    if checkpoint.facts.get("job_sha256") == job.digest:
        return
    then, now = checkpoint.facts.get("job"), job.model_dump(mode="json")
    ours = {"output", "checkpoint"}  # not part of what decides the result
    changes = [text for key, text in _differences(then, now) if key.split(".")[0] not in ours]
    raise OutputError(
        "the checkpoint is of another job (then -> now): " + "; ".join(changes),
        where=str(directory / CHECKPOINT),
        remedy="put these back as they were, or run the changed job in a directory of its own",
    )


def check_facts(
    checkpoint: Checkpoint, facts: Mapping[str, Any], directory: Path
) -> tuple[str, ...]:
    """Make sure that pictures and weights are those that the run began with.

    Args:
        checkpoint: of the run.
        facts: the same part of the manifest, as of now.
        directory: of the run.

    Returns:
        What differs in the environment, for which the bits may differ.

    Raises:
        OutputError: a picture or the weights file has changed since.
    """
    changed = [
        text
        for name in ("inputs", "weights")
        for key, text in _differences(checkpoint.facts.get(name), facts[name], name)
        if key.endswith("sha256")
    ]
    if changed:
        raise OutputError(
            "a picture or the weights have changed since the run began (then -> now): "
            + "; ".join(changed),
            where=str(directory / CHECKPOINT),
            remedy="put them back as they were, or run the job in a directory of its own",
        )
    environment = _differences(checkpoint.facts.get("environment"), facts["environment"])
    return tuple(text for _, text in environment)


def _differences(then: object, now: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys whose values differ, each with a text that shows both."""
    before, after = dict(_flat(then, prefix)), dict(_flat(now, prefix))
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) != after.get(key):
            yield key, f"{key}: {before.get(key)!r} -> {after.get(key)!r}"


def _flat(value: object, prefix: str) -> Iterator[tuple[str, object]]:
    items: Iterator[tuple[object, object]]
    if isinstance(value, Mapping):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    else:
        yield prefix, value
        return
    for key, part in items:
        yield from _flat(part, f"{prefix}.{key}" if prefix else str(key))
