"""A job with its names bound to things: files, sizes and output checked before any heavy work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from nst_graph.animation import check_format, check_images
from nst_graph.artifacts import would_replace
from nst_graph.config import SMALLEST_SIDE, Job, StyleSize
from nst_graph.errors import ConfigError, NstGraphError
from nst_graph.filenames import fault_of_path
from nst_graph.jobs import InvalidJobError, LoadedJob, load_job, problems_of
from nst_graph.memory_mode import Mode, modes_in
from nst_graph.picture_plan import (
    Faults,
    StyleSource,
    bind_initial,
    bind_styles,
    named_pictures,
)
from nst_graph.sources import EMBEDDED_PREFIX, PictureSource, check_picture
from nst_graph.weights import ResolvedWeights, WeightsRequest, resolve
from nst_graph.yamlfile import KeyPath


@dataclass(frozen=True)
class Plan:
    """What a run will use.

    Attributes:
        job: complete settings.
        content: the picture, found and measured.
        styles: one or several.
        weights: source and file, found.
        output: directory of the results.
        initial: the picture to start from, at the content's size, where that is one.
        coarser: plans of the smaller sizes that come first, where the job has several.
        mode: in which its memory is kept to, where that is settled: by the run that is resumed or
            made again, or by what a cluster set aside for it. None: by the memory there will be.
    """

    job: Job
    content: PictureSource
    styles: tuple[StyleSource, ...]
    weights: ResolvedWeights
    output: Path
    initial: PictureSource | None = None
    coarser: tuple[Plan, ...] = ()
    mode: Mode | None = None

    @property
    def style(self) -> PictureSource:
        """The style picture; of several, the first."""
        return self.styles[0].picture

    @property
    def sources(self) -> dict[str, PictureSource]:
        """Every picture that the run reads: "content", "style", "style_2", "mask", "initial" ..."""
        found = {"content": self.content}
        for number, style in enumerate(self.styles, start=1):
            suffix = "" if number == 1 else f"_{number}"
            found[f"style{suffix}"] = style.picture
            if style.mask is not None:
                found[f"mask{suffix}"] = style.mask
        if self.initial is not None:
            found["initial"] = self.initial
        return found

    @property
    def stages(self) -> tuple[Plan, ...]:
        """Plans of one size each, in their order."""
        return (*self.coarser, replace(self, job=self.job.stages[-1], coarser=()))

    def with_modes(self, modes: Sequence[Mode | None]) -> Plan:
        """The plan with ``mode`` settled for each of its stages, in their order."""
        *coarser, last = modes
        stages = zip(self.coarser, coarser, strict=True)
        settled = tuple(replace(stage, mode=mode) for stage, mode in stages)
        return replace(self, mode=last, coarser=settled)

    @property
    def budget(self) -> int:
        """Evaluations of loss and gradient that are planned."""
        return sum(stage.job.optimizer.budget for stage in self.stages)

    def describe_work(self) -> str:
        """The optimiser and its steps; of several sizes those of the last, then the others'."""
        *coarser, last = self.stages
        text = last.job.optimizer.describe()
        if not coarser:
            return text
        before = (
            f"{stage.content.shape[1]}x{stage.content.shape[0]}: {stage.job.optimizer.describe()}"
            for stage in coarser
        )
        return f"{text} (after {'; '.join(before)})"


def plan_file(path: Path, overrides: Sequence[str] = ()) -> Plan:
    """Load the file of one job and bind its names; every fault of both is told at once.

    Raises:
        ConfigError, PictureError, WeightsError: one fault.
        InvalidJobError: several.
    """
    return make_plan(loaded_or_faults(lambda: load_job(path, overrides)))


def settled(plan: Plan, memory: object) -> Plan:
    """The plan, to be computed in the modes of an earlier run with as many sizes.

    Args:
        plan: of one job.
        memory: what the earlier run's manifest says of its memory; None where there is nothing.
    """
    modes = modes_in(memory)
    return plan.with_modes(modes) if len(modes) == len(plan.stages) else plan


def loaded_or_faults(load: Callable[[], LoadedJob]) -> LoadedJob:
    """The job that ``load`` returns, its files unchecked.

    Raises:
        InvalidJobError: it is invalid; the files that it names have been checked as well.
    """
    try:
        return load()
    except InvalidJobError as error:
        problems = list(error.problems)
        if error.rest is not None:
            try:
                make_plan(error.rest)
            except NstGraphError as more:
                problems += problems_of(more)
        raise InvalidJobError(problems) from None


