"""Fetching weights files, against servers on this machine that fail in the ways real ones do."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from nst_graph.console import download_progress
from nst_graph.errors import DownloadError
from nst_graph.weights.download import DownloadReport, download, manifest_json
from nst_graph.weights.known_files import KNOWN_FILES, KnownFile

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "download_vgg.py"
CONTENT = b"MATLAB 5.0 MAT-file" + hashlib.shake_128(b"weights").digest(700_000)
ETAG = '"first"'
PAGE = b"<!DOCTYPE html><html><title>Sign in to the network</title></html>"
BLOCK = 1 << 16
NO_WAITS = (0.0, 0.0, 0.0)


@dataclass
class Site:
    """What the server does next, and what it was asked."""

    content: bytes = CONTENT
    ranges: bool = True
    etag: str | None = ETAG
    statuses: list[int] = field(default_factory=list)  # answered first, one a request
    cuts: list[int] = field(default_factory=list)  # body lengths after which to hang up
    gate: threading.Event | None = None  # half of the body waits for it
    wrong_start: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    @property
    def ranges_asked(self) -> list[str | None]:
        return [headers.get("Range") for headers in self.asked]


class Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        site = self.site
        site.asked.append(dict(self.headers))
        if site.statuses:
            self.send_error(site.statuses.pop(0))
            return
        start = self._start()
        if start >= len(site.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(site.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = site.content[start:]
        self.send_response(206 if start else 200)
        if start:
            said = start - 1 if site.wrong_start else start
            total = len(site.content)
            self.send_header("Content-Range", f"bytes {said}-{total - 1}/{total}")
        if site.etag:
            self.send_header("ETag", site.etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send(body)

    def _start(self) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        changed = self.headers.get("If-Range", self.site.etag) != self.site.etag
        return int(match[1]) if match and self.site.ranges and not changed else 0

    def _send(self, body: bytes) -> None:
        half = len(body) // 2
        if self.site.gate:
            self.wfile.write(body[:half])
            self.wfile.flush()
            self.site.gate.wait(30)
            body = body[half:]
        self.wfile.write(body[: self.site.cuts.pop(0)] if self.site.cuts else body)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    """Start a server for a Site; all are stopped afterwards."""
    servers: list[ThreadingHTTPServer] = []

    def start(site: Site, tls: ssl.SSLContext | None = None) -> Site:
        handler = type("Handler", (Handler,), {"site": site})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        site.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/weights.mat"
        return site

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def known(content: bytes = CONTENT, **changes: object) -> KnownFile:
    record = KnownFile(
        key="test",
        source="matconvnet",
        filename="weights.mat",
        urls=(),
        size=len(content),
        md5=hashlib.md5(content).hexdigest(),
        sha256=hashlib.sha256(content).hexdigest(),
        layout="current",
        description="a test file",
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def fetch(site: Site, directory: Path, record: KnownFile | None = None) -> DownloadReport:
    return download(record or known(), directory, url=site.url, waits=NO_WAITS)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def write_part(directory: Path, content: bytes) -> Path:
    part = directory / "weights.mat.part"
    part.write_bytes(content)
    return part


def test_fetches_verifies_and_leaves_nothing_else(serve, tmp_path):
    seen: list[tuple[int, int | None]] = []
    site = serve(Site())
    report = download(
        known(), tmp_path / "new" / "folder", url=site.url, progress=lambda *a: seen.append(a)
    )
    assert report.path.read_bytes() == CONTENT
    assert names(report.path.parent) == {"weights.mat"}
    assert (report.bytes_fetched, report.resumed_from) == (len(CONTENT), 0)
    assert report.origin == site.url and not report.already_there
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and seen == sorted(seen)


def test_an_intact_file_is_not_fetched_again(serve, tmp_path):
    site = serve(Site())
    fetch(site, tmp_path)
    report = fetch(site, tmp_path)
    assert report.already_there and report.bytes_fetched == 0
    assert len(site.asked) == 1
    assert "already there" in report.lines()[0]


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_resumes_a_partial_file(serve, tmp_path, size):
    site = serve(Site())
    write_part(tmp_path, CONTENT[:300_000])
    report = fetch(site, tmp_path, known(size=size))
    assert site.ranges_asked == ["bytes=300000-"]
    assert report.path.read_bytes() == CONTENT
    assert (report.bytes_fetched, report.resumed_from) == (len(CONTENT) - 300_000, 300_000)


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_complete_partial_file_is_only_verified(serve, tmp_path, size):
    site = serve(Site())
    write_part(tmp_path, CONTENT)
    report = fetch(site, tmp_path, known(size=size))
    assert len(site.asked) == (1 if size is None else 0)  # 416 says that nothing is missing
    assert report.bytes_fetched == 0 and report.path.read_bytes() == CONTENT


def test_an_overlong_partial_file_is_thrown_away(serve, tmp_path):
    site = serve(Site())
    write_part(tmp_path, CONTENT + b"x")
    assert fetch(site, tmp_path, known(size=None)).path.read_bytes() == CONTENT  # 416, then whole
    assert site.ranges_asked == [f"bytes={len(CONTENT) + 1}-", None]


def test_a_dropped_connection_is_resumed_with_its_etag(serve, tmp_path):
    site = serve(Site(cuts=[3 * BLOCK, BLOCK]))
    report = fetch(site, tmp_path)
    assert report.path.read_bytes() == CONTENT
    assert site.ranges_asked == [None, f"bytes={3 * BLOCK}-", f"bytes={4 * BLOCK}-"]
    assert [asked.get("If-Range") for asked in site.asked] == [None, ETAG, ETAG]
    assert report.bytes_fetched == len(CONTENT) and report.resumed_from == 0


def test_a_file_that_changes_between_tries_is_fetched_whole(serve, tmp_path):
    old = b"MATLAB 5.0 MAT-file" + bytes(len(CONTENT) - 19)
    site = serve(Site(content=old, cuts=[400_000]))

    def publish_anew(*_: object) -> None:
        site.content, site.etag = CONTENT, '"second"'

    report = download(known(), tmp_path, url=site.url, progress=publish_anew, waits=NO_WAITS)
    assert report.path.read_bytes() == CONTENT
    assert [asked.get("If-Range") for asked in site.asked] == [None, ETAG]


def test_a_server_without_ranges_starts_again(serve, tmp_path):
    site = serve(Site(ranges=False, cuts=[500_000]))
    write_part(tmp_path, b"of no use to this server")
    report = fetch(site, tmp_path)
    assert report.path.read_bytes() == CONTENT
    assert report.resumed_from == 0 and len(site.asked) == 2


def test_a_range_from_the_wrong_byte_is_not_joined(serve, tmp_path):
    site = serve(Site(wrong_start=True))
    write_part(tmp_path, CONTENT[:1000])
    assert fetch(site, tmp_path).path.read_bytes() == CONTENT
    assert site.ranges_asked == ["bytes=1000-", None]


def test_a_partial_file_of_something_else_is_replaced(serve, tmp_path):
    site = serve(Site())
    write_part(tmp_path, b"another edition")
    report = fetch(site, tmp_path)
    assert report.path.read_bytes() == CONTENT and report.resumed_from == 0
    assert site.ranges_asked == ["bytes=15-", None]


def test_a_passing_server_fault_is_outwaited(serve, tmp_path):
    site = serve(Site(statuses=[503, 429, 500]))
    assert fetch(site, tmp_path).path.read_bytes() == CONTENT
    assert len(site.asked) == 4


def test_tries_are_bounded_and_the_partial_file_kept(serve, tmp_path):
    site = serve(Site(cuts=[BLOCK, 0, 0, 0, 0, 0]))
    with pytest.raises(DownloadError, match=r"ended \d+ bytes too early \(4 tries\)") as caught:
        fetch(site, tmp_path)
    assert len(site.asked) == 4
    assert (tmp_path / "weights.mat.part").read_bytes() == CONTENT[:BLOCK]
    assert "run this again" in caught.value.remedy
    assert names(tmp_path) == {"weights.mat.part"}


def test_progress_renews_the_tries(serve, tmp_path):
    content = CONTENT * 4
    site = serve(Site(content=content, cuts=[400_000] * 6))
    assert fetch(site, tmp_path, known(content)).path.read_bytes() == content
    assert len(site.asked) == 7


def test_the_same_beginning_over_and_over_is_no_progress(serve, tmp_path):
    site = serve(Site(ranges=False, cuts=[600_000] * 50))
    with pytest.raises(DownloadError, match="4 tries"):
        fetch(site, tmp_path)
    assert len(site.asked) == 4


def test_not_found_is_not_tried_again(serve, tmp_path):
    site = serve(Site(statuses=[404]))
    with pytest.raises(DownloadError, match="404"):
        fetch(site, tmp_path)
    assert len(site.asked) == 1


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_a_wrong_digest_leaves_nothing(serve, tmp_path, algorithm):
    flipped = bytearray(CONTENT)
    flipped[1234] ^= 1
    site = serve(Site(content=bytes(flipped)))
    record = known() if algorithm == "SHA-256" else known(sha256=None, size=None)
    expected = record.sha256 or record.md5
    got = (hashlib.sha256 if record.sha256 else hashlib.md5)(flipped).hexdigest()
    with pytest.raises(DownloadError, match=f"{algorithm} expected {expected}, got {got}"):
        fetch(site, tmp_path, record)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_web_page_does_not_cost_the_partial_file(serve, tmp_path, size):
    site = serve(Site(content=PAGE, ranges=False))
    part = write_part(tmp_path, CONTENT[:1000])
    with pytest.raises(DownloadError, match="web page"):
        fetch(site, tmp_path, known(size=size))
    assert part.read_bytes() == CONTENT[:1000] and len(site.asked) == 1


def test_a_file_of_another_length_is_refused_before_it_is_fetched(serve, tmp_path):
    site = serve(Site(content=CONTENT * 2))
    part = write_part(tmp_path, CONTENT[:1000])
    with pytest.raises(DownloadError, match=f"offers {2 * len(CONTENT)} bytes"):
        fetch(site, tmp_path)
    assert part.read_bytes() == CONTENT[:1000]


def test_another_known_file_is_named(tmp_path, monkeypatch):
    other = known(b"MATLAB 5.0 another edition", key="other", description="the other edition")
    (tmp_path / "mine.mat").write_bytes(b"MATLAB 5.0 another edition")
    monkeypatch.setattr("nst_graph.weights.known_files.KNOWN_FILES", (other,))
    with pytest.raises(DownloadError, match=r"it is the other edition \(other\)"):
        download(known(), tmp_path, from_file=tmp_path / "mine.mat")


def test_the_next_address_is_tried(serve, tmp_path):
    gone, good = serve(Site(statuses=[404])), serve(Site())
    report = download(known(urls=(gone.url, good.url)), tmp_path, waits=NO_WAITS)
    assert report.origin == good.url and report.path.read_bytes() == CONTENT


def test_every_address_is_named_when_all_fail(serve, tmp_path):
    first, second = serve(Site(statuses=[404])), serve(Site(content=PAGE))
    with pytest.raises(DownloadError) as caught:
        download(known(urls=(first.url, second.url)), tmp_path, waits=NO_WAITS)
    text = str(caught.value)
    assert f"{first.url}: the server answered 404" in text and f"{second.url}: it answers" in text


def test_a_wrong_file_of_that_name_stays_until_the_right_one_is_complete(serve, tmp_path):
    target = tmp_path / "weights.mat"
    target.write_bytes(b"something else")
    with pytest.raises(DownloadError):
        fetch(serve(Site(statuses=[404])), tmp_path)
    assert target.read_bytes() == b"something else"
    report = fetch(serve(Site()), tmp_path)
    aside = f"weights.mat.bad-{hashlib.sha256(b'something else').hexdigest()[:8]}"
    assert report.set_aside == tmp_path / aside
    assert report.set_aside.read_bytes() == b"something else"
    assert target.read_bytes() == CONTENT and aside in report.lines()[-1]


def test_no_network_names_address_digest_and_ways_out(tmp_path):
    with pytest.raises(DownloadError) as caught:
        download(known(urls=("http://127.0.0.1:9/weights.mat",)), tmp_path, waits=())
    text = str(caught.value)
    assert "Connection refused" in text and "(1 try)" in text
    for part in ("http://127.0.0.1:9/", known().sha256, "--from-file", "--url", "random weights"):
        assert str(part) in text
    assert names(tmp_path) == set()


def test_an_unknown_host_is_a_clear_error(tmp_path):
    with pytest.raises(DownloadError, match=r"no-such-host\.invalid"):
        download(known(), tmp_path, url="http://no-such-host.invalid/x", waits=())


@pytest.fixture(scope="session")
def expired_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of 127.0.0.1, valid on 1 January 2020 only, with its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command, which makes the certificate, is not here")
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "ca.cnf").write_text(
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\n"
        "default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n"
    )
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\n")
    (folder / "index").touch()
    (folder / "serial").write_text("01\n")
    request = "req -newkey rsa:2048 -nodes -keyout key -out request -subj /CN=127.0.0.1"
    sign = (
        "ca -batch -selfsign -config ca.cnf -in request -keyfile key -out cert -notext"
        " -startdate 20200101000000Z -enddate 20200102000000Z -extfile extensions"
    )
    for command in (request, sign):
        subprocess.run([openssl, *command.split()], cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "cert").read_text() + (folder / "key").read_text())
    return both


@pytest.fixture
def expired_site(serve, expired_certificate, monkeypatch) -> Site:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(expired_certificate)
    # Trusted but for its dates: without this, being self-signed would be the first complaint.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(expired_certificate))
    return serve(Site(), context)


def test_an_expired_certificate_is_named_with_its_way_out(expired_site, tmp_path):
    with pytest.raises(DownloadError, match=r"certificate of 127\.0\.0\.1.*has expired") as caught:
        fetch(expired_site, tmp_path)
    assert "--insecure" in caught.value.remedy and str(known().sha256) in caught.value.remedy
    assert names(tmp_path) == set() and expired_site.asked == []


def test_insecure_accepts_the_certificate_but_not_other_content(expired_site, tmp_path, recwarn):
    report = download(known(), tmp_path, url=expired_site.url, insecure=True, waits=NO_WAITS)
    assert report.path.read_bytes() == CONTENT
    assert [str(warning.message) for warning in recwarn] == []
    expired_site.content = CONTENT[::-1]
    with pytest.raises(DownloadError, match="SHA-256 expected"):
        download(known(), tmp_path / "b", url=expired_site.url, insecure=True, waits=NO_WAITS)
    with pytest.raises(DownloadError, match="certificate"):  # insecure lasted for one download
        fetch(expired_site, tmp_path / "b")


@pytest.mark.parametrize("as_url", [False, True])
def test_from_file_copies_and_verifies(tmp_path, as_url):
    mine = tmp_path / "my copy.mat"
    mine.write_bytes(CONTENT)
    options = {"url": mine.as_uri()} if as_url else {"from_file": mine}
    report = download(known(), tmp_path / "pretrained", **options)
    assert report.path.read_bytes() == CONTENT and mine.read_bytes() == CONTENT
    assert report.bytes_fetched == 0 and report.origin == str(mine)
    assert names(report.path.parent) == {"weights.mat"}


@pytest.mark.parametrize(
    ("content", "message"), [(PAGE, "web page"), (CONTENT[:-1], r"has \d+ bytes"), (b"", "has 0")]
)
def test_from_file_refuses_what_is_not_the_file(tmp_path, content, message):
    mine = tmp_path / "mine.mat"
    mine.write_bytes(content)
    with pytest.raises(DownloadError, match=message):
        download(known(), tmp_path / "pretrained", from_file=mine)
    assert names(tmp_path / "pretrained") == set() and mine.read_bytes() == content


def test_from_file_keeps_an_unfinished_download(tmp_path):
    part = write_part(tmp_path, CONTENT[:1000])
    (tmp_path / "bad.mat").write_bytes(b"no")
    with pytest.raises(DownloadError):
        download(known(), tmp_path, from_file=tmp_path / "bad.mat")
    assert part.read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"from_file": Path("no/such/file")}, "no/such/file"),
        ({"from_file": Path("/")}, "cannot be read"),
        ({"url": "weights.mat"}, "--from-file"),
        ({"url": "ftp://127.0.0.1/weights.mat"}, "http, https or file"),
        ({"url": "http://"}, "http, https or file"),
        ({"url": "http://127.0.0.1/x", "from_file": Path("y")}, "one of them"),
        ({}, "no longer published.*\n.*SHA-256"),
    ],
)
def test_impossible_sources_are_refused(tmp_path, options, message):
    with pytest.raises(DownloadError, match=message):
        download(known(), tmp_path, waits=(), **options)
    assert names(tmp_path) == set()


def test_an_unknown_key_lists_the_files(tmp_path):
    with pytest.raises(DownloadError, match=r"'keras-h5'\? choose from: .*mat-beta16"):
        download("keras_h5", tmp_path)


def test_an_impossible_folder_is_refused(serve, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match="cannot write there") as caught:
        fetch(serve(Site()), tmp_path / "file")
    assert caught.value.where == str(tmp_path / "file")
    (tmp_path / "weights.mat").mkdir()
    with pytest.raises(DownloadError, match="folder has the name"):
        fetch(serve(Site()), tmp_path)


def test_space_is_checked_before_anything_is_fetched(serve, tmp_path):
    site = serve(Site())
    with pytest.raises(DownloadError, match=r"MB free, \d+\.\d MB needed"):
        fetch(site, tmp_path, known(size=1 << 62))
    assert site.asked == [] and names(tmp_path) == set()


def test_a_second_download_of_a_file_waits_its_turn(serve, tmp_path):
    site = serve(Site(gate=threading.Event()))
    begun = threading.Event()
    reports: list[DownloadReport] = []

    def first() -> None:
        reports.append(
            download(known(), tmp_path, url=site.url, progress=lambda *_: begun.set(), waits=())
        )

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert begun.wait(20)
        with pytest.raises(DownloadError, match="another process"):
            fetch(site, tmp_path)
    finally:
        site.gate.set()
        thread.join(20)
    assert reports[0].path.read_bytes() == CONTENT
    assert fetch(site, tmp_path).already_there and len(site.asked) == 1
    assert names(tmp_path) == {"weights.mat"}


DRIVER = """
import json, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_download
from nst_graph.errors import DownloadError
from nst_graph.weights.download import download
{before}
try:
    download(test_download.known(), Path({folder!r}), url={url!r}, waits=())
