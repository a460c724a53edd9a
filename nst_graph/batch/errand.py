"""What a worker of a cluster is sent to do, and how it does it."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.exceptions import RayError

from nst_graph import __version__
from nst_graph.batch.outcome import Outcome, Progress
from nst_graph.batch.worker import set_threads
from nst_graph.errors import ConfigError, NstGraphError
from nst_graph.plan import Plan

if TYPE_CHECKING:
    from nst_graph.batch.work import Shelf

#: Seconds between two reports of a job: each is a message through the cluster.
REPORT_SECONDS = 0.3


@dataclass(frozen=True)
class Errand:
    """A job as it is sent to a worker: plain data and paths.

    Attributes:
        index: of the job in the batch.
        plan: of it, its memory mode settled: so much was set aside for it.
        threads: for a job that does not set ``session.threads``.
        gpu: a GPU was set aside for it.
        folder: in which the paths of the plan are to be read, absolute.
        version: of nst_graph, of whoever sends it.
    """

    index: int
    plan: Plan
    threads: int
    gpu: bool
    folder: Path
    version: str


def carry_out(errand: Errand, mailbox: Any) -> Outcome:
    """Run a job in this process, which is a worker's own.

    Its environment and working directory are changed for good. What the jobs before have read and
    computed is used again.

    Args:
        errand: what is to be done.
        mailbox: its ``put_nowait`` takes Progress; it may fail, and nothing is lost by it.
    """
    from threadpoolctl import threadpool_limits

    from nst_graph.batch.work import perform

    try:
        _settle(errand)
        with threadpool_limits(limits=errand.threads):
            outcome = perform(errand.index, errand.plan, _shelf(), _Reporter(mailbox))
    except NstGraphError as error:
        outcome = Outcome(errand.index, "failed", error=" ".join(str(error).split()))
    if outcome.error:
        outcome = replace(outcome, error=f"{outcome.error} (on {socket.gethostname()})")
    return outcome


@lru_cache(maxsize=1)
def _shelf() -> Shelf:
    """The one of this process: Ray sends it further jobs of the same kind."""
    from nst_graph.batch.work import Shelf

    return Shelf()


def _settle(errand: Errand) -> None:
    """Make this process see what the sender sees, and no more of the machine than was set aside.

    Raises:
        ConfigError: it cannot.
    """
    if errand.version != __version__:
        raise ConfigError(
            f"nst_graph is {__version__} here and {errand.version} where the batch was started",
            remedy="install the same version on every machine",
        )
    try:
        os.chdir(errand.folder)
    except OSError as error:
        raise ConfigError(
            f"{errand.folder} cannot be entered ({error.strerror})",
            remedy="a cluster needs a file system that all its machines share, at the same place",
        ) from None
    set_threads(errand.threads)
    if not errand.gpu:  # with `device: auto` TensorFlow would take one that is not ours
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


class _Reporter:
    """Sends Progress, not too often."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + REPORT_SECONDS
        with suppress(RayError):  # whoever listens may have gone; the job goes on
            self._mailbox.put_nowait(progress)
