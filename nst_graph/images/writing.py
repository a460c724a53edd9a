"""RGB arrays -> picture files, whole or not at all, and the metadata that travels in them."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from nst_graph.errors import PictureError, choices_text
from nst_graph.files import replace_file
from nst_graph.images.arrays import UInt8Array, check_pixels
from nst_graph.images.headers import (
    DEFAULT_MAX_PIXELS,
    READ_FORMATS,
    PathText,
    check_pixel_limit,
    damaged_picture,
    leave_uncounted,
    opened_picture,
    read_header,
    without_pillow_limit,
)

_IMAGE_DESCRIPTION, _SOFTWARE = 0x010E, 0x0131  # EXIF and TIFF tags


@dataclass(frozen=True)
class WriteFormat:
    """How one format is written.

    Attributes:
        name: Pillow's name of the format.
        options: arguments of Pillow's writer.
        max_side: the longest side the format can hold, in pixels.
        lossless: a picture read back has the same pixels.
    """

    name: str
    options: Mapping[str, Any]
    max_side: int
    lossless: bool


_PNG = WriteFormat("PNG", {}, 2**31 - 1, lossless=True)
# Pillow's defaults, quality 75 and 4:2:0, would smear the strokes that the optimisation drew.
_JPEG = WriteFormat("JPEG", {"quality": 95, "subsampling": 0}, 65_500, lossless=False)
# Lossless, because lossy WebP always halves the chroma resolution.
_WEBP = WriteFormat("WEBP", {"lossless": True}, 16_383, lossless=True)
_TIFF = WriteFormat("TIFF", {"compression": "tiff_deflate"}, 2**31 - 1, lossless=True)

#: File extension, lower case -> how it is written.
WRITE_FORMATS: Mapping[str, WriteFormat] = MappingProxyType(
    {".png": _PNG, ".jpg": _JPEG, ".jpeg": _JPEG, ".webp": _WEBP, ".tif": _TIFF, ".tiff": _TIFF}
)


def write_format(path: PathText) -> WriteFormat:
    """The format that ``path``'s extension names, upper or lower case.

    Raises:
        PictureError: no extension, or one that is not in ``WRITE_FORMATS``.
    """
    extension = Path(path).suffix.lower()
    if extension not in WRITE_FORMATS:
        raise PictureError(
            f"cannot write pictures of kind {extension!r}" if extension else "no file extension",
            where=os.fspath(path),
            remedy=choices_text(extension, WRITE_FORMATS),
        )
    return WRITE_FORMATS[extension]


def write_picture(
    path: PathText,
    pixels: UInt8Array,
    *,
    metadata: Mapping[str, str] | None = None,
    icc_profile: bytes | None = None,
) -> None:
    """Write a picture so that ``path`` holds either the whole new file or what it held before.

    PNG, TIFF (deflate) and WebP are lossless; JPEG has quality 95 without chroma subsampling.
    Metadata goes into PNG as text chunks, one a key; into JPEG, WebP and TIFF as one JSON object
    in EXIF (TIFF) tag ImageDescription, with the value of ``Software`` in the tag of that name,
    too. The same pixels and metadata give the same bytes.

    Args:
        path: its extension chooses the format, see ``WRITE_FORMATS``. The folder must exist.
        pixels: uint8 [height, width, 3] RGB.
        metadata: keys of 1 to 79 printable Latin-1 characters (PNG's rule, kept for every format);
            any text as values.
        icc_profile: embedded as it is.

    Raises:
        PictureError: unknown extension, wrong dtype or shape, too large for the format, or
            metadata that it cannot hold.
        OutputError: the file cannot be written; nothing is left behind.
    """
    where = os.fspath(path)
    kind = write_format(path)
    check_pixels(pixels, where)
    if max(pixels.shape) > kind.max_side:
        raise PictureError(
            f"{pixels.shape[1]} x {pixels.shape[0]} pixels, above {kind.max_side} a side",
            where=where,
            remedy="write a .png file",
        )
    replace_file(Path(path), _encode(pixels, kind, metadata or {}, icc_profile, where))


def png_bytes(pixels: UInt8Array) -> bytes:
    """A picture as the bytes of a PNG file, to put into another file.

    Args:
        pixels: uint8 [height, width, 3] RGB.

    Raises:
        PictureError: wrong dtype or shape.
    """
    check_pixels(pixels, "picture")
    return _encode(pixels, _PNG, {}, None, "picture")


def webp_bytes(pixels: UInt8Array, quality: int = 82) -> bytes:
    """A picture as the bytes of a lossy WebP file, to be shown in a page; for PNG, a tenth.

    Args:
        pixels: uint8 [height, width, 3] RGB, at most 16383 a side.
        quality: 1 to 100.

    Raises:
        PictureError: wrong dtype or shape, or too large.
    """
    check_pixels(pixels, "picture")
    lossy = WriteFormat("WEBP", {"quality": quality}, _WEBP.max_side, lossless=False)
    return _encode(pixels, lossy, {}, None, "picture")


def read_metadata(path: PathText) -> dict[str, str]:
    """Metadata of a PNG, JPEG, WebP or TIFF written by ``write_picture``; of any PNG, its texts.

    Raises:
        PictureError: missing, unreadable, not a picture, damaged, too large.
    """
    from PIL import Image

    where = os.fspath(path)
    with opened_picture(path) as file:
        header = read_header(file, where, frames=leave_uncounted)
        check_pixel_limit(header.picture, DEFAULT_MAX_PIXELS, where)
        file.seek(0)
        try:
            with without_pillow_limit():
                image = Image.open(file, formats=READ_FORMATS)
            if header.picture.format == "PNG":
                texts: Mapping[str, str] = getattr(image, "text", {})
                return {str(key): str(value) for key, value in texts.items()}
            description = image.getexif().get(_IMAGE_DESCRIPTION, "")
        except Exception as fault:  # as in read_header
            raise damaged_picture(fault, where) from None
    try:
        found = json.loads(description)
    except (TypeError, ValueError):
        return {}
    return {k: str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _encode(
    pixels: UInt8Array,
    kind: WriteFormat,
    metadata: Mapping[str, str],
    icc_profile: bytes | None,
    where: str,
) -> bytes:
    import imageio.v3 as imageio

    options: dict[str, Any] = dict(kind.options)
    if metadata:
        options |= _metadata_options(metadata, kind, where)
    if icc_profile is not None:
        options["icc_profile"] = icc_profile
    try:
        encoded: bytes = imageio.imwrite(
            "<bytes>",
            np.ascontiguousarray(pixels),
            plugin="pillow",
            extension="." + kind.name.lower(),
            is_batch=False,
            **options,
        )
    except (OSError, ValueError, OverflowError, struct.error) as fault:
        raise PictureError(
            f"cannot be written as {kind.name} ({fault})", where=where, remedy="write a .png file"
        ) from None
    return encoded


def _metadata_options(metadata: Mapping[str, str], kind: WriteFormat, where: str) -> dict[str, Any]:
    from PIL import Image, PngImagePlugin

    for key in metadata:
        if not re.fullmatch(r"(?! )[\x20-\x7e\xa1-\xff]{1,79}(?<! )", key):
            raise PictureError(
                f"metadata key {key!r}",
                where=where,
                remedy="keys are 1 to 79 printable Latin-1 characters, without blanks at the ends",
            )
    if kind.name != "PNG":
        exif = Image.Exif()
        # ImageDescription is ASCII by its standard; JSON escapes carry the rest.
        exif[_IMAGE_DESCRIPTION] = json.dumps(dict(metadata), ensure_ascii=True)
        if metadata.get("Software", "").isascii():
            exif[_SOFTWARE] = metadata.get("Software", "")
        return {"exif": exif.tobytes()}
    chunks = PngImagePlugin.PngInfo()
    for key, value in metadata.items():
        # Names of files may hold what is no text in UTF-8 (PEP 383); PNG texts hold no NUL.
        text = value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
        # Every program shows tEXt, but beyond ASCII not all agree on its encoding.
        if text.isascii():
            chunks.add_text(key, text)
        else:
            chunks.add_itxt(key, text)
    return {"pnginfo": chunks}