except DownloadError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def run_elsewhere(site: Site, folder: Path, before: str = "") -> subprocess.Popen[str]:
    tests = str(Path(__file__).parent)
    code = DRIVER.format(tests=tests, before=before, folder=str(folder), url=site.url)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_bytes(part: Path) -> None:
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size):
        assert time.monotonic() < deadline, "no byte came"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX resource limits")
def test_a_disk_that_takes_no_more_is_a_clear_error(serve, tmp_path):
    # A limit on file length makes write() fail as a full disk does.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    process = run_elsewhere(serve(Site()), tmp_path, limit)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert (
        "cannot write the file" in out
        and "free some space, then run" in out
        and "Traceback" not in err
    )
    assert fetch(serve(Site()), tmp_path).resumed_from > 0


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_download_is_resumed(serve, tmp_path, number):
    site = serve(Site(gate=threading.Event()))
    process = run_elsewhere(site, tmp_path)
    part = tmp_path / "weights.mat.part"
    wait_for_bytes(part)
    process.send_signal(number)
    process.communicate(timeout=60)
    site.gate.set()
    site.gate = None
    assert process.returncode != 0 and not (tmp_path / "weights.mat").exists()
    kept = part.stat().st_size
    report = fetch(site, tmp_path)
    assert report.resumed_from == kept > 0 and report.path.read_bytes() == CONTENT


