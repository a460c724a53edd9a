"""What the file system takes as a name, asked before it is asked itself."""

from __future__ import annotations

import os

#: Bytes of one part of a path: the limit of the usual file systems.
MAX_PART = 255

#: Bytes of a whole path that Linux takes.
MAX_PATH = 4000


def fault_of_path(name: str) -> str:
    """Why a string cannot be a path; empty where it can."""
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:
        return "has characters that file names cannot have"
    if "\0" in name:
        return "has a zero byte in it"
    if len(encoded) > MAX_PATH or any(len(part) > MAX_PART for part in encoded.split(b"/")):
        return "is too long for a file name"
    return ""
