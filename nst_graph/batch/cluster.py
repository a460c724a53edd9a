"""Jobs on a Ray cluster: one task for each, given to another worker when its own is lost.

``ray_environment`` must have had its say before this is imported.
"""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayError,
    TaskCancelledError,
    WorkerCrashedError,
)
from ray.util.queue import Queue

from nst_graph import __version__
from nst_graph.batch.errand import Errand, carry_out
from nst_graph.batch.outcome import Outcome, Progress, Retried
from nst_graph.batch.pool import GRACE_SECONDS, cores
from nst_graph.batch.resources import Needs, Node, check_needs, places, settle
from nst_graph.batch.state import as_begun
from nst_graph.batch.tasks import Tasks
from nst_graph.errors import ConfigError, DeviceError
from nst_graph.plan import Plan

#: Seconds between two looks at what the workers report.
POLL_SECONDS = 0.2

#: Seconds that a cluster has to answer the first time.
CONNECT_SECONDS = 5.0

#: What travels through Ray is a few kB a job; this is little above the least that Ray takes.
_OBJECT_STORE_BYTES = 100 << 20

#: The worker is gone, and with it nothing but its time: another may do the job.
_LOST = (WorkerCrashedError, NodeDiedError, OutOfMemoryError, ObjectLostError)


@dataclass(frozen=True)
class Cluster:
    """A cluster and how jobs use it.

    Attributes:
        address: HOST:PORT, auto for the one of this machine; None: started here and ended after.
        cpus_per_job: for jobs that do not set ``session.threads``; None: 1.
        gpus_per_job: share of a GPU for jobs that use one; None: 1.
        retries: of a job whose worker is lost.
    """

    address: str | None
    cpus_per_job: int | None
    gpus_per_job: float | None
    retries: int


def run_on_cluster(cluster: Cluster) -> Callable[[Tasks], None]:
    """A function that runs tasks on a cluster.

    Raises:
        ConfigError: no cluster answers at the address.
        DeviceError: a job asks for what no node has; nothing was run.
    """

    def run(tasks: Tasks) -> None:
        if not tasks:
            return
        with _connection(cluster.address):
            dispatcher = _Dispatcher(tasks, cluster)
            try:
                dispatcher.run()
            except KeyboardInterrupt:
                tasks.stop()
                dispatcher.interrupt()
            finally:
                dispatcher.close()

    return run


@dataclass(frozen=True)
class _Flight:
    """A job that Ray has.

    Attributes:
        index: of the job in the batch.
        plan: of it, its memory mode settled.
        attempt: how many times it has been given to a worker.
    """

    index: int
    plan: Plan
    attempt: int = 1


