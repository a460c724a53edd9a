"""Convolutions and digests kept from one start to the next, so that 535 MB are parsed only once.

Files of convolutions are uncompressed .npz named by the SHA-256 of the weights file they came from.
The zip container holds a CRC-32 of every array, checked on each load: a damaged entry is discarded
and built again.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nst_graph.cache_directory import CacheDirectory, read_arrays
from nst_graph.errors import WeightsError
from nst_graph.layers import CONVOLUTIONS, kernel_shape
from nst_graph.types import ChannelOrder
from nst_graph.weights.convolutions import Convolutions
from nst_graph.weights.known_files import FileDigests, digests_of_file

_FORMAT = 1
#: Convolutions of a dozen weights files; more are hardly in use at the same time.
_LARGEST_BYTES = 1 << 30
#: A file younger than this when hashed may change again within one tick of its time stamp.
_SETTLED_NS = 2_000_000_000
_SHA256, _MD5 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{32}")


def pack(file: BinaryIO, convolutions: Convolutions, sha256: str) -> None:
    """Write convolutions of the weights file ``sha256`` as an uncompressed .npz (about 80 MB)."""
    about = {
        "format": _FORMAT,
        "sha256": sha256,
        "channel_order": convolutions.channel_order,
        "layout": convolutions.layout,
    }
    arrays = {f"kernel/{name}": convolutions.kernels[name] for name in CONVOLUTIONS}
    arrays |= {f"bias/{name}": convolutions.biases[name] for name in CONVOLUTIONS}
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(file, about=text, mean=convolutions.mean, **arrays)  # type: ignore[arg-type]


def unpack(file: BinaryIO, sha256: str) -> Convolutions:
    """Read what ``pack`` wrote, checking every CRC-32, every shape and the file it came from.

    Raises:
        ValueError: it is damaged, of another format, or of another weights file.
    """
    arrays = read_arrays(file)
    try:
        about = json.loads(arrays["about"].tobytes())
        if about["format"] != _FORMAT or about["sha256"] != sha256:
            raise ValueError("it belongs to another format or another weights file")
        order: ChannelOrder = "BGR" if about["channel_order"] == "BGR" else "RGB"
        kernels = {name: arrays[f"kernel/{name}"] for name in CONVOLUTIONS}
        biases = {name: arrays[f"bias/{name}"] for name in CONVOLUTIONS}
        for name in CONVOLUTIONS:
            shape = kernel_shape(name)
            if kernels[name].shape != shape or biases[name].shape != shape[-1:]:
                raise ValueError(f"{name} has a wrong shape")
        return Convolutions(kernels, biases, order, arrays["mean"], about["layout"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class FileStamp:
    """What changes when a file does, short of reading it."""

    path: str
    size: int
    modified_ns: int
    changed_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """Stamp of ``path``, links resolved.

        Raises:
            OSError: the file is not there.
        """
        resolved = path.resolve()
        state = resolved.stat()
        return cls(
            path=str(resolved),
            size=state.st_size,
            modified_ns=state.st_mtime_ns,
            changed_ns=state.st_ctime_ns,
            inode=state.st_ino,
            device=state.st_dev,
        )


class WeightsCache:
    """Digests of weights files and the convolutions read from them, in one directory.

    Args:
        directory: created when first written; None is ``default_cache_directory()``.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._cache = CacheDirectory("weights", _LARGEST_BYTES, directory)
        self.directory = self._cache.path

    def digests(self, path: Path) -> FileDigests:
        """SHA-256 and MD5 of ``path``; read from the index if the file is as it was when hashed.

        "As it was" means same path, size, time stamps, inode and device.

        Raises:
            WeightsError: the file changes while it is being read.
            OSError: it cannot be read.
        """
        stamp = FileStamp.of(path)
        entry = f"digest-{blake2b(stamp.path.encode(), digest_size=16).hexdigest()}"
        remembered = self._cache.read(entry, lambda file: _read_digests(file, stamp))
        if remembered is not None:
            return remembered
        digests = digests_of_file(path)
        check_unchanged(path, stamp)
        if time.time_ns() - stamp.modified_ns > _SETTLED_NS:
            text = json.dumps({"stamp": asdict(stamp), "digests": asdict(digests)})
            self._cache.write(entry, lambda file: file.write(text.encode()))
        return digests

    def load(self, sha256: str) -> Convolutions | None:
        """Convolutions of the weights file ``sha256``, verified; None where there are none."""
        return self._cache.read(entry_of(sha256), lambda file: unpack(file, sha256))

    def store(self, sha256: str, convolutions: Convolutions) -> None:
        """Keep convolutions for the next start; a directory that cannot be written is a warning."""
        self._cache.write(entry_of(sha256), lambda file: pack(file, convolutions, sha256))


def entry_of(sha256: str) -> str:
    """File name of the convolutions of a weights file."""
    return f"vgg19-{sha256}-v{_FORMAT}.npz"


def check_unchanged(path: Path, stamp: FileStamp) -> None:
    """Check that a file is still as it was when ``stamp`` was taken.

    Raises:
        WeightsError: it changed.
    """
    if FileStamp.of(path) != stamp:
        raise WeightsError(
            "the file changed while it was being read",
            where=str(path),
            remedy="wait until whatever writes it (a download?) has finished",
        )


def _read_digests(file: BinaryIO, stamp: FileStamp) -> FileDigests | None:
    try:
        entry = json.loads(file.read())
        digests = FileDigests(**entry["digests"])
        whole = _SHA256.fullmatch(digests.sha256) and _MD5.fullmatch(digests.md5)
        return digests if whole and entry["stamp"] == asdict(stamp) else None
    except (ValueError, KeyError, TypeError):
        return None