def make_plan(loaded: LoadedJob) -> Plan:
    """Bind a job's names; TensorFlow is not needed for it.

    Raises:
        ConfigError, PictureError, WeightsError: one fault.
        InvalidJobError: several, all at once.
    """
    job = loaded.job
    *coarser, finest = job.stages
    last = _plan_of_one_size(replace(loaded, job=finest))
    check_images(job, loaded.where("log", "image_every"))
    return replace(
        last,
        job=job,
        coarser=tuple(
            _coarser_plan(loaded, stage, index, last) for index, stage in enumerate(coarser)
        ),
    )


def _coarser_plan(loaded: LoadedJob, job: Job, index: int, last: Plan) -> Plan:
    """The plan of a stage that is not the last, the style made smaller as the content is."""
    where = loaded.where("sizes", index)
    content = check_picture(job.content, job.size, job.resize_method, where)
    ratio = max(content.shape) / max(last.content.shape)
    update: dict[str, Any] = {"style_size": _scaled(job.style_size, ratio)}
    if not isinstance(job.style, str):
        update["style"] = tuple(
            style.model_copy(update={"size": _scaled(style.size, ratio)}) for style in job.style
        )
    scaled = job.model_copy(update=update)
    return _plan_of_one_size(replace(loaded, job=scaled))


def _scaled(size: StyleSize | None, ratio: float) -> StyleSize | None:
    """A style's size times a ratio; what follows the content's size does so by itself."""
    if isinstance(size, tuple):
        height, width = size
        return (_scaled_side(height, ratio), None if width is None else _scaled_side(width, ratio))
    return _scaled_side(size, ratio) if isinstance(size, int) else size


def _scaled_side(side: int, ratio: float) -> int:
    return max(SMALLEST_SIDE, round(side * ratio))


def _plan_of_one_size(loaded: LoadedJob) -> Plan:
    job = loaded.job
    problems = _faults_of_names(loaded)
    if problems:
        raise InvalidJobError(problems)
    faults = Faults()
    content = faults.attempt(
        lambda: check_picture(job.content, job.size, job.resize_method, loaded.where("content"))
    )
    styles = bind_styles(loaded, content, faults)
    initial = faults.attempt(lambda: bind_initial(loaded, content))
    weights = faults.attempt(lambda: _resolve_weights(loaded))
    for key, name in _names_of_inputs(job).items():
        faults.attempt(partial(_check_apart, name, job.output_directory, loaded.where(*key)))
    faults.attempt(lambda: check_format(job.log.animation, loaded.where("log", "animation")))
    faults.raise_any()
    assert content is not None
    assert weights is not None
    return Plan(job, content, styles, weights, job.output_directory, initial)


def _faults_of_names(loaded: LoadedJob) -> list[NstGraphError]:
    """Strings that no file system takes, so that nothing further on has to expect them."""
    job = loaded.job
    names: dict[KeyPath, str] = {
        ("output",): job.output,
        ("weights", "directory"): job.weights.directory,
        **_names_of_inputs(job),
    }
    return [
        ConfigError(
            f"{name[:40]!a} {fault_of_path(name)}", where=loaded.where(*key), remedy="correct it"
        )
        for key, name in names.items()
        if fault_of_path(name)
    ]


def _names_of_inputs(job: Job) -> dict[KeyPath, str]:
    """What a job reads, by the key that names it."""
    names = dict(named_pictures(job).values())
    if job.weights.path is not None:
        names["weights", "path"] = job.weights.path
    return names


def _check_apart(name: str, output: Path, where: str) -> None:
    """Refuse to read what the run may replace: it would be gone before, or lost with it."""
    if not name.startswith(EMBEDDED_PREFIX) and would_replace(output, Path(name)):
        raise ConfigError(
            f"{name} lies in the directory of the results, {output}, which the run may replace",
            where=where,
            remedy="choose another directory with --set output=DIR",
        )


def _resolve_weights(loaded: LoadedJob) -> ResolvedWeights:
    settings = loaded.job.weights
    try:
        return resolve(
            WeightsRequest(
                source=settings.source,
                path=Path(settings.path) if settings.path is not None else None,
                directory=Path(settings.directory),
                seed=settings.seed,
            )
        )
    except NstGraphError as error:
        key = "path" if settings.path is not None else "source"
        place = loaded.where("weights", key)
        error.what = f"{error.where}: {error.what}" if error.where else error.what
        error.where = place
        raise
