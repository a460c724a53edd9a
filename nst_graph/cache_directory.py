"""Files kept from one start to the next: what takes long to make and can be made again.

A cache that cannot be read or written costs time, never a run. Entries are written beside their
place and renamed into it, so that a reader or a second process never sees half of one; those that
were used longest ago go when there is no more room.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

_LOG = logging.getLogger(__name__)

#: Environment variable that names another cache directory.
CACHE_VARIABLE = "NST_GRAPH_CACHE"
_TEMPORARY = ".writing-"
_ABANDONED_SECONDS = 3600.0

T = TypeVar("T")


def default_cache_directory() -> Path:
    """``$NST_GRAPH_CACHE``, or the user's cache directory for nst_graph (platformdirs)."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("nst_graph", appauthor=False)


class CacheDirectory:
    """A directory of entries.

    Args:
        name: of what is in it, such as "weights"; the directory's own name.
        largest_bytes: that its entries may take together.
        parent: created when first written; None is ``default_cache_directory()``.

    Attributes:
        path: the directory.
    """

    def __init__(self, name: str, largest_bytes: int, parent: Path | None = None) -> None:
        self.path = (parent or default_cache_directory()) / name
        self._name = name
        self._largest_bytes = largest_bytes

    def read(self, entry: str, read: Callable[[BinaryIO], T]) -> T | None:
        """What ``read`` makes of an entry; None where there is none, or none that is whole.

        Args:
            entry: file name.
            read: raises ValueError for an entry that is damaged; it is discarded then.
        """
        place = self.path / entry
        try:
            with place.open("rb") as file:
                value = read(file)
        except FileNotFoundError:
            return None
        except OSError as error:
            _LOG.warning("the %s cache cannot be read (%s)", self._name, error)
            return None
        except ValueError as error:
            _LOG.warning("discarding a damaged cache entry, %s (%s)", place, error)
            with suppress(OSError):
                place.unlink()
            return None
        with suppress(OSError):  # its time stamp is the time of its last use
            os.utime(place)
        return value

    def write(self, entry: str, write: Callable[[BinaryIO], object]) -> None:
        """Keep what ``write`` puts into a file; a directory that cannot be written is a warning."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._sweep()
            with _atomic_file(self.path / entry) as file:
                write(file)
            self._make_room(entry)
        except OSError as error:
            _LOG.warning("the %s cache %s cannot be written: %s", self._name, self.path, error)

    def _sweep(self) -> None:
        """Remove what writers that were killed left behind."""
        for left in self.path.glob(f"{_TEMPORARY}*"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                    left.unlink()

    def _make_room(self, written: str) -> None:
        """Remove the entries used longest ago, but never the one that was just written."""
        entries = []
        for place in self.path.iterdir():
            with suppress(OSError):
                state = place.stat()
                entries.append((state.st_mtime_ns, state.st_size, place))
        total = sum(size for _, size, _ in entries)
        for _, size, place in sorted(entries):
            if total <= self._largest_bytes:
                return
            if place.name != written and not place.name.startswith(_TEMPORARY):
                with suppress(OSError):
                    place.unlink()
                    total -= size


def read_arrays(file: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an .npz, each checked against its CRC-32.

    Raises:
        ValueError: it is damaged.
    """
    try:
        with np.load(file, allow_pickle=False) as entries:
            return {name: entries[name] for name in entries.files}
    except MemoryError:
        raise
    except Exception as error:  # a damaged archive makes zipfile and zlib raise nearly anything
        raise ValueError(f"{type(error).__name__}: {error}") from error


@contextmanager
def _atomic_file(place: Path) -> Iterator[BinaryIO]:
    """A file that takes the name ``place`` when the block ends well, and vanishes otherwise."""
    handle, name = tempfile.mkstemp(prefix=_TEMPORARY, dir=place.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
