"""What a picture file says before it is decoded, and what stands there in place of a picture."""

from __future__ import annotations

import difflib
import os
import re
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from nst_graph.errors import PictureError

if TYPE_CHECKING:
    from PIL.Image import Image

PathText = str | os.PathLike[str]

#: 100 megapixels: 300 MB of RGB, above any camera in common use, far above what can be optimised.
DEFAULT_MAX_PIXELS = 100_000_000

#: Pillow's names of the formats read; the others are rare, or hand the file to another program.
READ_FORMATS: tuple[str, ...] = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM")

_IMAGE_WIDTH, _IMAGE_LENGTH, _BITS_PER_SAMPLE = 0x0100, 0x0101, 0x0102  # TIFF 6.0 tags
_ORIENTATION = 0x0112  # EXIF, JEITA CP-3451

# What stands in place of a picture, by its first bytes: (pattern, fault, remedy).
_EXPORT = "export it as PNG or JPEG"
_COPY_AGAIN = "copy or download it again, or save it anew from an image editor"
_UNREADABLE: tuple[tuple[bytes, str, str], ...] = (
    (rb"\Z", "the file is empty", "copy or download it again"),
    (rb"\s*(<!doctype html|<html|<head)", "an HTML page", "download the picture, not its page"),
    (rb"version https://git-lfs", "a Git LFS pointer", "fetch the file with `git lfs pull`"),
    (rb"\s*(<\?xml|<svg)", "an XML or SVG document", _EXPORT),
    (rb"%PDF", "a PDF document", _EXPORT),
    (rb"%!PS", "a PostScript document", _EXPORT),
    (rb"PK\x03\x04", "a zip archive", "unpack it and name the picture inside"),
    (rb"....ftyp(hei[cmsx]|mif1|msf1)", "a HEIC picture, which is not read", _EXPORT),
    (rb"....ftypavi[fs]", "an AVIF picture, which is not read", _EXPORT),
    (rb"\xff\xd8\xff", "a damaged JPEG", _COPY_AGAIN),
    (rb"\x89PNG", "a damaged PNG", _COPY_AGAIN),
    (rb"GIF8", "a damaged GIF", _COPY_AGAIN),
    (rb"RIFF....WEBP", "a damaged WebP picture", _COPY_AGAIN),
    (rb"II[*+]\x00|MM\x00[*+]", "a damaged TIFF, or one of a kind that is not read", _EXPORT),
    (rb"[\t\n\r\x20-\x7e]+\Z", "text, not a picture", "name a picture file"),
    (rb"", "not a picture of a kind that is read", f"read: {', '.join(READ_FORMATS)}; {_EXPORT}"),
)


@dataclass(frozen=True)
class PictureHeader:
    """What a file's header says: upright size in pixels, Pillow's names of format and mode, and the
    embedded ICC profile."""

    height: int
    width: int
    format: str
    mode: str
    icc_profile: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class FileHeader:
    """Facts of a file's header that decide how it is decoded."""

    picture: PictureHeader
    orientation: int
    frames: int  # 0: more than one, but they cannot be counted
    sixteen_bit: bool
    transparency: Any  # Pillow's info["transparency"]: palette entry or entries, grey, RGB, None


