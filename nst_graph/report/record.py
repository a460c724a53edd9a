"""What a run's directory holds, read for its report: nothing in it need be complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_graph.artifacts import MANIFEST, SIDE_BY_SIDE, read_manifest
from nst_graph.errors import OutputError
from nst_graph.frames import Frame, result_of, saved_frames
from nst_graph.metrics import Row, losses_of, read_rows


@dataclass(frozen=True)
class RunRecord:
    """A run as its directory tells it.

    Attributes:
        path: the directory.
        manifest: settings, inputs, weights, environment; of a run that was killed, no timings.
        rows: of the metrics.
        frames: the saved images.
        result, side_by_side: None where the run has not come so far.
    """

    path: Path
    manifest: Mapping[str, Any]
    rows: Sequence[Row]
    frames: Sequence[Frame]
    result: Frame | None
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
    side_by_side = directory / SIDE_BY_SIDE
    return RunRecord(
        directory,
        manifest,
        read_rows(directory),
        saved_frames(directory),
        result_of(directory),
        side_by_side if side_by_side.is_file() else None,
    )
