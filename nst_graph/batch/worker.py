"""The process that carries out jobs of a batch: plans come in through a pipe, reports go out."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from nst_graph.machine import MEMORY_SHARE_VARIABLE

#: What a worker says first: it can be given a job, and be interrupted.
READY = "ready"


def work(connection: Connection, threads: int, memory_mb: int | None, log: Path) -> None:
    """Carry out plans until None comes, the pipe is closed, or SIGINT or SIGTERM.

    Args:
        connection: receives (index, plan) or None; sends ``READY``, then Progress and Outcomes.
        threads: for jobs that do not set ``session.threads``.
        memory_mb: for one job, so that those of all workers fit; None: unknown.
        log: takes what libraries write to standard output and error.
    """
    _redirect(log)
    set_threads(threads)
    if memory_mb is not None:
        os.environ[MEMORY_SHARE_VARIABLE] = str(memory_mb)
    from threadpoolctl import threadpool_limits

    from nst_graph.interruption import SIGNALS, stop_request

    try:
        # Ctrl-C reaches a worker from the terminal and from the batch: the second time must not
        # stop the writing that the first one began.
        with stop_request(repeated="ignore"), threadpool_limits(limits=threads):
            if hasattr(signal, "pthread_sigmask"):  # the batch starts its workers with them blocked
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            _serve(connection)
    except (KeyboardInterrupt, EOFError, BrokenPipeError, ConnectionResetError):
        return


def set_threads(threads: int) -> None:
    """Give TensorFlow, which must not have been imported, so many threads in this process.

    It takes them where a session does not set its own. They are no part of the job: its digest must
    not depend on the number of workers.
    """
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)


def _serve(connection: Connection) -> None:
    from nst_graph.batch.work import Shelf, perform

    shelf = Shelf()
    connection.send(READY)
    while (task := connection.recv()) is not None:
        index, plan = task
        outcome = perform(index, plan, shelf, connection.send)
        connection.send(outcome)
        if outcome.status == "interrupted":
            return


def _redirect(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