def probe_picture(path: PathText, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> PictureHeader:
    """Read only the header of a picture file: enough to validate a job in a millisecond.

    A file that passes may still be refused by ``read_picture``: its pixels have not been decoded.

    Raises:
        PictureError: missing, unreadable, not a picture, too large.
    """
    where = os.fspath(path)
    with opened_picture(path) as file:
        header = read_header(file, where, frames=leave_uncounted)
    check_pixel_limit(header.picture, max_pixels, where)
    return header.picture


@contextmanager
def opened_picture(path: PathText) -> Iterator[BinaryIO]:
    """Open a regular file for reading, or say why not."""
    where = os.fspath(path)
    try:
        # Opening a named pipe would wait for ever; reading a device would never end.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            fault = "a directory" if Path(path).is_dir() else "not a regular file"
            raise PictureError(fault, where=where, remedy="name a picture file")
        file = Path(path).open("rb")  # noqa: SIM115 (closed below, where faults are not ours)
    except FileNotFoundError:
        raise PictureError("no such file", where=where, remedy=_missing_remedy(where)) from None
    except (OSError, ValueError) as refusal:
        reason = getattr(refusal, "strerror", None) or refusal
        raise PictureError(
            f"cannot be opened ({reason})", where=where, remedy="check the path and its permissions"
        ) from None
    with file:
        yield file


def _missing_remedy(where: str) -> str:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", where):
        return "pictures are read from files, never downloaded: save it and name the file"
    with suppress(OSError, ValueError):
        names = [entry.name for entry in Path(where).parent.iterdir()]
        near = difflib.get_close_matches(Path(where).name, names, n=1, cutoff=0.6)
        if near:
            return f"did you mean {str(Path(where).with_name(near[0]))!r}?"
    return f"relative paths start at {Path.cwd()}"


_PILLOW_LIMIT_LOCK = threading.Lock()


@contextmanager
def without_pillow_limit() -> Iterator[None]:
    """Suspend Pillow's own pixel limit, which only warns up to twice its value; ours is checked.

    It is a global of Pillow, read while a file is opened (not while it is decoded).
    """
    from PIL import Image

    with _PILLOW_LIMIT_LOCK:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def check_pixel_limit(header: PictureHeader, max_pixels: int, where: str) -> None:
    """Raise PictureError if the picture has more than ``max_pixels`` pixels."""
    if header.height * header.width > max_pixels:
        raise PictureError(
            f"{header.width} x {header.height} pixels, the limit is {max_pixels:,} in all",
            where=where,
            remedy="shrink the picture first, or raise the limit if you trust the file",
        )


def count_frames(image: Image) -> int:
    """Frames or pages, by walking through the whole file; 0 if that fails."""
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # frames after a sound first one may be damaged in any way
        return 0


def leave_uncounted(image: Image) -> int:
    """In place of ``count_frames`` where nobody asks."""
    return 1


def read_header(
    file: BinaryIO, where: str, frames: Callable[[Image], int] = count_frames
) -> FileHeader:
    """Facts of an open file.

    Raises:
        PictureError: not a picture, or damaged before its pixels begin.
    """
    from PIL import Image, UnidentifiedImageError

    with without_pillow_limit():
        try:
            with Image.open(file, formats=READ_FORMATS) as image:
                return _header_of(image, file, frames)
        except UnidentifiedImageError:
            raise _not_a_picture(file, where) from None
        except Exception as fault:  # Pillow's parsers let nearly any exception out
            raise damaged_picture(fault, where) from None


def _header_of(image: Image, file: BinaryIO, frames: Callable[[Image], int]) -> FileHeader:
    width, height = image.size
    tags = getattr(image, "tag_v2", {})  # TIFF
    if tags:  # newer Pillow reports the upright size, older the stored one
        width, height = tags[_IMAGE_WIDTH], tags[_IMAGE_LENGTH]
    file.seek(0)
    start = file.read(25)
    is_png = image.format == "PNG"
    deep_png = is_png and start[24] == 16  # bit depth of the IHDR chunk
    orientation = _png_orientation(image, file) if is_png else image.getexif().get(_ORIENTATION, 1)
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    if min(width, height) < 1:
        raise ValueError(f"size {width} x {height}")
    return FileHeader(
        picture=PictureHeader(
            height, width, str(image.format), image.mode, image.info.get("icc_profile") or None
        ),
        orientation=orientation,
        sixteen_bit=deep_png or 16 in _as_tuple(tags.get(_BITS_PER_SAMPLE, ())),
        transparency=image.info.get("transparency"),
        frames=frames(image),
    )


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _png_orientation(image: Image, file: BinaryIO) -> Any:
    """EXIF orientation of a PNG. Pillow would decode it to find an eXIf chunk behind the pixels."""
    from PIL.Image import Exif

    if "exif" in image.info or "Raw profile type exif" in image.info:
        return image.getexif().get(_ORIENTATION, 1)
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"eXIf":
            exif = Exif()
            exif.load(b"Exif\0\0" + file.read(length))
            return exif.get(_ORIENTATION, 1)
        file.seek(length + 4, os.SEEK_CUR)  # the chunk and its CRC
    return 1


def _not_a_picture(file: BinaryIO, where: str) -> PictureError:
    file.seek(0)
    start = file.read(256)
    fault, remedy = next(
        (fault, remedy)
        for pattern, fault, remedy in _UNREADABLE
        if re.match(pattern, start, re.IGNORECASE | re.DOTALL)
    )
    return PictureError(fault, where=where, remedy=remedy)


def damaged_picture(fault: Exception, where: str) -> PictureError:
    """What to tell the user when a decoder raised ``fault``."""
    reason = str(fault) or type(fault).__name__
    return PictureError(
        f"the picture is truncated or damaged ({reason})",
        where=where,
        remedy=_COPY_AGAIN,
    )
