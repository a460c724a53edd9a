"""The peak memory of each engine, measured in a process of its own.

In one process the second engine would run in what the first one had allocated, and a peak never
falls. The child gets the very arrays of the comparison, so that reading weights and computing
targets is not in its peak.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass

from nst_graph.config import AdamSettings, SessionSettings, SgdSettings
from nst_graph.engines import Ingredients

_LOG = logging.getLogger(__name__)

#: Buffers of a step are all there after the second; the third is for good measure.
STEPS = 3


@dataclass(frozen=True)
class PeakMemory:
    """Largest resident size of a process that runs one engine, MB of 2^20 bytes.

    Attributes:
        start: before the engine is opened: Python, TensorFlow, kernels and targets.
        peak: after three steps.
    """

    start: float
    peak: float


def measure_peak(
    engine: str,
    ingredients: Ingredients,
    session: SessionSettings,
    optimizer: AdamSettings | SgdSettings,
) -> PeakMemory | None:
    """Run an engine for three steps in a process of its own; None if that process failed."""
    request = pickle.dumps((ingredients, engine, session, optimizer, STEPS))
    done = subprocess.run(
        [sys.executable, "-m", "nst_graph.compare.child"],
        input=request,
        capture_output=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if done.returncode:
        last_words = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        _LOG.warning("the peak memory of %s was not measured: %s", engine, last_words)
        return None
    measured = json.loads(done.stdout)
    return PeakMemory(measured["start_mb"], measured["peak_mb"])
