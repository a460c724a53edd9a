"""Published weights files into a folder: fetched or copied, verified, then put in place.

Nothing appears under the final name before its length and digest are right. What is unfinished
stays beside it as ``<name>.part``, from which the next attempt goes on.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from nst_graph.errors import DownloadError, choices_text
from nst_graph.weights.known_files import (
    KNOWN_FILES,
    FileDigests,
    KnownFile,
    digests_of_file,
    known_file_of,
)
from nst_graph.weights.transfer import (
    RETRY_WAITS,
    Fetched,
    Progress,
    Request,
    TransferError,
    fetch,
    length_of,
    looks_like_web_page,
)

_CHUNK_BYTES = 1 << 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DownloadReport:
    """A weights file that is in place, and how it came there.

    Attributes:
        path: the file.
        known_file: the published file that it is.
        digests: of its bytes.
        origin: URL or path it came from; None where it was already there.
        bytes_fetched: bytes that came over the network this time.
        resumed_from: bytes kept from an earlier, interrupted download.
        set_aside: where the file went that had this name but not this content.
    """

    path: Path
    known_file: KnownFile
    digests: FileDigests
    origin: str | None = None
    bytes_fetched: int = 0
    resumed_from: int = 0
    set_aside: Path | None = None

    @property
    def already_there(self) -> bool:
        return self.origin is None

    def lines(self) -> list[str]:
        """For people: what happened, the digest, the licence."""
        if self.origin is None:
            happened = "already there, and intact; nothing fetched"
        elif self.bytes_fetched == 0:
            happened = f"taken from {self.origin}"
        else:
            happened = f"{_megabytes(self.bytes_fetched)} fetched from {self.origin}"
        if self.resumed_from:
            happened += f", after the {_megabytes(self.resumed_from)} of an earlier attempt"
        lines = [
            f"{self.path}: {happened}",
            f"  {self.known_file.description}",
            f"  SHA-256 {self.digests.sha256}",
            f"  verified by its published {_digest_of(self.known_file)[0]}",
            f"  licence: {self.known_file.licence}",
        ]
        if self.set_aside:
            lines.append(f"  the other file of that name is now {self.set_aside}")
        return lines


def known_file(key: str) -> KnownFile:
    """The published file called ``key`` on the command line.

    Raises:
        DownloadError: there is none of that name.
    """
    for known in KNOWN_FILES:
        if known.key == key:
            return known
    raise DownloadError(
        f"unknown weights file {key!r}", remedy=choices_text(key, (k.key for k in KNOWN_FILES))
    )


def manifest_json() -> str:
    """The table of published files as JSON text, as kept in ``pretrained/known_files.json``."""
    return json.dumps([asdict(known) for known in KNOWN_FILES], indent=2) + "\n"


def download(
    file: str | KnownFile = "mat",
    directory: Path = Path("pretrained"),
    *,
    url: str | None = None,
    from_file: Path | None = None,
    insecure: bool = False,
    progress: Progress | None = None,
    waits: tuple[float, ...] = RETRY_WAITS,
) -> DownloadReport:
    """Put a published weights file into ``directory``, unless it is there already.

    An interrupted download is resumed. A file that has the name but not the content stays until
    the right one is complete, and is then set aside, not deleted.

    Args:
        file: a key of ``KNOWN_FILES`` or a record of that kind.
        directory: made where missing.
        url: a mirror (http, https, file) to use in place of the published addresses.
        from_file: a local copy to take instead. It is verified like any other.
        insecure: leave TLS certificates unchecked. The digest is checked all the same.
        progress: called with bytes so far and the file's length, None where not known.
        waits: seconds before each further try of one address.

    Raises:
        DownloadError: it could not be fetched or stored, or is not the published file.
    """
    known = known_file(file) if isinstance(file, str) else file
    source = _source_of(known, url, from_file)
    target = _prepared(directory) / known.filename
    if there := _if_intact(target, known):
        return there
    with _disk_faults(directory), _sole_writer(target):
        # Another process may have finished it while this one came here.
        if there := _if_intact(target, known):
            return there
        part = target.with_name(target.name + (".copy" if isinstance(source, Path) else ".part"))
        _require_space(directory, known, length_of(part))
        if isinstance(source, Path):
            digests, fetched = _copy(source, part, known)
        else:
            wanted = [Request(each, known.size, insecure, progress, waits) for each in source]
            digests, fetched = _fetch_any(wanted, part, known)
        set_aside = _install(part, target)
    kept, came = fetched.resumed_from, fetched.bytes_fetched
    return DownloadReport(target, known, digests, fetched.url, came, kept, set_aside)


def _source_of(known: KnownFile, url: str | None, from_file: Path | None) -> Path | tuple[str, ...]:
    """The local file, or the addresses, to take ``known`` from."""
    if url is not None and from_file is not None:
        raise DownloadError("both a URL and a local file are given", remedy="give one of them")
    if from_file is not None:
        return from_file
    if url is None:
        if known.urls:
            return known.urls
        raise DownloadError(
            f"{known.description} is no longer published anywhere",
            remedy=f"give a copy with --from-file or --url; its {_digest_text(known)}",
        )
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    if parts.scheme in ("http", "https") and parts.hostname:
        return (url,)
    raise DownloadError(
        f"{url!r} is not an http, https or file URL",
        where="--url",
        remedy="for a file on this machine use --from-file",
    )


def _prepared(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(directory, error) from error
    return directory


def _cannot_write(directory: Path, error: OSError) -> DownloadError:
    remedy = "choose another folder with --directory"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "free some space (what has come so far is kept) or " + remedy
    return DownloadError(
        f"cannot write there: {error.strerror or error}", where=str(directory), remedy=remedy
    )


@contextmanager
def _disk_faults(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _cannot_write(directory, error) from error


def _require_space(directory: Path, known: KnownFile, have: int) -> None:
    free = shutil.disk_usage(directory).free
    if known.size is not None and free < known.size - have:
        raise DownloadError(
            f"{_megabytes(free)} free, {_megabytes(known.size - have)} needed",
            where=str(directory),
            remedy="free some space or choose another folder with --directory",
        )


@contextmanager
def _sole_writer(target: Path) -> Iterator[None]:
    """Hold the right to write ``target``. The system gives it back if the process dies."""
    path = target.with_name(f".{target.name}.lock")
    with path.open("ab") as file:
        if not _lock(file) or not _is_at(file, path):
            raise DownloadError(
                "another process is downloading this file",
                where=str(target),
                remedy="wait until it is done, then run this again: it will find the file there",
            )
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no open file; a left-over one is harmless
                path.unlink()


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether ``path`` still is the opened file: its last holder may have just removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _lock(file: IO[bytes]) -> bool:
    """Lock an open file for this handle alone; False where another has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            _log.warning(
                "%s: this file system has no locks; start one download at a time", file.name
            )
            return True
        return False
    return True


