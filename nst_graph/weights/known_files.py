"""The published files of VGG-19 weights: where they are and how to recognise them.

Read by the loader, which names the file it was given, and by the downloader, which checks what it
fetched. Kernels are by K. Simonyan and A. Zisserman (arXiv:1409.1556); CC BY 4.0.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

LICENCE = "CC BY 4.0 (Visual Geometry Group, University of Oxford)"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class KnownFile:
    """A published weights file.

    Attributes:
        key: its name on the command line.
        source: name in ``weights.SOURCES`` of the reader of such files.
        filename: its name in the ``pretrained`` folder.
        urls: where it is published, best first; empty where it no longer is.
        size: length in bytes, or None where not known.
        md5: MD5 in hexadecimal. Every published file has one.
        sha256: SHA-256 in hexadecimal, or None where only the MD5 is known.
        layout: "current" or "beta16" (MatConvNet), "keras-1" (dataset names of Keras 1).
        description: one line for people.
        licence: of the kernels.
    """

    key: str
    source: str
    filename: str
    urls: tuple[str, ...]
    size: int | None
    md5: str
    sha256: str | None
    layout: str
    description: str
    licence: str = LICENCE

    def has_digests(self, digests: FileDigests) -> bool:
        """Whether ``digests`` are this file's, by SHA-256 where known, else by MD5."""
        if self.sha256 is not None:
            return digests.sha256 == self.sha256
        return digests.md5 == self.md5


KNOWN_FILES: tuple[KnownFile, ...] = (
    KnownFile(
        key="mat",
        source="matconvnet",
        filename="imagenet-vgg-verydeep-19.mat",
        urls=("https://www.vlfeat.org/matconvnet/models/imagenet-vgg-verydeep-19.mat",),
        size=534_904_783,
        md5="106118b7cf60435e6d8e04f6a6dc3657",
        sha256="abdb57167f82a2a1fbab1e1c16ad9373411883f262a1a37ee5db2e6fb0044695",
        layout="current",
        description="VGG-19 of MatConvNet, current edition",
    ),
    KnownFile(
        key="mat-beta16",
        source="matconvnet",
        filename="imagenet-vgg-verydeep-19-beta16.mat",
        urls=("http://www.vlfeat.org/matconvnet/models/beta16/imagenet-vgg-verydeep-19.mat",),
        size=None,
        md5="8ee3263992981a1d26e73b3ca028a123",
        sha256=None,
        layout="beta16",
        description="VGG-19 of MatConvNet, edition beta16 (the assignment's)",
    ),
    KnownFile(
        key="mat-2015",
        source="matconvnet",
        filename="imagenet-vgg-verydeep-19-2015.mat",
        urls=(),
        size=None,
        md5="b9b4a9eb1c2fb3b50e1ec1aca6f22342",
        sha256=None,
        layout="current",
        description="VGG-19 of MatConvNet, edition of December 2015",
    ),
    KnownFile(
        key="keras-h5",
        source="keras",
        filename="vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        urls=(
            "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
            "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "https://github.com/fchollet/deep-learning-models/releases/download/v0.1/"
            "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        ),
        size=80_134_624,
        md5="253f8cb515780f3b799900260a226db6",
        sha256=None,
        layout="keras-1",
        description="VGG-19 of Keras, convolutions only",
    ),
)


@dataclass(frozen=True)
class FileDigests:
    """Digests of a file's bytes, in lower-case hexadecimal."""

    sha256: str
    md5: str


def digests_of_file(path: Path) -> FileDigests:
    """SHA-256 and MD5 of a file, in one pass over it.

    Raises:
        OSError: the file cannot be read.
    """
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha256.update(chunk)
            md5.update(chunk)
    return FileDigests(sha256=sha256.hexdigest(), md5=md5.hexdigest())


def known_file_of(digests: FileDigests) -> KnownFile | None:
    """The published file that has these digests, or None."""
    return next((known for known in KNOWN_FILES if known.has_digests(digests)), None)
