"""What a run's directory holds, read for its report: nothing in it need be complete."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_graph.artifacts import IMAGES, MANIFEST, SIDE_BY_SIDE, read_manifest
from nst_graph.errors import OutputError
from nst_graph.metrics import Row, losses_of, read_rows


@dataclass(frozen=True)
class Frame:
    """A saved image of the way.

    Attributes:
        iteration: after which it was taken.
        path: the file.
    """

    iteration: int
    path: Path


@dataclass(frozen=True)
class RunRecord:
    """A run as its directory tells it.

    Attributes:
        path: the directory.
        manifest: settings, inputs, weights, environment; of a run that was killed, no timings.
        rows: of the metrics.
        frames: by iteration.
        result, side_by_side: None where the run has not come so far.
    """

    path: Path
    manifest: Mapping[str, Any]
    rows: Sequence[Row]
    frames: Sequence[Frame]
    result: Path | None
    side_by_side: Path | None

    @property
    def status(self) -> str:
        return str(self.manifest.get("status", "unknown"))

    @property
    def job(self) -> Mapping[str, Any]:
        job: Mapping[str, Any] = self.manifest["job"]
        return job

    def losses_at(self, iteration: int) -> dict[str, float]:
        """Named losses read in an iteration; none where they were not."""
        row = next((row for row in self.rows if row["iteration"] == iteration), {})
        return losses_of(row)


def read_run(directory: Path) -> RunRecord:
    """Read the directory of a run.

    Raises:
        OutputError: it holds no run.
    """
    manifest = read_manifest(directory)
    if manifest is None or not isinstance(manifest.get("job"), dict):
        raise OutputError(
            f"holds no run: {MANIFEST} is missing or damaged",
            where=str(directory),
            remedy="name the directory of a run, such as runs/demo, or of a batch",
        )
    results = sorted(directory.glob("result.*"))
    side_by_side = directory / SIDE_BY_SIDE
    return RunRecord(
        directory,
        manifest,
        read_rows(directory),
        frames_of(directory),
        results[0] if results else None,
        side_by_side if side_by_side.is_file() else None,
    )


def frames_of(directory: Path) -> list[Frame]:
    """The images of the way in a run's directory, by iteration."""
    found = []
    for path in (directory / IMAGES).glob("iteration_*.*"):
        number = re.fullmatch(r"iteration_(\d+)", path.stem)
        if number:
            found.append(Frame(int(number[1]), path))
    return sorted(found, key=lambda frame: frame.iteration)


def spread(frames: Sequence[Frame], most: int) -> list[Frame]:
    """At most so many of the frames, evenly spread, the first and the last among them."""
    if len(frames) <= most:
        return list(frames)
    return [frames[round(index * (len(frames) - 1) / (most - 1))] for index in range(most)]
