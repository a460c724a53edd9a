"""What a file is, from its first bytes and its own statement of its length; never from its name.

Reads a few hundred bytes, whatever the file's size, so that a wrong or incomplete weights file is
found before any heavy work.
"""

from __future__ import annotations

import enum
import struct
from pathlib import Path
from typing import BinaryIO

from nst_graph.errors import WeightsError
from nst_graph.files import looking_at
from nst_graph.weights.known_files import KNOWN_FILES

_HEAD_BYTES = 4096
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAT_HEADER_BYTES = 128  # MAT-File Format, "Level 5 MAT-File Header"
_MAT_TAG_BYTES = 8
_MAT_VARIABLE_TAGS = (14, 15)  # miMATRIX, miCOMPRESSED
_MAT_MOST_VARIABLES = 1000


class FileKind(enum.Enum):
    """Kinds of file that turn up under the name of a weights file; the value is for people."""

    MAT5 = "a MATLAB .mat file (version 5)"
    HDF5 = "an HDF5 file"
    MAT73 = "a MATLAB .mat file of version 7.3 (HDF5)"
    MAT4 = "a MATLAB .mat file of version 4"
    EMPTY = "an empty file"
    ZEROS = "a file of zero bytes, as an interrupted download leaves it"
    HTML = "a web page (HTML)"
    LFS = "a git-lfs pointer, which stands for a file that was not fetched"
    GZIP = "a gzip archive"
    ZIP = "a zip archive"
    TAR = "a tar archive"
    OTHER = "of no kind known here"


_GET = "`nst-graph download` fetches the published file"
_UNPACK = f"unpack it first; {_GET}"
_REMEDIES: dict[FileKind, str] = {
    FileKind.MAT73: "in MATLAB, save it again with save(name, '-v7', ...); " + _GET,
    FileKind.LFS: "`git lfs pull` fetches it; so does `nst-graph download`",
    FileKind.HTML: "the server answered with a page in place of the file; " + _GET,
    FileKind.GZIP: _UNPACK,
    FileKind.ZIP: "an archive must be unpacked, a .keras model saved again with "
    f"model.save_weights('vgg19.weights.h5'); {_GET}",
    FileKind.TAR: _UNPACK,
}


def remedy_for(kind: FileKind) -> str:
    """What to do about a file of ``kind`` where weights were expected."""
    return _REMEDIES.get(kind, _GET)


def kind_of_file(path: Path) -> FileKind:
    """Recognise a file by its first 4096 bytes.

    Raises:
        WeightsError: it is missing, a folder, not a regular file, or cannot be opened.
    """
    with looking_at(path, WeightsError):
        if not path.exists():
            raise WeightsError("there is no such file", where=str(path), remedy=_neighbours(path))
        if path.is_dir():
            raise WeightsError(
                "this is a folder, not a weights file",
                where=str(path),
                remedy=_neighbours(path / "_"),
            )
        if not path.is_file():
            raise WeightsError("this is not a regular file", where=str(path), remedy=_GET)
    try:
        with path.open("rb") as file:
            return kind_of_bytes(file.read(_HEAD_BYTES))
    except OSError as error:
        raise WeightsError(
            f"the file cannot be read: {error.strerror}",
            where=str(path),
            remedy="check its permissions",
        ) from error


def kind_of_bytes(head: bytes) -> FileKind:
    """Recognise a file by ``head``, its first bytes (4096 are enough)."""
    if not head:
        return FileKind.EMPTY
    for kind, prefix in _PREFIXES:
        if head.startswith(prefix):
            return kind
    if any(head.startswith(_HDF5_SIGNATURE, offset) for offset in (512, 1024, 2048)):
        return FileKind.HDF5
    if head[257:262] == b"ustar":
        return FileKind.TAR
    text = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<body")):
        return FileKind.HTML
    if not any(head):
        return FileKind.ZEROS
    if _is_mat5_header(head):
        return FileKind.MAT5
    return FileKind.MAT4 if _is_mat4_header(head) else FileKind.OTHER


_PREFIXES: tuple[tuple[FileKind, bytes], ...] = (
    (FileKind.MAT5, b"MATLAB 5.0 MAT-file"),
    (FileKind.MAT73, b"MATLAB 7.3 MAT-file"),
    (FileKind.HDF5, _HDF5_SIGNATURE),
    (FileKind.LFS, b"version https://git-lfs.github.com/"),
    (FileKind.GZIP, b"\x1f\x8b"),
    (FileKind.ZIP, b"PK\x03\x04"),
)


