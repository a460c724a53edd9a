"""One URL into one partial file over HTTP: resuming, trying again, refusing what cannot be it.

Knows nothing of weights. What the bytes must be is checked by ``download``, by digest; here only
lengths and obvious web pages are looked at, so that a captive portal does not cost a partial file.
"""

from __future__ import annotations

import http.client
import logging
import re
import ssl
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import requests

#: Called with the bytes there so far, those of an earlier attempt included, and the length of the
#: file (None where not known).
Progress = Callable[[int, int | None], None]

#: Seconds before the second, third and fourth try.
RETRY_WAITS: tuple[float, ...] = (1.0, 3.0, 9.0)

_CHUNK_BYTES = 1 << 15  # what a dropped connection loses: urllib3 discards a chunk it half read
_TIMEOUT_SECONDS = (10.0, 60.0)  # to connect; between two reads
_STATUS_WORTH_RETRYING = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)$")

_log = logging.getLogger(__name__)


class TransferError(Exception):
    """A URL did not give its file.

    Attributes:
        kind: "network" (no answer, or a refusal), "certificate" (the host's was not accepted),
            "content" (the answer cannot be the file) or "disk" (the file cannot be written).
    """

    def __init__(
        self, reason: str, kind: Literal["network", "certificate", "content", "disk"]
    ) -> None:
        super().__init__(reason)
        self.kind = kind


class _PassingError(Exception):
    """A fault that may pass by itself."""


@dataclass(frozen=True)
class Request:
    """What to fetch.

    Attributes:
        url: http or https.
        size: length of the file in bytes, or None where not known.
        insecure: accept any TLS certificate. Only for content that is checked by digest.
        progress: told after every chunk.
        waits: seconds before each further try. A try that takes the file further than ever
            before starts the count anew, so a bad line is outlasted and a dead one is not.
    """

    url: str
    size: int | None = None
    insecure: bool = False
    progress: Progress | None = None
    waits: tuple[float, ...] = RETRY_WAITS


@dataclass(frozen=True)
class Fetched:
    """A completed transfer.

    Attributes:
        url: where the file came from.
        bytes_fetched: bytes received this time, those thrown away included.
        resumed_from: bytes kept from an earlier, interrupted transfer.
    """

    url: str
    bytes_fetched: int
    resumed_from: int


def fetch(request: Request, part: Path) -> Fetched:
    """Fill ``part`` from ``request.url``, going on from what it already holds.

    ``part`` is kept whenever the transfer is interrupted, by a fault or by Ctrl-C, and is only
    emptied once an answer has begun that may be the file.

    Raises:
        TransferError: after the last try, or at once where another try is pointless.
    """
    return _Transfer(request, part).run()


