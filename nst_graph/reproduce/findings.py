"""What a diagnosis comes to, as records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Agreement of a prediction: looser than between machines (1e-5), tighter than between causes.
MATCH_RTOL = 1e-4


@dataclass(frozen=True)
class Finding:
    """A cause that the evidence names.

    Attributes:
        cause: key in ``CAUSES``, or "inputs" where the run does what these inputs give.
        title: the cause for people.
        evidence: what was compared with what.
    """

    cause: str
    title: str
    evidence: str


@dataclass(frozen=True)
class Prediction:
    """What a cause gives at the first published iteration.

    Attributes:
        cause: key in ``CAUSES``, or "none" for the run without a mistake.
        losses: by term.
        deviation: largest relative difference from the measured losses.
    """

    cause: str
    losses: Mapping[str, float]
    deviation: float

    @property
    def matches(self) -> bool:
        return self.deviation <= MATCH_RTOL


@dataclass(frozen=True)
class Diagnosis:
    """Why a trace deviates.

    Attributes:
        target: whose trace it is.
        iteration: at which predictions were compared.
        findings: causes named; empty where none is.
        predictions: those that were made, up to the first match.
        remark: where no cause is named, what was looked at; else empty.
    """

    target: str
    iteration: int
    findings: tuple[Finding, ...]
    predictions: tuple[Prediction, ...]
    remark: str = ""