def _if_intact(target: Path, known: KnownFile) -> DownloadReport | None:
    """A report of ``target`` if it is ``known`` already."""
    if target.is_dir():
        raise DownloadError("a folder has the name of the file", where=str(target))
    if not target.exists() or (known.size is not None and length_of(target) != known.size):
        return None
    digests = _digests(target)
    return DownloadReport(target, known, digests) if known.has_digests(digests) else None


def _digests(path: Path) -> FileDigests:
    try:
        return digests_of_file(path)
    except OSError as error:
        raise DownloadError(
            f"cannot be read: {error.strerror or error}", where=str(path)
        ) from error


def _copy(source: Path, part: Path, known: KnownFile) -> tuple[FileDigests, Fetched]:
    """Copy a local file to ``part`` and verify the copy."""
    digests = _digests(source)
    if fault := _fault_of(source, digests, known):
        raise DownloadError(fault, where=str(source), remedy=_other_ways(known))
    try:
        shutil.copyfile(source, part)
        if _digests(part) != digests:
            raise DownloadError("the copy differs from it; is the disk sound?", where=str(source))
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return digests, Fetched(str(source), 0, 0)


def _fetch_any(wanted: list[Request], part: Path, known: KnownFile) -> tuple[FileDigests, Fetched]:
    """Fill ``part`` from the first address that gives the right file."""
    failures: list[tuple[str, TransferError]] = []
    for request in wanted:
        try:
            return _fetch_verified(request, part, known)
        except TransferError as error:
            if error.kind == "disk":
                raise DownloadError(
                    str(error), remedy="free some space, then run this again to go on"
                ) from error
            failures.append((request.url, error))
            _log.info("%s: %s", request.url, error)
    kept = length_of(part)
    what = f"could not fetch {known.filename}" + "".join(f"\n  {u}: {e}" for u, e in failures)
    remedy = _other_ways(known)
    if any(error.kind == "certificate" for _, error in failures):
        remedy = (
            f"--insecure leaves the certificate unchecked for this download. That is safe: the file"
            f" is accepted only if its digest is the published {_digest_text(known)}.\n  {remedy}"
        )
    if kept:
        remedy = f"{_megabytes(kept)} are kept: run this again to go on from there.\n  {remedy}"
    raise DownloadError(what, remedy=remedy)


