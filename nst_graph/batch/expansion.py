"""From a batch file to complete jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nst_graph.batch.names import BY_NUMBER, default_template, job_name
from nst_graph.config import Job
from nst_graph.errors import ConfigError, NstGraphError
from nst_graph.faults import short_repr
from nst_graph.jobfile import BATCH_KEYS, is_batch, read_source
from nst_graph.jobs import InvalidJobError, LoadedJob, complete, problems_of
from nst_graph.layering import Change, JobSource, Layer
from nst_graph.plan import loaded_or_faults
from nst_graph.sweep import REFUSED, Point, grid, read_axes
from nst_graph.yamlfile import KeyPath

#: So many faults are told of one file.
MAX_PROBLEMS = 100


@dataclass(frozen=True)
class BatchJob:
    """One job of a batch.

    Attributes:
        name: below the batch's output directory.
        loaded: complete; its ``output`` is that directory and the name.
        varied: the swept keys and their values in this job.
    """

    name: str
    loaded: LoadedJob
    varied: Mapping[str, Any]

    @property
    def job(self) -> Job:
        return self.loaded.job


@dataclass(frozen=True)
class Batch:
    """The jobs of a file.

    Attributes:
        file: it.
        output: directory of the results, and of summary and contact sheet.
        jobs: in the order of the file; a sweep's last axis varies fastest.
        columns: of the contact sheet; 0 where nothing speaks for a number.
        single: the file is one job, without ``jobs`` and ``sweep``.
    """

    file: Path
    output: Path
    jobs: tuple[BatchJob, ...]
    columns: int = 0
    single: bool = False


def load_batch(path: Path, overrides: Sequence[str] = ()) -> Batch:
    """Read a job file or a batch file, and complete its jobs.

    Args:
        path: a YAML file.
        overrides: ``key.path=value`` strings, for every job; ``output`` is the batch's directory.

    Raises:
        ConfigError: one fault; ``InvalidJobError`` names all of them at once.
    """
    source = read_source(path, overrides)
    if not is_batch(source):
        loaded = loaded_or_faults(lambda: complete(source))
        job = BatchJob(loaded.job.output_directory.name, loaded, {})
        return Batch(path, loaded.job.output_directory.parent, (job,), single=True)
    entries, problems = _entries(source)
    axes, more = _axes(source)
    problems += more
    jobs = [] if problems else _complete_all(source, entries, axes, problems)
    if problems:
        raise InvalidJobError(_distinct(problems))
    output, _ = source.top_level("output")
    columns = len(axes[-1]) if axes else 0
    return Batch(path, Path(str(output)), tuple(jobs), columns)


@dataclass(frozen=True)
class _Entry:
    """One entry of ``jobs``: a layer over the file's keys, and its own name if it has one."""

    layer: Layer | None = None
    name: object = None


def _entries(source: JobSource) -> tuple[list[_Entry], list[NstGraphError]]:
    value, holder = source.top_level("jobs")
    if holder is None:
        return [_Entry()], []
    if not isinstance(holder, Layer) or not isinstance(value, list) or not value:
        remedy = "write a list in the file, each item with the keys of one job"
        return [], [ConfigError("is no list of jobs", where=holder.where(("jobs",)), remedy=remedy)]
    entries: list[_Entry] = []
    problems: list[NstGraphError] = []
    for index, item in enumerate(value):
        root: KeyPath = ("jobs", index)
        if not isinstance(item, Mapping):
            problems.append(
                ConfigError(
                    f"is no mapping of keys, but {short_repr(item)}",
                    where=holder.where(root),
                    remedy="write the keys in which this job differs, such as content: cat.jpg",
                )
            )
            continue
        layer = Layer(holder.document, {k: v for k, v in item.items() if k != "name"}, root)
        problems += [
            ConfigError(
                f"{key!r} cannot stand in a job of a list",
                where=layer.where((key,)),
                remedy=reason,
            )
            for key, reason in REFUSED.items()
            if key in layer.settings
        ]
        entries.append(_Entry(layer, item.get("name")))
    return entries, problems


def _axes(source: JobSource) -> tuple[list[list[Point]], list[NstGraphError]]:
    _, holder = source.top_level("sweep")
    if holder is None:
        return [], []
    if not isinstance(holder, Layer):
        where, remedy = holder.where(("sweep",)), "write it into a file"
        return [], [ConfigError("is no key for the command line", where=where, remedy=remedy)]
    return read_axes(holder.document)


def _complete_all(
    source: JobSource,
    entries: Sequence[_Entry],
    axes: list[list[Point]],
    problems: list[NstGraphError],
) -> list[BatchJob]:
    """Every entry at every point of the grid; faults go to ``problems``."""
    jobs: list[BatchJob] = []
    template, holder = source.top_level("name")
    plain = _plain(source)
    for index, (entry, point) in enumerate(_combinations(entries, axes), start=1):
        layers = plain.layers if entry.layer is None else (*plain.layers, entry.layer)
        one = JobSource(layers, (*point, *plain.changes))
        named: object = entry.name if entry.name is not None else template
        where = (entry.layer if entry.name is not None else holder) or plain.layers[-1]
        if named is None:
            named = _default_name(entries, point)
        try:
            loaded = loaded_or_faults(lambda one=one: complete(one))  # type: ignore[misc]
            name = job_name(named, loaded.job, index, where.where(("name",)))
        except NstGraphError as error:
            problems += problems_of(error)
            if len(problems) > MAX_PROBLEMS:
                break
        else:
            jobs.append(_named(name, loaded, point))
    return jobs


def _plain(source: JobSource) -> JobSource:
    """The source without the keys that make many jobs of it."""
    layers = tuple(
        replace(layer, settings={k: v for k, v in layer.settings.items() if k not in BATCH_KEYS})
        for layer in source.layers
    )
    return JobSource(layers, tuple(c for c in source.changes if c.path != ("name",)))


def _combinations(
    entries: Sequence[_Entry], axes: list[list[Point]]
) -> Iterator[tuple[_Entry, Point]]:
    for entry in entries:
        for point in grid(axes):
            yield entry, point


def _default_name(entries: Sequence[_Entry], point: Point) -> str:
    swept = default_template(".".join(map(str, change.path)) for change in point)
    return f"{BY_NUMBER}-{swept}" if point and len(entries) > 1 else swept


def _named(name: str, loaded: LoadedJob, point: Sequence[Change]) -> BatchJob:
    """The job with its own directory below the batch's."""
    output = str(loaded.job.output_directory / name)
    job = loaded.job.model_copy(update={"output": output})
    varied = {".".join(map(str, change.path)): change.value for change in point}
    return BatchJob(name, LoadedJob(job, loaded.source), varied)


def _distinct(problems: Sequence[NstGraphError]) -> list[NstGraphError]:
    """Each fault once: one of the common keys is found in every job."""
    distinct = list({str(problem): problem for problem in problems}.values())
    if len(distinct) <= MAX_PROBLEMS:
        return distinct
    return [*distinct[:MAX_PROBLEMS], ConfigError("there are more faults", remedy="correct these")]
