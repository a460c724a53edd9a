"""Parsing of unknown weights files in a child process.

The parsers of .mat and HDF5 are C code that a damaged file can crash, hang or make ask for any
amount of memory. The child has a limit on its time and its address space; it sends back the
convolutions as an .npz, or a refusal as JSON, through its standard output.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nst_graph.errors import WeightsError
from nst_graph.weights.cache import pack, unpack
from nst_graph.weights.convolutions import Convolutions, check_vgg19
from nst_graph.weights.sources import SOURCES

#: Seconds for the interpreter and its libraries to start, and bytes parsed in a second at worst.
_START_SECONDS = 60.0
_SLOWEST_BYTES_PER_SECOND = 5e6
#: Address space of the interpreter and its libraries, and bytes needed for each byte of the file.
_BASE_MEMORY = 2 << 30
_MEMORY_PER_BYTE = 4

# The child sees the parent's modules, wherever those come from.
_BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from nst_graph.weights.isolated import main; main(sys.argv[2:])"
)
_DAMAGED = "`nst-graph download` fetches the published file; `nst-graph weights info` examines one"


def parse(source: str, path: Path, sha256: str, timeout: float | None = None) -> Convolutions:
    """Parse and check a weights file in a child process.

    Args:
        source: name in ``SOURCES`` of the parser.
        path: the file.
        sha256: its digest.
        timeout: seconds before the child is ended; None allows for the size of the file.

    Raises:
        WeightsError: the file is damaged, or is not VGG-19.
    """
    size = path.stat().st_size
    limit = _BASE_MEMORY + _MEMORY_PER_BYTE * size
    seconds = timeout or _START_SECONDS + size / _SLOWEST_BYTES_PER_SECOND
    command = [sys.executable, "-c", _BOOTSTRAP, json.dumps(sys.path)]
    command += [source, str(path), sha256, str(limit)]
    # Each thread of a BLAS reserves address space, and none is needed here.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        child = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, env=environment
        )
    except subprocess.TimeoutExpired:
        raise WeightsError(
            f"the file is damaged: reading it did not end within {seconds:.0f} s",
            where=str(path),
            remedy=_DAMAGED,
        ) from None
    except OSError as error:
        raise WeightsError(
            f"the child process that reads unpublished files cannot be started: {error}",
            where=str(path),
            remedy="a published file needs none; " + _DAMAGED,
        ) from error
    return _convolutions_of_reply(child, path, sha256)


def _convolutions_of_reply(
    child: subprocess.CompletedProcess[bytes], path: Path, sha256: str
) -> Convolutions:
    try:
        if child.returncode == 0:
            return unpack(io.BytesIO(child.stdout), sha256)
        refusal = json.loads(child.stdout)
    except ValueError:
        refusal = {"what": f"the file cannot be read: its parser {_end_of(child)}"}
        refusal["remedy"] = f"it is most likely damaged; {_DAMAGED}"
    raise WeightsError(refusal["what"], where=str(path), remedy=refusal["remedy"])


def _end_of(child: subprocess.CompletedProcess[bytes]) -> str:
    """How a child without a reply ended, in words."""
    if child.returncode < 0:
        return f"crashed ({signal.Signals(-child.returncode).name})"
    last_line = child.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return f"failed with status {child.returncode} {last_line}".strip()


def main(arguments: Sequence[str]) -> None:
    """Parse in the child: source, path, SHA-256 and memory limit in; .npz or JSON out."""
    source, path, sha256, limit = arguments
    _limit_resources(int(limit))
    # Whatever a library prints goes to standard error, not between the bytes of the reply.
    with os.fdopen(os.dup(1), "wb") as reply:
        os.dup2(2, 1)
        try:
            convolutions = SOURCES[source].parser()(Path(path))
            check_vgg19(convolutions)
        except WeightsError as error:
            refusal = {"what": error.what, "remedy": error.remedy}
        except Exception as error:
            refusal = {"what": _refusal_text(error), "remedy": _DAMAGED}
        else:
            pack(reply, convolutions, sha256)
            return
        reply.write(json.dumps(refusal).encode())
    sys.exit(1)


def _refusal_text(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"the reader of such files cannot be imported: {error}"
    if isinstance(error, MemoryError):
        return "the file is damaged: it asks for more memory than VGG-19 can need"
    return f"the file is damaged: {type(error).__name__}: {error}"[:300]


def _limit_resources(address_space: int) -> None:
    """Limit memory, and leave no core file behind; systems without such limits go on without."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for which, wanted in ((resource.RLIMIT_AS, address_space), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(which)[1]
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(which, (limit, hard))
        except (ValueError, OSError):  # macOS refuses limits below what is already mapped
            continue
