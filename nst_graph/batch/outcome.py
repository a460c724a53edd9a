"""What the jobs of a batch report, while they run and at the end: data, for whoever shows it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

#: How a job ended. skipped: it was finished before. not started: the batch ended before its turn.
OutcomeStatus = Literal["finished", "skipped", "failed", "interrupted", "not started"]


@dataclass(frozen=True)
class Started:
    """A job begins.

    Attributes:
        index: of the job in the batch, from 0.
    """

    index: int


@dataclass(frozen=True)
class Progress:
    """A job made a step.

    Attributes:
        index: of the job in the batch, from 0.
        evaluations: of loss and gradient made so far.
        losses: named terms where the step read them, else empty.
    """

    index: int
    evaluations: int
    losses: Mapping[str, float]


@dataclass(frozen=True)
class Retried:
    """A job is given to another worker, for its own was lost.

    Attributes:
        index: of the job in the batch, from 0.
        attempt: which one this is; the first was 1.
        cause: of the loss, on one line.
    """

    index: int
    attempt: int
    cause: str


@dataclass(frozen=True)
class Outcome:
    """A job is over.

    Attributes:
        index: of the job in the batch, from 0.
        status: how it ended.
        seconds: it took.
        losses: named terms as last read.
        picture: the result, where there is one.
        error: what went wrong, on one line; empty where nothing did.
    """

    index: int
    status: OutcomeStatus
    seconds: float = 0.0
    losses: Mapping[str, float] = field(default_factory=dict)
    picture: Path | None = None
    error: str = ""


Event = Started | Progress | Retried | Outcome


@dataclass(frozen=True)
class BatchReport:
    """How a batch ended.

    Attributes:
        outcomes: of its jobs, in their order.
        interrupted: before all jobs were over.
        summary: summary.csv; None where the file is one job.
        contact_sheet: the pictures; None where no job has one.
        signum: what interrupted it.
    """

    outcomes: tuple[Outcome, ...]
    interrupted: bool
    summary: Path | None
    contact_sheet: Path | None
    signum: int = signal.SIGINT

    def count(self, status: OutcomeStatus) -> int:
        return sum(outcome.status == status for outcome in self.outcomes)
