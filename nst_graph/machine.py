"""Which processor this is."""

from __future__ import annotations

import functools
import platform
import subprocess
from contextlib import suppress
from pathlib import Path


@functools.cache
def cpu_model() -> str:
    """Name of the processor's model, such as "AMD EPYC 7763"; its architecture where none is told.

    What a program computes in floating point can differ in the last bits from one to another.
    """
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        with suppress(OSError, subprocess.SubprocessError):
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
            return told.stdout.strip()
    return platform.processor() or platform.machine()
