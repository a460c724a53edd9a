"""Which processor this is, how much memory it has left, and how much this program has used."""

from __future__ import annotations

import functools
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

#: Files of a control group: its limit, what it holds, and the line of memory.stat that tells how
#: much of this are files that give way; version 2, then version 1.
_CONTROL_GROUPS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


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


def peak_memory_mb() -> float:
    """Largest resident size of this program so far, MB of 2**20 bytes.

    ``ru_maxrss``, which is all that systems other than Linux tell, counts in what the process that
    started this one held at that moment.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1 << 20) if sys.platform == "darwin" else size / 1024


#: In it a batch tells its workers, which run beside each other, how much memory each can have, MB.
MEMORY_SHARE_VARIABLE = "NST_GRAPH_MEMORY_SHARE_MB"


def available_memory_mb(system: Path = Path("/")) -> int | None:
    """Memory that a new process can have without swapping, MB of 2**20 bytes.

    It is the least of what the machine has left (where Linux does not tell, of what it has), of
    what the control groups of this process, such as a container or a cluster's job, have left, and
    of its share where it is one of several workers.

    Args:
        system: where /proc and /sys are.

    Returns:
        None where the system does not tell.
    """
    known = (_machine_left(system), *_groups_left(system))
    left = [value >> 20 for value in known if value is not None]
    share = os.environ.get(MEMORY_SHARE_VARIABLE, "")
    if share.isdecimal():
        left.append(int(share))
    return min(left, default=None)


def memory_share_mb(workers: int) -> int | None:
    """What each of so many processes can have; None where the system does not tell."""
    available = available_memory_mb()
    return None if available is None else available // workers


def _machine_left(system: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in (system / "proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _groups_left(system: Path) -> Iterator[int]:
    """What each control group with a limit has left, from this process's own up to the root."""
    root = system / "sys/fs/cgroup"
    with suppress(OSError):
        for line in (system / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers not in ("", "memory"):
                continue
            top = root / controllers
            group = top / path.lstrip("/")
            # Within a container the path can be that of the world outside: the root is its own.
            for folder in (group, *group.parents):
                if folder.is_relative_to(top):
                    yield from _group_left(folder)


def _group_left(folder: Path) -> Iterator[int]:
    for limit, usage, reclaimable in _CONTROL_GROUPS:
        # No file where there is no such group, and the word "max" where it has no limit.
        with suppress(OSError, ValueError):
            most = int((folder / limit).read_text(encoding="utf-8"))
            held = int((folder / usage).read_text(encoding="utf-8"))
            files = 0
            for line in (folder / "memory.stat").read_text(encoding="utf-8").splitlines():
                if line.startswith(reclaimable + " "):
                    files = int(line.split()[1])
            yield max(0, most - held + files)