def _fetch_verified(request: Request, part: Path, known: KnownFile) -> tuple[FileDigests, Fetched]:
    """Fetch one address into ``part`` and verify it; a wrong file does not stay.

    A partial file may be of another edition or damaged, so a wrong result that was resumed is
    fetched once more from its beginning.
    """
    fetched = fetch(request, part)
    digests = _digests(part)
    fault = _fault_of(part, digests, known)
    if fault and fetched.resumed_from:
        _log.warning("%s: the partial file was not of this file; starting again", part)
        part.unlink()
        again = fetch(request, part)
        fetched = Fetched(request.url, fetched.bytes_fetched + again.bytes_fetched, 0)
        digests = _digests(part)
        fault = _fault_of(part, digests, known)
    if fault:
        part.unlink()
        raise TransferError(fault, "content")
    return digests, fetched


def _fault_of(path: Path, digests: FileDigests, known: KnownFile) -> str:
    """What keeps a file from being ``known``; empty if nothing does."""
    if known.has_digests(digests):
        return ""
    algorithm, expected = _digest_of(known)
    got = digests.sha256 if known.sha256 else digests.md5
    fault = f"not {known.filename}: {algorithm} expected {expected}, got {got}"
    length = length_of(path)
    with path.open("rb") as file:
        head = file.read(256)
    if other := known_file_of(digests):
        return f"{fault}; it is {other.description} ({other.key})"
    if looks_like_web_page(head):
        return f"{fault}; it is a web page"
    if known.size is not None and length != known.size:
        return f"{fault}; it has {length} bytes, not {known.size}"
    return fault


def _install(part: Path, target: Path) -> Path | None:
    """Give the verified ``part`` its final name; returns where a file of that name went."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    aside = None
    if target.exists():
        digests = _digests(target)
        aside = target.with_name(f"{target.name}.bad-{digests.sha256[:8]}")
        other = known_file_of(digests)
        if other and not target.with_name(other.filename).exists():
            aside = target.with_name(other.filename)  # a good file under another's name
        target.replace(aside)
    part.replace(target)
    return aside


def _digest_of(known: KnownFile) -> tuple[str, str]:
    return ("SHA-256", known.sha256) if known.sha256 else ("MD5", known.md5)


def _digest_text(known: KnownFile) -> str:
    return " ".join(_digest_of(known))


def _other_ways(known: KnownFile) -> str:
    published = known.urls[0] if known.urls else "a copy"
    return (
        f"Other ways: fetch {published} on another machine and give it with --from-file;"
        f" name a mirror with --url ({_digest_text(known)} is checked);"
        " or go without: random weights need no file."
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