def length_of(path: Path) -> int:
    """Bytes in ``path``; 0 where there is no such file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def looks_like_web_page(head: bytes) -> bool:
    """Whether the first bytes of a file are those of an HTML or XML document."""
    return (
        head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<?xml"))
    )


class _Transfer:
    """The state of one ``fetch``: what the server has said, and how far the file has come."""

    def __init__(self, request: Request, part: Path) -> None:
        self._request = request
        self._part = part
        self._etag: str | None = None
        self._ask_for_range = True
        self._fetched = 0
        self._resumed_from = length_of(part)
        self._furthest = self._resumed_from

    def run(self) -> Fetched:
        import requests

        failures = 0
        with requests.Session() as session:
            while True:
                try:
                    self._attempt(session)
                except _PassingError as fault:
                    failures = 1 if self._got_further() else failures + 1
                    self._wait(failures, str(fault))
                else:
                    return Fetched(self._request.url, self._fetched, self._resumed_from)

    def _got_further(self) -> bool:
        """Whether the file is longer than ever before by a chunk; servers without ranges repeat."""
        length = length_of(self._part)
        if length < self._furthest + _CHUNK_BYTES:
            return False
        self._furthest = length
        return True

    def _wait(self, failures: int, fault: str) -> None:
        waits = self._request.waits
        if failures > len(waits):
            tries = f"{failures} tries" if failures > 1 else "1 try"
            raise TransferError(f"{fault} ({tries})", "network")
        _log.warning("%s: %s; next try in %g s", self._request.url, fault, waits[failures - 1])
        time.sleep(waits[failures - 1])

    def _attempt(self, session: requests.Session) -> None:
        size = self._request.size
        have = length_of(self._part)
        if size is not None and have >= size:
            if have == size:
                return
            have = 0
        ranged = bool(have) and self._ask_for_range
        # A compressed answer has another length, and its ranges are of the compressed bytes.
        headers = {"Accept-Encoding": "identity", "User-Agent": "nst-graph"}
        if ranged:
            headers["Range"] = f"bytes={have}-"
            if self._etag:
                headers["If-Range"] = self._etag
        with (
            _faults_translated(self._request.url),
            _without_certificate_warnings(self._request.insecure),
            session.get(
                self._request.url,
                headers=headers,
                stream=True,
                timeout=_TIMEOUT_SECONDS,
                verify=not self._request.insecure,
            ) as response,
        ):
            start, total = self._extent_of(response, have if ranged else 0)
            if start is not None:
                self._receive(response, start, total)

    def _extent_of(self, response: requests.Response, have: int) -> tuple[int | None, int | None]:
        """Position in the file of the first byte of the answer (None: nothing is missing), and
        the length of the whole file."""
        status = response.status_code
        start, total = _content_range(response)
        if status == 416 and self._request.size is None and total == have:
            return None, total
        if status == 416 or (status == 206 and start != have):
            self._ask_for_range = False
            raise _PassingError(f"the server does not continue the file from byte {have}")
        if status in _STATUS_WORTH_RETRYING:
            raise _PassingError(f"the server answered {status} {response.reason}")
        if status not in (200, 206):
            raise TransferError(f"the server answered {status} {response.reason}", "network")
        etag = response.headers.get("ETag", "")
        self._etag = etag if etag.startswith('"') else None  # weak ones do not vouch for bytes
        if status == 206:
            return start, total
        encoded = response.headers.get("Content-Encoding", "identity") != "identity"
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() and not encoded else None

    def _receive(self, response: requests.Response, start: int, total: int | None) -> None:
        """Write the body to the partial file from ``start`` on."""
        chunks: Iterator[bytes] = response.iter_content(_CHUNK_BYTES)
        first = next(chunks, b"")
        self._refuse_if_wrong(first if start == 0 else b"", total)
        expected = self._request.size if self._request.size is not None else total
        done = start
        with self._part.open("r+b" if start else "wb") as file:
            if start == 0:
                self._resumed_from = 0
            file.seek(start)
            chunk = first
            while chunk:
                file.write(chunk)
                done += len(chunk)
                self._fetched += len(chunk)
                if expected is not None and done > expected:
                    file.truncate(0)
                    raise TransferError(f"it sends more than {expected} bytes", "content")
                if self._request.progress:
                    self._request.progress(done, expected)
                chunk = next(chunks, b"")
        if expected is not None and done < expected:
            raise _PassingError(f"the connection ended after {done} of {expected} bytes")

    def _refuse_if_wrong(self, head: bytes, total: int | None) -> None:
        size = self._request.size
        if looks_like_web_page(head):
            raise TransferError("it answers with a web page, not with the file", "content")
        if size is not None and total is not None and total != size:
            raise TransferError(f"it offers {total} bytes; the file has {size}", "content")


def _content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """First byte and whole length from the Content-Range header; None where it does not say."""
    match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if match is None:
        return None, None
    start, total = match.groups()
    return int(start) if start else None, int(total) if total.isdigit() else None


@contextmanager
def _faults_translated(url: str) -> Iterator[None]:
    """Turn what requests and the file system raise into _PassingError and TransferError."""
    import requests
    import urllib3

    permanent = (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
        requests.exceptions.TooManyRedirects,
    )
    try:
        yield
    except permanent as error:
        raise TransferError(str(error), "network") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        refusal = _find_cause(error, ssl.SSLCertVerificationError)
        if refusal is None:
            raise _PassingError(_reason(error)) from error
        asked = getattr(error, "request", None)  # after a redirect it is not the URL's own host
        host = urlsplit(str(asked.url) if asked is not None else url).hostname
        reason = f"the TLS certificate of {host} was not accepted: {refusal.verify_message}"
        raise TransferError(reason, "certificate") from error
    except OSError as error:
        if error.errno is None:  # requests: a CA bundle named in the environment is not there
            raise TransferError(str(error), "network") from error
        raise TransferError(f"cannot write the file: {error.strerror}", "disk") from error


@contextmanager
def _without_certificate_warnings(insecure: bool) -> Iterator[None]:
    """Silence urllib3 where leaving the certificate unchecked was asked for."""
    import urllib3

    with warnings.catch_warnings():
        if insecure:
            warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
        yield


def _find_cause(
    error: BaseException, kind: type[ssl.SSLCertVerificationError]
) -> ssl.SSLCertVerificationError | None:
    """The exception of ``kind`` that ``error`` wraps: urllib3 keeps it in args or reason."""
    for inner in (*error.args, getattr(error, "reason", None)):
        if isinstance(inner, kind):
            return inner
        if isinstance(inner, BaseException) and (found := _find_cause(inner, kind)):
            return found
    return None


def _reason(error: BaseException) -> str:
    """The innermost message of a wrapped network fault: the one that says what happened."""
    while True:
        inner = [*error.args, getattr(error, "reason", None)]
        nested = next((each for each in inner if isinstance(each, BaseException)), None)
        if nested is None:
            break
        error = nested
    if isinstance(error, http.client.IncompleteRead):
        return f"the connection ended {error.expected} bytes too early"
    # urllib3 begins with the repr of its connection object.
    return re.sub(r"^(<[^>]*>|\w+\([^)]*\)): ", "", str(error)) or type(error).__name__
