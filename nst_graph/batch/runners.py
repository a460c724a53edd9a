"""Where the jobs of a batch run: in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, fields

from nst_graph.batch.pool import run_in_workers
from nst_graph.batch.ray_environment import prepare_environment
from nst_graph.batch.tasks import Tasks
from nst_graph.batch.work import Shelf, perform
from nst_graph.errors import ConfigError, choices_text

#: Runs tasks until none is left. On KeyboardInterrupt it lets those that run write what they have,
#: stops the tasks, and returns.
RunTasks = Callable[[Tasks], None]

#: Times that a job is given to another worker when its own is lost.
DEFAULT_RETRIES = 3


@dataclass(frozen=True)
class RunnerOptions:
    """What is asked of a runner; None: not asked for.

    Attributes:
        workers: processes on this machine, at least 1.
        address: of a Ray cluster, HOST:PORT, or auto for that of this machine.
        cpus_per_job: for jobs that do not set ``session.threads``, at least 1.
        gpus_per_job: share of a GPU for jobs that use one, above 0, to 1.
        retries: of a job whose worker is lost, at least 0.
    """

    workers: int | None = None
    address: str | None = None
    cpus_per_job: int | None = None
    gpus_per_job: float | None = None
    retries: int | None = None


@dataclass(frozen=True)
class Runner:
    """A row of the table.

    Attributes:
        options: fields of RunnerOptions that it takes.
        make: what runs the tasks.
    """

    options: frozenset[str]
    make: Callable[[RunnerOptions], RunTasks]


def run_here(tasks: Tasks) -> None:
    """One after another in this process."""
    shelf, last = Shelf(), None
    while (task := tasks.take(last)) is not None:
        last, plan = task
        outcome = perform(last, plan, shelf, tasks.report)
        tasks.end(outcome)
        if outcome.status == "interrupted":
            tasks.stop()


def make_runner(name: str, options: RunnerOptions = RunnerOptions()) -> RunTasks:
    """The runner of that name.

    Raises:
        ConfigError: no such runner; an option that it does not take or a value out of range; Ray
            is not installed.
    """
    if name not in RUNNERS:
        remedy = choices_text(name, RUNNERS)
        raise ConfigError(f"unknown runner {name!r}", where="--runner", remedy=remedy)
    runner = RUNNERS[name]
    for field in fields(options):
        if getattr(options, field.name) is not None and field.name not in runner.options:
            owner = next(row for row, other in RUNNERS.items() if field.name in other.options)
            raise ConfigError(
                f"is no option of the runner {name!r}",
                where=f"--{field.name.replace('_', '-')}",
                remedy=f"leave it out, or use --runner {owner}",
            )
    return runner.make(options)


def _local(options: RunnerOptions) -> RunTasks:
    workers = options.workers or 1
    return run_here if workers == 1 else run_in_workers(workers)


def _ray(options: RunnerOptions) -> RunTasks:
    gpus = options.gpus_per_job
    if gpus is not None and not 0 < gpus <= 1:
        raise ConfigError(
            f"{gpus:g} is out of range: above 0, to 1",
            where="--gpus-per-job",
            remedy="a job uses one GPU; 0.5 puts two jobs on each",
        )
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(
            "Ray is not installed",
            where="--runner ray",
            remedy="pip install 'nst_graph[ray]', here and on every machine of the cluster",
        )
    prepare_environment(own_cluster=options.address is None)
    from nst_graph.batch.cluster import Cluster, run_on_cluster

    cluster = Cluster(
        options.address,
        options.cpus_per_job,
        gpus,
        DEFAULT_RETRIES if options.retries is None else options.retries,
    )
    return run_on_cluster(cluster)


RUNNERS = {
    "local": Runner(frozenset({"workers"}), _local),
    "ray": Runner(frozenset({"address", "cpus_per_job", "gpus_per_job", "retries"}), _ray),
}
