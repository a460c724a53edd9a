"""TensorFlow's failures, and memory that runs out, as errors that say what to do."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from nst_graph.config import Job
from nst_graph.errors import CapacityError, DeviceError, NstGraphError

_LOG = logging.getLogger(__name__)


@contextmanager
def told_failures(job: Job) -> Iterator[None]:
    """Tell a job's failures within as errors of this package; TensorFlow's own text is their cause.

    Raises:
        CapacityError: memory ran out, the machine's or the device's.
        DeviceError: another failure of TensorFlow.
    """
    try:
        yield
    except (tf.errors.OpError, MemoryError) as error:
        _LOG.debug("TensorFlow failed", exc_info=True)
        raise _told(error, job) from error


def _told(error: tf.errors.OpError | MemoryError, job: Job) -> NstGraphError:
    text = _first_line(str(error))
    # CUDA's libraries report it as an internal error.
    if (
        isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError))
        or "out of memory" in text.lower()
    ):
        return CapacityError(f"memory ran out ({text or 'of Python'})", remedy=_less_memory(job))
    remedy = "look at its log (TF_CPP_MIN_LOG_LEVEL=0)"
    if job.session.device != "cpu" and tf.config.list_physical_devices("GPU"):
        remedy += ", or use --set session.device=cpu"
    return DeviceError(f"TensorFlow failed: {text}", remedy=remedy)


def _first_line(text: str) -> str:
    """The first line of a message of TensorFlow that says what is wrong.

    Above it a session tells where the node was made, up to a line "Node: NAME".
    """
    _, _, below = text.rpartition("\nNode: ")
    lines = below.splitlines()[1:] or text.splitlines()
    said = (re.sub(r"^(\(\d+\)|\{\{.*?\}\}|\s)+", "", line) for line in lines)
    return next((line for line in said if line and "root error" not in line), "")


def _less_memory(job: Job) -> str:
    """The settings that take less memory than the job's own and go together with the others."""
    session, options = job.session, []
    by_hand = not job.regions and session.mixed_precision == "none"
    if job.engine == "graph" and session.memory in ("auto", "full"):
        if by_hand and session.tile_size is None:
            options.append("session.memory=low")
        if session.precision == "exact":
            options.append("session.memory=tiled")
        if by_hand and session.precision == "exact":
            options.append("session.precision=fast")
    choices = ", or ".join(f"--set {option}" for option in (*options, "size=N, smaller than now"))
    return f"close other programs, or run it anew with --overwrite and {choices}"
