"""Errors meant for the person who runs the program.

Each says what is wrong (with the offending value), where, and what to do about it.
The command line prints them without a traceback and exits with ``exit_code``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NstGraphError(Exception):
    """Base of every error a user can cause or cure.

    Args:
        what: the fault, with the offending value.
        where: file, line, key or option it concerns; empty where the fault has no place.
        remedy: what to do next.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.remedy))


def _rebuild(kind: type[NstGraphError], what: str, where: str, remedy: str) -> NstGraphError:
    return kind(what, where=where, remedy=remedy)


class ConfigError(NstGraphError):
    """A job file, an option or a value in them is wrong."""


class WeightsError(NstGraphError):
    """A weights file is missing, damaged, of another network, or of an unknown kind."""


class PictureError(NstGraphError):
    """A picture cannot be read, is too large or too small, or cannot be written in that format."""


class DownloadError(NstGraphError):
    """A file could not be fetched, or what came is not what was asked for."""


class OutputError(NstGraphError):
    """The output directory cannot be written, or holds a result that would be lost."""


class DeviceError(NstGraphError):
    """The device asked for is not there."""


class CapacityError(NstGraphError):
    """A job needs more memory than there is."""


class DivergedError(NstGraphError):
    """A loss or a gradient became NaN or infinite during the optimisation."""

    exit_code = 1


def choices_text(value: object, choices: Iterable[str]) -> str:
    """Name the nearest of ``choices`` to ``value``, then list them all."""
    names = sorted(choices)
    near = difflib.get_close_matches(str(value), names, n=1, cutoff=0.6)
    listed = "choose from: " + ", ".join(names)
    return f"did you mean {near[0]!r}? {listed}" if near else listed
