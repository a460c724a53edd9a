"""The published numbers: ``expected.json`` as records. No TensorFlow, no files but that one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nst_graph.errors import ConfigError, choices_text

Values = npt.NDArray[np.float64]
Need = Literal["weights", "content", "style"]

GRADED, WEIGHTS, TRACE = GROUPS = ("graded", "weights", "trace")


@dataclass(frozen=True)
class Expectation:
    """One published number, or a few that are compared together.

    Attributes:
        target, group: where it belongs.
        name: key of the measured value within its group, such as "total@20".
        title: for people.
        value: published, float64, any shape.
        rtol: largest deviation allowed, relative to the largest absolute published value.
        source: where it was published.
        needs: inputs without which it cannot be measured.
        block: deepest block of VGG-19 whose kernels it depends on; 0 for none.
        iteration: of a trace, counted as the source counts; None elsewhere.
        tf32: what a GPU with TF32 arithmetic gives in place of ``value``, where that is known.
    """

    target: str
    group: str
    name: str
    title: str
    value: Values
    rtol: float
    source: str
    needs: tuple[Need, ...] = ()
    block: int = 0
    iteration: int | None = None
    tf32: Values | None = None


@dataclass(frozen=True)
class KnownCause:
    """The published trace of a known mistake.

    Attributes:
        name: key in ``diagnosis.CAUSES``.
        terms: by loss term, the value at each of the trace's iterations.
        rtol: at each iteration.
    """

    name: str
    terms: Mapping[str, Sequence[float]]
    rtol: Sequence[float]


@dataclass(frozen=True)
class Trace:
    """A published optimisation.

    Attributes:
        job: the settings that make it, as in a job file, without pictures and weights.
        length_key: dotted key of the job that ``--steps`` sets.
        length: its published value.
        iterations: at which losses were published, counted as the source counts.
        known_causes: traces of published mistakes at the same iterations.
        other_runs: by loss term, further published runs: they justify the tolerances.
        tolerance: where the tolerances come from.
    """

    job: Mapping[str, Any]
    length_key: str
    length: int
    iterations: tuple[int, ...]
    known_causes: tuple[KnownCause, ...]
    other_runs: tuple[Mapping[str, Sequence[float]], ...]
    tolerance: str

    def length_for(self, steps: int | None) -> int:
        """The length of a run that was asked to take ``steps``: at most the published one."""
        return self.length if steps is None else min(steps, self.length)


@dataclass(frozen=True)
class KnownPicture:
    """A published picture: its file name, SHA-256, and where it can be had."""

    name: str
    sha256: str
    where: str


@dataclass(frozen=True)
class Target:
    """One published system.

    Attributes:
        name: on the command line.
        title: for people.
        pictures: by role, "content" and perhaps "style".
        rows: the expectations of all groups, in their order.
        trace: of its optimisation, or None.
    """

    name: str
    title: str
    pictures: Mapping[Need, KnownPicture]
    rows: tuple[Expectation, ...]
    trace: Trace | None = field(repr=False)

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(group for group in GROUPS if any(row.group == group for row in self.rows))

    def rows_of(self, group: str) -> tuple[Expectation, ...]:
        return tuple(row for row in self.rows if row.group == group)


@cache
def targets() -> Mapping[str, Target]:
    """Every published system by name, in the order in which ``all`` runs them."""
    text = files("nst_graph.reproduce").joinpath("expected.json").read_text(encoding="utf-8")
    data = json.loads(text)
    return {name: _target(name, entry, data) for name, entry in data["targets"].items()}


def find_targets(name: str) -> tuple[Target, ...]:
    """The target of that name, or every one for "all".

    Raises:
        ConfigError: there is none.
    """
    known = targets()
    if name == "all":
        return tuple(known.values())
    if name not in known:
        raise ConfigError(
            f"unknown target {name!r}",
            where="reproduce",
            remedy=choices_text(name, [*known, "all"]),
        )
    return (known[name],)


def expected(target: str, name: str) -> Expectation:
    """The row of a target by its name; KeyError where there is none."""
    for row in targets()[target].rows:
        if row.name == name:
            return row
    raise KeyError(f"{target} has no row {name!r}")


def _target(name: str, entry: Mapping[str, Any], data: Mapping[str, Any]) -> Target:
    roles: tuple[Need, ...] = ("content", "style")
    pictures = {
        role: KnownPicture(entry[role], **data["pictures"][entry[role]])
        for role in roles
        if role in entry
    }
    rows = [
        _row(name, group, row, data["sources"])
        for group in (GRADED, WEIGHTS)
        for row in entry.get(group, ())
    ]
    trace = entry.get("trace")
    if trace is not None:
        rows += _trace_rows(name, trace, data["sources"][trace["source"]])
    return Target(name, entry["title"], pictures, tuple(rows), _trace(trace) if trace else None)


def _row(
    target: str, group: str, row: Mapping[str, Any], sources: Mapping[str, str]
) -> Expectation:
    return Expectation(
        target=target,
        group=group,
        name=row["name"],
        title=row["title"],
        value=np.array(row["value"], np.float64),
        rtol=row["rtol"],
        source=sources[row["source"]],
        needs=tuple(row.get("needs", ())),
        block=row.get("block", 0),
        tf32=np.array(row["tf32"], np.float64) if "tf32" in row else None,
    )


def _trace_rows(target: str, trace: Mapping[str, Any], source: str) -> list[Expectation]:
    """A row for each iteration and loss term: "total@0", "content@0", ..."""
    rows = []
    for place, iteration in enumerate(trace["iterations"]):
        for term, published in trace["terms"].items():
            rows.append(
                Expectation(
                    target=target,
                    group=TRACE,
                    name=f"{term}@{iteration}",
                    title=f"{term} cost, iteration {iteration}",
                    value=np.array(published["values"][place], np.float64),
                    rtol=published["rtol"][place],
                    source=source,
                    needs=("weights", "content", "style"),
                    block=5,
                    iteration=iteration,
                )
            )
    return rows


def _trace(trace: Mapping[str, Any]) -> Trace:
    causes = trace.get("known_causes", {}).items()
    return Trace(
        job=trace["job"],
        length_key=trace["length"]["key"],
        length=trace["length"]["count"],
        iterations=tuple(trace["iterations"]),
        known_causes=tuple(KnownCause(name, c["terms"], c["rtol"]) for name, c in causes),
        other_runs=tuple(trace["other_runs"]),
        tolerance=trace["tolerance"],
    )
