"""A report as data: what was compared, with what, where, and what is left to know."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from nst_graph import __version__
from nst_graph.reproduce.findings import Diagnosis
from nst_graph.reproduce.inputs import InputFile
from nst_graph.reproduce.rows import Row, as_dict, counts, exit_code

#: Raised with every change of the JSON form that a reader could stumble over.
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class TargetReport:
    """The part of one target.

    Attributes:
        name, title: of the target.
        rows: judged.
        not_run: names of trace rows that a shortened run, or a table of losses, did not come to.
        files: inputs that were there.
        diagnosis: of a trace that deviates.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    not_run: tuple[str, ...] = ()
    files: tuple[InputFile, ...] = ()
    diagnosis: Diagnosis | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """Inputs that some row lacks, each once."""
        return tuple(dict.fromkeys(item for row in self.rows for item in row.missing))


@dataclass(frozen=True)
class Report:
    """What ``reproduce`` found.

    Attributes:
        targets: in the order in which they ran.
        environment: device, threads and TensorFlow's version; empty where nothing was computed.
    """

    targets: tuple[TargetReport, ...]
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> Sequence[Row]:
        return [row for target in self.targets for row in target.rows]

    @property
    def exit_code(self) -> int:
        """0: every row met; 1: one deviates; 3: an input was missing."""
        return exit_code(self.rows)

    @property
    def warnings(self) -> Sequence[str]:
        """Inputs that are not the published files, each once."""
        return list(
            dict.fromkeys(
                f"{file.name} is not the published {_KINDS[file.role]} (SHA-256 {file.sha256})"
                for target in self.targets
                for file in target.files
                if not file.published
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON data; its form is ``schema.json``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "nst_graph": __version__,
            "python": platform.python_version(),
            "environment": dict(self.environment),
            "exit_code": self.exit_code,
            "counts": dict(counts(self.rows)),
            "warnings": list(self.warnings),
            "targets": [_target_dict(target) for target in self.targets],
        }


_KINDS = {"content": "picture", "style": "picture", "weights": "weights file"}


def _target_dict(target: TargetReport) -> dict[str, Any]:
    return {
        "name": target.name,
        "title": target.title,
        "rows": [as_dict(row) for row in target.rows],
        "not_run": list(target.not_run),
        "files": [asdict(file) for file in target.files],
        "missing": list(target.missing),
        "diagnosis": None if target.diagnosis is None else _diagnosis_dict(target.diagnosis),
    }


def _diagnosis_dict(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "iteration": diagnosis.iteration,
        "remark": diagnosis.remark,
        "findings": [asdict(finding) for finding in diagnosis.findings],
        "predictions": [
            {
                "cause": prediction.cause,
                "losses": {name: _finite(value) for name, value in prediction.losses.items()},
                "deviation": _finite(prediction.deviation),
            }
            for prediction in diagnosis.predictions
        ],
    }


def _finite(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return value if math.isfinite(value) else None
