"""Whole files or none: every file of a result is written through here."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nst_graph.errors import NstGraphError, OutputError


def replace_file(path: Path, data: bytes) -> None:
    """Put ``data`` into ``path`` at once: a reader or a crash never meets half a file.

    Raises:
        OutputError: the file cannot be written; what it held before is untouched, nothing is left
            behind.
    """
    # Its length does not depend on the name, which may already be as long as the system allows.
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        # os.open, not tempfile: the result gets the permissions that the user's umask gives.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_directory(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as fault:
        raise _unwritable(path, fault) from None


def append_line(path: Path, line: str) -> None:
    """Add a line of text to a file, made if it is not there.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    except OSError as fault:
        raise _unwritable(path, fault) from None


def _unwritable(path: Path, fault: Exception) -> OutputError:
    reason = getattr(fault, "strerror", None) or fault
    remedy = "check that the folder exists, may be written and has room"
    return OutputError(f"cannot be written ({reason})", where=str(path), remedy=remedy)


def _sync_directory(directory: Path) -> None:
    """Put a renaming onto the disk, where the system can: a file's own sync does not do that."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:  # Windows opens no directories
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems refuse; the file is in place nevertheless
    finally:
        os.close(descriptor)


def sibling(path: Path, suffix: str) -> Path:
    """The path beside a directory, of its name and a suffix; ``.`` and ``/`` have one, too."""
    place = path.absolute()
    beside, here = place.parent / f"{place.name}{suffix}", Path.cwd()
    return beside.relative_to(here) if beside.is_relative_to(here) else beside


def lies_in(path: Path, directory: Path) -> bool:
    """Whether a path is a directory or below it, by whatever links it is reached."""
    # realpath, not resolve: that raises where links go round in a circle.
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(directory))


@contextmanager
def looking_at(path: Path, kind: type[NstGraphError] = OutputError) -> Iterator[None]:
    """Around questions to the file system about a path that a person has named.

    Raises:
        NstGraphError: of that kind; the system refuses to answer: the name is too long, or a
            directory above it is closed to us.
    """
    try:
        yield
    except OSError as error:
        raise kind(
            f"cannot be looked at ({error.strerror or error})",
            where=str(error.filename or path),
            remedy="check the name, and the permissions of the directories above it",
        ) from None


def make_directory(path: Path, remedy: str) -> None:
    """Make a directory, and those above it, where they are not there.

    Raises:
        OutputError: it cannot be made; ``remedy`` says what to do.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot be made ({error.strerror})", where=str(path), remedy=remedy
        ) from None


def write_json(path: Path, data: Any) -> None:
    """Write indented JSON, whole or not at all."""
    replace_file(path, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode())