class _Dispatcher:
    """Hands jobs to Ray, as many as the cluster can run, and takes in what comes of them."""

    def __init__(self, tasks: Tasks, cluster: Cluster) -> None:
        self._tasks = tasks
        self._cluster = cluster
        nodes = _nodes()
        placed = {index: self._settle(plan, nodes) for index, plan in tasks.pending()}
        self._plans = {index: plan for index, (plan, _) in placed.items()}
        self._needs = {index: needs for index, (_, needs) in placed.items()}
        for index, needs in self._needs.items():
            check_needs(needs, nodes, tasks.name(index))
        if cluster.gpus_per_job is not None and not any(n.gpus for n in self._needs.values()):
            raise ConfigError(
                "no job uses a GPU: session.device is cpu, or the cluster has none",
                where="--gpus-per-job",
                remedy="leave it out, or use --set session.device=gpu",
            )
        self._flights: dict[Any, _Flight] = {}
        self._mailbox = Queue(actor_options={"num_cpus": 0})
        self._carry_out = ray.remote(max_retries=0)(carry_out)

    def run(self) -> None:
        """Until all tasks are over."""
        last: int | None = None
        while True:
            while len(self._flights) < places(self._needs.values(), _nodes()):
                if (task := self._tasks.take(last)) is None:
                    break
                index, _ = task
                self._submit(_Flight(index, self._plans[index]))
            if not self._flights:
                return
            for flight in self._serve():
                last = flight.index

    def interrupt(self) -> None:
        """Let the workers write their checkpoint and last picture."""
        for reference in self._flights:
            ray.cancel(reference)
        deadline = time.monotonic() + GRACE_SECONDS
        with suppress(KeyboardInterrupt):  # asked for again: wait no longer
            while self._flights and time.monotonic() < deadline:
                self._serve()

    def close(self) -> None:
        for reference, flight in self._flights.items():
            with suppress(RayError):
                ray.cancel(reference, force=True)
            self._tasks.end(Outcome(flight.index, "interrupted"))
        self._flights.clear()
        with suppress(RayError):
            self._mailbox.shutdown(force=True)

    def _settle(self, plan: Plan, nodes: Sequence[Node]) -> tuple[Plan, Needs]:
        cluster = self._cluster
        begun = as_begun(plan)
        return settle(begun, nodes, cpus=cluster.cpus_per_job, gpus=cluster.gpus_per_job)

    def _submit(self, flight: _Flight) -> None:
        needs = self._needs[flight.index]
        errand = Errand(
            flight.index, flight.plan, needs.cpus, needs.gpus > 0, Path.cwd(), __version__
        )
        task = self._carry_out.options(
            num_cpus=needs.cpus, num_gpus=needs.gpus, memory=needs.memory
        )
        self._flights[task.remote(errand, self._mailbox)] = flight

    def _serve(self) -> list[_Flight]:
        """Take in what came from the workers: the flights that are over, or begun again."""
        landed, _ = ray.wait(list(self._flights), timeout=POLL_SECONDS)
        self._read_mail()  # before the outcomes: what a job reported comes first
        flights = [self._flights.pop(reference) for reference in landed]
        for reference, flight in zip(landed, flights, strict=True):
            self._land(reference, flight)
        return flights

    def _read_mail(self) -> None:
        aloft = {flight.index for flight in self._flights.values()}
        with suppress(RayError):
            for progress in self._mailbox.get_nowait_batch(self._mailbox.qsize()):
                if isinstance(progress, Progress) and progress.index in aloft:
                    self._tasks.report(progress)

    def _land(self, reference: Any, flight: _Flight) -> None:
        try:
            outcome: Outcome = ray.get(reference)
        except TaskCancelledError:
            outcome = Outcome(flight.index, "interrupted")
        except _LOST as error:
            cause = f"its worker was lost ({_first_sentence(error)})"
            if flight.attempt <= self._cluster.retries and not self._tasks.interrupted:
                attempt = flight.attempt + 1
                self._tasks.report(Retried(flight.index, attempt, cause))
                self._submit(_Flight(flight.index, flight.plan, attempt))
                return
            outcome = Outcome(
                flight.index, "failed", error=f"{cause}, {flight.attempt} times in all"
            )
        except RayError as error:  # such as a worker on which nst_graph cannot be imported
            outcome = Outcome(
                flight.index, "failed", error=f"its worker could not do it: {_last_line(error)}"
            )
        self._tasks.end(outcome)


def _nodes() -> list[Node]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _first_sentence(error: RayError) -> str:
    text = " ".join(str(error).split())
    return text.split(". ")[0].removesuffix(".")[:200]


def _last_line(error: RayError) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip()[:300]


@contextmanager
def _connection(address: str | None) -> Iterator[None]:
    """Be connected to a cluster; without an address, to one of this machine that ends with it."""
    options: dict[str, Any] = {"address": address}
    if address is None:
        options = {
            "address": "local",
            "num_cpus": cores(),
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE_BYTES,
        }
    elif address != "auto":
        _check_address(address)
    with _kept_signal(signal.SIGTERM):
        try:
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
        except (RayError, ConnectionError, RuntimeError, ValueError) as error:
            if address is None:
                raise _not_started(_last_line(error)) from None
            raise _unreachable(address, _last_line(error)) from None
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Knock at the door: Ray itself would try for minutes.

    Raises:
        ConfigError: no HOST:PORT, or nothing listens there.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in address:
        raise ConfigError(
            f"{address!r} is no address of a cluster",
            where="--address",
            remedy="give HOST:PORT as `ray start --head` prints it, such as 10.0.0.5:6379, or auto",
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from None


def _unreachable(address: str, cause: str) -> ConfigError:
    return ConfigError(
        f"no Ray cluster at {address}: {cause}",
        where="--address",
        remedy="start one with `ray start --head`, and run this on one of its machines; if it asks "
        "for a token, with RAY_AUTH_MODE=token",
    )


def _not_started(cause: str) -> DeviceError:
    return DeviceError(
        f"Ray cannot be started on this machine: {cause}",
        where="--runner ray",
        remedy="look into /tmp/ray/session_latest/logs, or use --runner local",
    )


@contextmanager
def _kept_signal(number: signal.Signals) -> Iterator[None]:
    """Ray, called in the main thread, puts a handler of its own in the place of ours."""
    ours = signal.getsignal(number)
    try:
        yield
    finally:
        if signal.getsignal(number) is not ours:
            signal.signal(number, ours)
