"""What a batch leaves beside its jobs' directories: a table, and their pictures on one sheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nst_graph.batch.checks import PlannedBatch, PlannedJob
from nst_graph.batch.outcome import Outcome
from nst_graph.contact_sheet import blank, contact_sheet, stamp
from nst_graph.errors import PictureError
from nst_graph.files import make_directory, replace_file
from nst_graph.images import read_picture, write_picture

#: The table's name in a batch's directory.
SUMMARY = "summary.csv"

#: Columns before those of the keys that a sweep varies.
_COLUMNS = ("name", "status", "seconds", "total", "content_loss", "style_loss")

#: The last columns.
_LAST_COLUMNS = ("content", "style", "job_sha256", "output", "error")


def write_summary(planned: PlannedBatch, outcomes: Sequence[Outcome]) -> tuple[Path, Path | None]:
    """Write summary.csv and contact_sheet.png into the batch's output directory.

    Returns:
        Their paths; None for the sheet where no job has a picture.

    Raises:
        OutputError: they cannot be written.
    """
    directory = planned.batch.output
    make_directory(directory, "choose another directory with --set output=DIR")
    table = directory / SUMMARY
    replace_file(table, _table(planned, outcomes).encode())
    if not any(outcome.picture for outcome in outcomes):
        return table, None
    stamps = [_stamp(job, outcome) for job, outcome in zip(planned.jobs, outcomes, strict=True)]
    sheet = directory / "contact_sheet.png"
    write_picture(sheet, contact_sheet(stamps, planned.batch.columns))
    return table, sheet


def _table(planned: PlannedBatch, outcomes: Sequence[Outcome]) -> str:
    varied = dict.fromkeys(key for job in planned.jobs for key in job.batch_job.varied)
    own = [key for key in varied if key not in _LAST_COLUMNS]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*_COLUMNS, *own, *_LAST_COLUMNS], lineterminator="\n")
    writer.writeheader()
    for job, outcome in zip(planned.jobs, outcomes, strict=True):
        values = {key: job.batch_job.varied.get(key, "") for key in own}
        writer.writerow({**_row(job, outcome), **values})
    return buffer.getvalue()


def _row(job: PlannedJob, outcome: Outcome) -> dict[str, Any]:
    losses = outcome.losses
    return {
        "name": job.name,
        "status": outcome.status,
        "seconds": outcome.seconds or "",
        "total": losses.get("total", ""),
        "content_loss": losses.get("content", ""),
        "style_loss": losses.get("style", ""),
        "content": job.plan.content.name,
        "style": "+".join(style.picture.name for style in job.plan.styles),
        "job_sha256": job.plan.job.digest,
        "output": str(job.plan.output),
        "error": outcome.error,
    }


def _stamp(job: PlannedJob, outcome: Outcome) -> tuple[str, Any]:
    if outcome.picture is not None:
        with suppress(PictureError):  # taken away meanwhile
            return job.name, stamp(read_picture(outcome.picture).in_srgb)
    return f"{job.name}: {outcome.status}", blank()
