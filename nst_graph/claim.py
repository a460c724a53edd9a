"""One process at a time in a run's directory."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from nst_graph.errors import OutputError


class Claim:
    """An advisory lock on a file of a directory; it ends with ``release`` or with the process.

    Where the system or the file system has no such locks (Windows, some network ones), every claim
    is granted.

    Args:
        path: the file; made if it is not there.

    Raises:
        OutputError: another run holds it.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = None
        try:
            import fcntl
        except ImportError:
            return
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
        except OSError:
            return  # whoever writes there will say what is wrong
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise OutputError(
                "is being written by a run that is still at work",
                where=str(path.parent),
                remedy="wait until it has ended; a new run can have another directory, "
                "with --set output=DIR",
            ) from None
        except OSError:
            os.close(descriptor)
        else:
            self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        with suppress(OSError):
            self.release()


def check_unclaimed(path: Path) -> None:
    """Make sure that no run holds a claim on a file; one that is not there has none.

    Raises:
        OutputError: one does.
    """
    if path.is_file():
        Claim(path).release()
