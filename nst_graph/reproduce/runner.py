"""From a request to a report: the story, top to bottom."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst_graph.config import SessionSettings
from nst_graph.errors import ConfigError, choices_text
from nst_graph.filenames import fault_of_path
from nst_graph.recipes import find_recipe
from nst_graph.reproduce.expected import (
    GRADED,
    GROUPS,
    TRACE,
    WEIGHTS,
    Expectation,
    Target,
    Trace,
    find_targets,
)
from nst_graph.reproduce.inputs import GivenFiles, Inputs, find_inputs, share_out
from nst_graph.reproduce.report import Report, TargetReport
from nst_graph.reproduce.rows import Row, judge, missing_row
from nst_graph.types import Step, VggWeights

if TYPE_CHECKING:
    from nst_graph.reproduce.findings import Diagnosis
    from nst_graph.reproduce.metrics_file import Losses

Watcher = Callable[[Step], None]
#: Opens the display of a trace's progress: (target, evaluations planned) -> who sees its Steps.
Progress = Callable[[str, int], AbstractContextManager[Watcher]]


@dataclass(frozen=True)
class Request:
    """What to compare.

    Attributes:
        target: name of a target, or "all".
        files: pictures and weights.
        only: one group, or None for all that the target has.
        steps: a shorter length of traces than the published one.
        trace: a table of losses measured elsewhere, judged in place of a run.
    """

    target: str = "all"
    files: GivenFiles = field(default_factory=GivenFiles)
    only: str | None = None
    steps: int | None = None
    trace: Path | None = None

    @property
    def command(self) -> str:
        """The command line of this request; of files and folders, only the names of files."""
        files = vars(self.files) | {"trace": self.trace}
        words = ["nst-graph reproduce", self.target]
        for option in ("content", "style", "weights", "trace"):
            if files[option] is not None:
                words.append(f"--{option} {files[option].name}")
        words += ["--pictures FOLDER"] if self.files.pictures is not None else []
        words += [f"--only {self.only}"] if self.only is not None else []
        words += [f"--steps {self.steps}"] if self.steps is not None else []
        return " ".join(words)


def _no_progress(target: str, evaluations: int) -> AbstractContextManager[Watcher]:
    return nullcontext(lambda step: None)


def check_request(request: Request) -> None:
    """Check names, without opening a file and without TensorFlow.

    Raises:
        ConfigError: the request names something that there is not, or that no file can be called.
    """
    _targets(request)
    for option, path in (vars(request.files) | {"trace": request.trace}).items():
        fault = "" if path is None else fault_of_path(str(path))
        if fault:
            raise ConfigError(
                f"{str(path)[:40]!a} {fault}", where=f"--{option}", remedy="correct it"
            )


def reproduce(request: Request, progress: Progress = _no_progress) -> Report:
    """Measure what was published and compare.

    Raises:
        ConfigError: as ``check_request`` does.
        WeightsError, PictureError: a file is there and cannot be used. (One that is not there is
            a row of the report.)
    """
    check_request(request)
    targets = _targets(request)
    losses = _losses_given(request, targets)
    shares = share_out(targets, request.files)
    known_weights: list[VggWeights] = []
    wanted = [_rows(target, request) for target in targets]
    found = [
        find_inputs(target, rows, given, known_weights)
        for target, rows, given in zip(targets, wanted, shares, strict=True)
    ]
    reports = tuple(
        _target_report(target, rows, inputs, _TraceRequest(request.steps, losses, progress))
        for target, rows, inputs in zip(targets, wanted, found, strict=True)
    )
    if not any(report.rows for report in reports):
        raise ConfigError(
            f"a run of {request.steps} comes to none of the published iterations",
            where="--steps",
            remedy="give more steps, or leave it out",
        )
    return Report(reports, _environment(reports, request))


@dataclass(frozen=True)
class _TraceRequest:
    """How the losses of a trace are come by: ``losses`` as given, or a run."""

    steps: int | None
    losses: Losses | None
    progress: Progress


def _target_report(
    target: Target, rows: Sequence[Expectation], inputs: Inputs, request: _TraceRequest
) -> TargetReport:
    judged = [
        *_graded(target, [row for row in rows if row.group == GRADED]),
        *_weights(target, [row for row in rows if row.group == WEIGHTS], inputs),
    ]
    trace_rows = [row for row in rows if row.group == TRACE]
    if target.trace is None or not trace_rows:
        return TargetReport(target.name, target.title, tuple(judged), files=inputs.files)
    more, losses = _trace(target, trace_rows, inputs, request)
    diagnosis = None
    if losses is not None and any(row.verdict == "deviates" for row in more):
        diagnosis = _diagnosis(target, inputs, losses)
    compared = {row.name for row in more}
    not_run = tuple(row.name for row in trace_rows if row.name not in compared)
    return TargetReport(
        target.name, target.title, (*judged, *more), not_run, inputs.files, diagnosis
    )


def _graded(target: Target, rows: Sequence[Expectation]) -> list[Row]:
    if not rows:
        return []
    from nst_graph.reproduce import graded

    measured = graded.measure(target.name)
    tf32 = graded.tf32_in_use()
    return [judge(row, measured[row.name], tf32=tf32) for row in rows]


def _weights(target: Target, rows: Sequence[Expectation], inputs: Inputs) -> list[Row]:
    possible = [row.name for row in rows if not inputs.lacking(row)]
    if not possible:
        return [missing_row(row, inputs.lacking(row)) for row in rows]
    from nst_graph.reproduce import weights_group

    measured = weights_group.measure(target.name, inputs, possible)
    return [
        judge(row, measured[row.name], note=inputs.note(row))
        if row.name in measured
        else missing_row(row, inputs.lacking(row))
        for row in rows
    ]


def _trace(
    target: Target, rows: Sequence[Expectation], inputs: Inputs, request: _TraceRequest
) -> tuple[list[Row], Losses | None]:
    """The rows that were come to, judged, and the losses where there are any."""
    if request.losses is not None:
        losses = request.losses
        return [
            judge(row, value) for row in rows if (value := _loss_of(row, losses)) is not None
        ], losses
    assert target.trace is not None
    due = [row for row in rows if _is_due(row, target.trace, request.steps)]
    if not due:
        return [], None
    if any(inputs.lacking(row) for row in due):
        return [missing_row(row, inputs.lacking(row)) for row in due], None
    from nst_graph.reproduce import trace

    with tempfile.TemporaryDirectory(prefix="nst-graph-") as directory:
        plan = trace.plan_of(target.trace, inputs, Path(directory, "run"), request.steps)
        with request.progress(target.name, plan.budget) as watch:
            losses = trace.measure(plan, watch)
    return [judge(row, _loss_of(row, losses), note=inputs.note(row)) for row in due], losses


def _diagnosis(target: Target, inputs: Inputs, losses: Losses) -> Diagnosis:
    from nst_graph.reproduce import diagnosis, trace

    assert target.trace is not None
    setup = None
    if inputs.weights is not None and not inputs.missing:
        plan = trace.plan_of(target.trace, inputs, Path("unused"))
        setup = diagnosis.setup_of(plan, inputs.weights)
    return diagnosis.diagnose(target.name, target.trace, losses, setup)


def _targets(request: Request) -> tuple[Target, ...]:
    """The targets of a request; those without the group asked for are left out of "all"."""
    targets = find_targets(request.target)
    if request.only is None and request.trace is None:
        return targets
    group = _only(request)
    if group not in GROUPS:
        raise ConfigError(
            f"unknown group {group!r}", where="--only", remedy=choices_text(group, GROUPS)
        )
    having = tuple(target for target in targets if group in target.groups)
    if not having:
        raise ConfigError(
            f"{request.target} has no group {group!r}",
            where="--only" if request.trace is None else "--trace",
            remedy=choices_text(group, targets[0].groups),
        )
    if request.trace is not None and len(having) > 1:
        raise ConfigError(
            "a table of losses belongs to one target",
            where="--trace",
            remedy=choices_text(request.target, [target.name for target in having]),
        )
    return having


def _only(request: Request) -> str | None:
    return TRACE if request.trace is not None else request.only


def _rows(target: Target, request: Request) -> tuple[Expectation, ...]:
    only = _only(request)
    return target.rows if only is None else target.rows_of(only)


def _losses_given(request: Request, targets: Sequence[Target]) -> Losses | None:
    if request.trace is None:
        return None
    from nst_graph.reproduce.metrics_file import read_metrics

    losses = read_metrics(request.trace)
    trace = targets[0].trace
    assert trace is not None
    if not set(trace.iterations) & set(losses):
        raise ConfigError(
            "none of the published iterations is in it",
            where=str(request.trace),
            remedy=f"give some of {', '.join(map(str, trace.iterations))}",
        )
    return losses


def _loss_of(row: Expectation, losses: Losses) -> float | None:
    """The loss that a trace's row is about, None where it was not read."""
    assert row.iteration is not None
    return losses.get(row.iteration, {}).get(row.name.partition("@")[0])


def _is_due(row: Expectation, trace: Trace, steps: int | None) -> bool:
    """Whether a run of ``steps``, or of the published length, comes to the row's iteration."""
    assert row.iteration is not None
    first = find_recipe(trace.job["recipe"]).log.first_iteration
    return row.iteration < first + trace.length_for(steps)


def _environment(reports: Sequence[TargetReport], request: Request) -> Mapping[str, Any]:
    """Where the numbers were computed; nothing where none was."""
    computed = any(row.measured is not None for report in reports for row in report.rows)
    if request.trace is not None or not computed:
        return {}
    from nst_graph.session import environment

    return environment(SessionSettings())