def _is_mat5_header(head: bytes) -> bool:
    """Version and byte-order mark; the header's text is free."""
    return head[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


def _is_mat4_header(head: bytes) -> bool:
    if len(head) < 20:
        return False
    for order in "<>":
        kind, rows, columns, imaginary, name_length = struct.unpack(f"{order}5i", head[:20])
        digits_fit = 0 <= kind < 5000 and kind // 100 % 10 == 0 and kind % 10 <= 2
        if digits_fit and rows >= 0 and columns >= 0 and imaginary in (0, 1):
            return bool(0 < name_length <= 64)
    return False


def _neighbours(path: Path) -> str:
    """Remedy for a path with nothing to read: the weights files beside it, and how to get one."""
    folder = path.parent
    names = sorted(p.name for p in folder.glob("*") if p.suffix in (".mat", ".h5"))[:5]
    return f"{folder} holds {', '.join(names)}; {_GET}" if names else _GET


def announced_size(path: Path, kind: FileKind) -> int | None:
    """Least number of bytes that a file of ``kind`` says it has, None where it does not say.

    A .mat states the length of each variable, an HDF5 file its end; a file that is shorter was cut.
    """
    with path.open("rb") as file:
        if kind is FileKind.MAT5:
            return _announced_by_mat5(file, path.stat().st_size)
        if kind is FileKind.HDF5:
            return _announced_by_hdf5(file)
    return None


def _announced_by_mat5(file: BinaryIO, size: int) -> int:
    """End of the last variable that starts inside the file; at least one is expected."""
    header = file.read(_MAT_HEADER_BYTES)
    order = ">" if header[126:128] == b"MI" else "<"
    position = _MAT_HEADER_BYTES
    for count in range(_MAT_MOST_VARIABLES):
        file.seek(position)
        tag = file.read(_MAT_TAG_BYTES)
        if len(tag) < _MAT_TAG_BYTES:
            return position + _MAT_TAG_BYTES if tag or count == 0 else position
        kind, length = struct.unpack(f"{order}2I", tag)
        if kind not in _MAT_VARIABLE_TAGS:
            break  # not a variable: for the parser to judge
        position += _MAT_TAG_BYTES + length
        if position > size:
            break
    return position


def _announced_by_hdf5(file: BinaryIO) -> int | None:
    """End-of-file address in the superblock (HDF5 File Format Specification, II.A)."""
    head = file.read(_HEAD_BYTES)
    start = head.find(_HDF5_SIGNATURE)
    version = head[start + 8 : start + 9]
    base_and_end = {b"\x00": (24, 40), b"\x01": (28, 44), b"\x02": (12, 28), b"\x03": (12, 28)}
    if version not in base_and_end:
        return None
    width = head[start + (13 if version < b"\x02" else 9)]
    base_at, end_at = base_and_end[version]
    if width != 8 or len(head) < start + end_at + 8:
        return None
    base, end = (
        int.from_bytes(head[start + at : start + at + 8], "little") for at in (base_at, end_at)
    )
    # The end is relative to the base in some writers and absolute in others: take the lesser.
    return end if end >= base else base + end


def check_readable(path: Path, expected: FileKind) -> None:
    """Check that ``path`` is a complete file of kind ``expected``; reads a few hundred bytes.

    Raises:
        WeightsError: it is missing, of another kind (says which), or cut short.
    """
    kind = kind_of_file(path)
    if kind is not expected:
        raise WeightsError(
            f"this is {kind.value}, not {expected.value}",
            where=str(path),
            remedy=remedy_for(kind),
        )
    size, announced = path.stat().st_size, announced_size(path, kind)
    if announced is not None and size < announced:
        raise WeightsError(
            f"the file is cut short: it has {size:,} bytes and announces at least {announced:,}",
            where=str(path),
            remedy=f"an interrupted download looks like this; {_resumption(path)}",
        )


def _resumption(path: Path) -> str:
    """How to complete a file that was cut short; the downloader goes on from ``<name>.part``."""
    if any(path.name == known.filename for known in KNOWN_FILES):
        return f"rename it to {path.name}.part and `nst-graph download` resumes it"
    return _GET