def run_script(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_script_help_lists_the_files():
    done = run_script("--help")
    assert done.returncode == 0
    assert all(record.key in done.stdout for record in KNOWN_FILES)


def test_script_reports_errors_without_a_traceback(serve, tmp_path):
    page = serve(Site(content=PAGE))
    done = run_script("mat", "--directory", str(tmp_path), "--url", page.url)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: could not fetch imagenet-vgg-verydeep-19.mat")
    assert "web page" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_script_stopped_by_ctrl_c_exits_with_130(serve, tmp_path):
    site = serve(Site(gate=threading.Event()))
    process = subprocess.Popen(
        [
            sys.executable,
            str(SCRIPT),
            "mat-beta16",
            "--directory",
            str(tmp_path),
            "--url",
            site.url,
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_bytes(tmp_path / "imagenet-vgg-verydeep-19-beta16.mat.part")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    site.gate.set()
    assert process.returncode == 130, err
    assert "run the same command again" in err and "Traceback" not in err


def test_script_says_how_to_install(tmp_path):
    # -S leaves site-packages out, and with them the package.
    done = subprocess.run(
        [sys.executable, "-S", str(SCRIPT), "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert done.returncode != 0
    assert "pip install -e" in done.stderr and "Traceback" not in done.stderr


def test_manifest_in_pretrained_is_the_table():
    kept = (ROOT / "pretrained" / "known_files.json").read_text()
    assert kept == manifest_json()
    assert [record["key"] for record in json.loads(kept)] == [each.key for each in KNOWN_FILES]


def test_pretrained_readme_gives_every_file():
    page = (ROOT / "pretrained" / "README.md").read_text()
    for record in KNOWN_FILES:
        facts = [record.key, record.filename, record.md5, record.sha256, *record.urls[:1]]
        facts += [f"{record.size:,}"] if record.size else []
        assert [fact for fact in facts if fact and fact not in page] == []


def test_report_says_digest_and_licence(serve, tmp_path):
    text = "\n".join(fetch(serve(Site()), tmp_path).lines())
    assert str(known().sha256) in text and "CC BY 4.0 (Visual Geometry Group" in text


def test_progress_off_a_terminal_is_a_line_every_ten_percent():
    console = Console(record=True, force_terminal=False, file=io.StringIO())
    with download_progress(console, "weights.mat") as progress:
        for done in range(0, 10_000_001, 100_000):
            progress(done, 10_000_000)
    lines = console.export_text().splitlines()
    assert len(lines) == 11 and lines[3] == "weights.mat  30 % of 10.0 MB"


@pytest.mark.parametrize("total", [None, 2_000_000])
def test_progress_on_a_terminal_is_a_bar(total, tmp_path):
    with (tmp_path / "screen").open("w+") as screen:
        console = Console(force_terminal=True, width=100, file=screen)
        with download_progress(console, "weights.mat") as progress:
            progress(500_000, total)
            progress(2_000_000, total)
        screen.seek(0)
        shown = screen.read()
    assert "weights.mat" in shown and ("2.0/2.0 MB" if total else "2.0/? MB") in shown
