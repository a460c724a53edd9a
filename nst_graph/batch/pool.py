"""Jobs in several processes of this machine.

Processes are spawned: TensorFlow does not survive a fork. A worker that dies, whatever of, is one
failed job; another takes its place.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst_graph.batch.outcome import Outcome, OutcomeStatus, Progress
from nst_graph.batch.tasks import Tasks
from nst_graph.batch.worker import READY, work
from nst_graph.interruption import SIGNALS
from nst_graph.machine import memory_share_mb

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

#: Seconds that interrupted workers have to write what they have.
GRACE_SECONDS = 60.0


@dataclass
class _Worker:
    """A process and what it is doing."""

    process: BaseProcess
    connection: Connection
    log: Path
    index: int | None = None
    last: int | None = None


def run_in_workers(count: int) -> Callable[[Tasks], None]:
    """A function that runs tasks in so many processes.

    On KeyboardInterrupt it passes the signal on to the workers and waits for what they write.
    """

    def run(tasks: Tasks) -> None:
        with tempfile.TemporaryDirectory(prefix="nst_graph_") as folder:
            pool = _Pool(tasks, count, Path(folder))
            try:
                pool.run()
            except KeyboardInterrupt:
                tasks.stop()
                pool.interrupt()
            finally:
                pool.close()

    return run


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Pool:
    """Workers by their connection; each has one job at a time.

    Cores and memory are divided by the number asked for, even where there are fewer tasks: what is
    left of a batch is then computed as the whole would have been.
    """

    def __init__(self, tasks: Tasks, count: int, folder: Path) -> None:
        self._tasks = tasks
        self._threads = max(1, cores() // count)
        self._memory_mb = memory_share_mb(count)
        self._folder = folder
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[Any, _Worker] = {}
        self._started = 0
        for _ in range(min(count, len(tasks))):
            self._start()

    def run(self) -> None:
        """Until all tasks are over."""
        while self._workers:
            self._serve(None)

    def interrupt(self) -> None:
        """Let the workers write their last picture and end."""
        for worker in self._workers.values():
            if worker.index is not None and worker.process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, signal.SIGINT)
            else:
                worker.process.terminate()
        with suppress(KeyboardInterrupt):  # asked for again: wait no longer
            while self._workers and self._serve(GRACE_SECONDS):
                pass

    def close(self) -> None:
        for worker in self._workers.values():
            if worker.index is not None:
                self._tasks.end(Outcome(worker.index, "interrupted"))
            worker.process.kill()
            worker.process.join()
            worker.connection.close()
        self._workers.clear()

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        self._started += 1
        log = self._folder / f"worker_{self._started}.log"
        shared = (theirs, self._threads, self._memory_mb, log)
        process = self._context.Process(target=work, args=shared, daemon=True)
        with _blocked_signals():
            process.start()
        theirs.close()
        self._workers[ours] = _Worker(process, ours, log)

    def _serve(self, timeout: float | None) -> bool:
        """Take in what came from the workers; False where nothing came in time."""
        ready = wait(list(self._workers), timeout)
        for connection in ready:
            worker = self._workers[connection]
            try:
                self._take_in(worker, worker.connection.recv())
            except (EOFError, OSError):
                self._bury(worker)
        return bool(ready)

    def _take_in(self, worker: _Worker, message: object) -> None:
        if isinstance(message, Progress):
            self._tasks.report(message)
            return
        if isinstance(message, Outcome):
            worker.last, worker.index = worker.index, None
            self._tasks.end(message)
        elif message != READY:
            raise AssertionError(message)
        task = self._tasks.take(worker.last)
        worker.index = None if task is None else task[0]
        worker.connection.send(task)

    def _bury(self, worker: _Worker) -> None:
        """A worker has ended: by itself when all is done, else its job has failed."""
        del self._workers[worker.connection]
        worker.process.join()
        worker.connection.close()
        code = worker.process.exitcode or 0
        if worker.index is None and worker.last is None and code:
            # It died before it asked for a job: charge one with it, lest it go on for ever.
            task = self._tasks.take()
            worker.index = None if task is None else task[0]
        if worker.index is not None:
            interrupted = self._tasks.interrupted
            error = "" if interrupted else _cause_of_death(code, worker.log)
            status: OutcomeStatus = "interrupted" if interrupted else "failed"
            self._tasks.end(Outcome(worker.index, status, error=error))
        if len(self._tasks) > len(self._workers):
            self._start()


def _cause_of_death(code: int, log: Path) -> str:
    cause = f"its process ended with exit code {code}"
    if code < 0:
        with suppress(ValueError):
            cause = f"its process was killed by {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:  # it comes from outside: the log says nothing of it
            return f"{cause} (by someone, or for want of memory)"
    with suppress(OSError):
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        cause = ": ".join([cause, *(line[:200] for line in last)])
    return cause


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Until a new process can deal with signals they wait; a process inherits what is blocked."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
