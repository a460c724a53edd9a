"""A job with its names bound to things: files, sizes and output checked before any heavy work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nst_graph.animation import check_format
from nst_graph.config import Job, Size
from nst_graph.errors import ConfigError, NstGraphError
from nst_graph.filenames import fault_of_path
from nst_graph.jobs import InvalidJobError, LoadedJob, load_job, problems_of
from nst_graph.sources import PictureSource, check_picture
from nst_graph.weights import ResolvedWeights, WeightsRequest, resolve


@dataclass(frozen=True)
class Plan:
    """What a run will use.

    Attributes:
        job: complete settings.
        content, style: pictures, found and measured.
        weights: source and file, found.
        output: directory of the results.
    """

    job: Job
    content: PictureSource
    style: PictureSource
    weights: ResolvedWeights
    output: Path


def plan_file(path: Path, overrides: Sequence[str] = ()) -> Plan:
    """Load the file of one job and bind its names; every fault of both is told at once.

    Raises:
        ConfigError, PictureError, WeightsError: one fault.
        InvalidJobError: several.
    """
    return make_plan(loaded_or_faults(lambda: load_job(path, overrides)))


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
    problems = _faults_of_names(loaded)
    if problems:
        raise InvalidJobError(problems)

    def attempt(make: Callable[[], object]) -> object:
        try:
            return make()
        except NstGraphError as error:
            problems.append(error)
            return None

    content = attempt(
        lambda: check_picture(job.content, job.size, job.resize_method, loaded.where("content"))
    )
    style_size = _style_size(job, content if isinstance(content, PictureSource) else None)
    style = attempt(
        lambda: check_picture(job.style, style_size, job.resize_method, loaded.where("style"))
    )
    weights = attempt(lambda: _resolve_weights(loaded))
    attempt(lambda: check_format(job.log.animation, loaded.where("log", "animation")))
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise InvalidJobError(problems)
    assert isinstance(content, PictureSource)
    assert isinstance(style, PictureSource)
    assert isinstance(weights, ResolvedWeights)
    return Plan(job, content, style, weights, job.output_directory)


def _faults_of_names(loaded: LoadedJob) -> list[NstGraphError]:
    """Strings that no file system takes, so that nothing further on has to expect them."""
    job = loaded.job
    names = {
        ("output",): job.output,
        ("content",): job.content,
        ("style",): job.style,
        ("weights", "path"): job.weights.path or "",
        ("weights", "directory"): job.weights.directory,
    }
    return [
        ConfigError(
            f"{name[:40]!a} {fault_of_path(name)}", where=loaded.where(*key), remedy="correct it"
        )
        for key, name in names.items()
        if fault_of_path(name)
    ]


def _style_size(job: Job, content: PictureSource | None) -> Size | None:
    """The style's size; None keeps its own, as does a content picture that is at fault itself."""
    if job.style_size is not None and job.style_size != "content":
        return job.style_size
    if content is None:
        return None
    if job.style_size == "content":
        return content.shape
    return None if job.size is None else max(content.shape)


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
