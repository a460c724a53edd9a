"""The pictures of a job: files, or pictures drawn by the package (``embedded:NAME``)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from nst_graph import embedded, images
from nst_graph.config import LARGEST_SIDE, SMALLEST_SIDE, Size
from nst_graph.errors import ConfigError, PictureError, choices_text

EMBEDDED_PREFIX = "embedded:"


@dataclass(frozen=True)
class PictureSource:
    """A picture whose existence and size were checked, not yet read.

    Attributes:
        name: as the job gives it.
        shape: (height, width) at which it enters the optimisation.
        resize_method: filter that brings it there.
        icc_profile: embedded in the file.
    """

    name: str
    shape: tuple[int, int]
    resize_method: str
    icc_profile: bytes | None = field(default=None, repr=False)

    def read(self) -> images.Picture:
        """The picture at ``shape``; its digest is that of the file, or of the drawn pixels."""
        if self.name.startswith(EMBEDDED_PREFIX):
            return _drawn(self.name, self.shape)
        picture = images.read_picture(self.name)
        resized = images.resize(picture.pixels, self.shape, self.resize_method)
        height, width = picture.pixels.shape[:2]
        notes = picture.notes
        if (height, width) != self.shape:
            notes = (
                *notes,
                f"resized from {width}x{height} to {self.shape[1]}x{self.shape[0]} "
                f"({self.resize_method})",
            )
        return images.Picture(resized, picture.sha256, picture.path, notes, picture.icc_profile)

    def digest(self) -> str:
        """SHA-256 as ``read`` would give it, without decoding a file.

        Raises:
            PictureError: the file cannot be read.
        """
        if self.name.startswith(EMBEDDED_PREFIX):
            return _drawn(self.name, self.shape).sha256
        try:
            return hashlib.sha256(Path(self.name).read_bytes()).hexdigest()
        except OSError as error:
            raise PictureError(
                f"cannot be read ({error.strerror})",
                where=self.name,
                remedy="check the path and its permissions",
            ) from None


@lru_cache(maxsize=4)
def _drawn(name: str, shape: tuple[int, int]) -> images.Picture:
    """Drawing takes about a second, and the jobs of a batch draw the same picture."""
    pixels = embedded.draw(name.removeprefix(EMBEDDED_PREFIX), *shape)
    pixels.flags.writeable = False
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return images.Picture(pixels, digest, name, ("drawn by nst_graph",))


def check_picture(
    name: str, size: Size | None, resize_method: str, where: str, scale: float = 1.0
) -> PictureSource:
    """Check a picture from its name and header alone.

    Args:
        name: a path, or ``embedded:NAME``.
        size: longest side, (height, width), (height, None) for a width in proportion, rounded
            down, or None to keep its own.
        resize_method: a name in ``images.RESIZE_METHODS``.
        where: of the job's key, for messages.
        scale: factor on both sides that the size comes to.

    Raises:
        ConfigError: no such embedded picture.
        PictureError: not there, not a picture, too large, or too small for VGG-19.
    """
    if name.startswith(EMBEDDED_PREFIX):
        drawn = name.removeprefix(EMBEDDED_PREFIX)
        drawings = embedded.PICTURES | embedded.MASKS
        if drawn not in drawings:
            choices = [EMBEDDED_PREFIX + known for known in drawings]
            raise ConfigError(
                f"unknown picture {name!r}", where=where, remedy=choices_text(name, choices)
            )
        own, profile = (embedded.DEFAULT_HEIGHT, embedded.DEFAULT_WIDTH), None
    else:
        try:
            header = images.probe_picture(name)
        except PictureError as error:
            error.what, error.where = f"{error.where or name}: {error.what}", where
            raise
        own, profile = (header.height, header.width), header.icc_profile
    try:
        shape = own if size is None else images.target_shape(*own, _exact(own, size))
        if scale != 1.0:
            scaled = (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale)))
            shape = images.target_shape(*own, scaled)
    except ConfigError as error:
        error.what, error.where = f"{name}: {error.what}", where
        raise
    least, most = SMALLEST_SIDE, LARGEST_SIDE
    if name.startswith(EMBEDDED_PREFIX):
        least, most = embedded.MIN_SIDE, embedded.MAX_SIDE
    if not least <= min(shape) <= max(shape) <= most:
        raise PictureError(
            f"{name}: {shape[1]} x {shape[0]} pixels is out of range; {least} to {most} a side",
            where=where,
            remedy="choose another size, or another picture",
        )
    return PictureSource(name, shape, resize_method, profile)


def _exact(own: tuple[int, int], size: Size) -> int | tuple[int, int]:
    """``size`` with its width filled in: int(width * rows / height), as the Keras example does."""
    if not isinstance(size, tuple):
        return size
    height, width = size
    return (height, own[1] * height // own[0] if width is None else width)
