"""Picture files -> upright 8-bit RGB.

imageio leaves orientation, transparency, depth, colour model and frames to its caller. All that is
decided here, and each decision that changed pixels is written into ``Picture.notes``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nst_graph.errors import PictureError
from nst_graph.images.arrays import UInt8Array
from nst_graph.images.headers import (
    DEFAULT_MAX_PIXELS,
    FileHeader,
    PathText,
    check_pixel_limit,
    damaged_picture,
    opened_picture,
    read_header,
    without_pillow_limit,
)
from nst_graph.images.profiles import convert_profile

# Pillow mode -> (mode asked of the plugin, note). None: values taken as stored, see _to_eight_bits.
_READ_AS: Mapping[str, tuple[str | None, str]] = {
    "RGB": ("RGB", ""),
    "RGBX": ("RGB", ""),
    "RGBA": ("RGBA", ""),
    "RGBa": ("RGBA", ""),
    "1": ("RGB", "1-bit expanded"),
    "L": ("RGB", "grey repeated in R, G and B"),
    "LA": ("RGBA", "grey repeated in R, G and B"),
    "P": ("RGB", "palette expanded"),
    "PA": ("RGBA", "palette expanded"),
    "CMYK": ("RGB", "CMYK converted"),
    "YCbCr": ("RGB", "YCbCr converted"),
    "LAB": ("RGB", "LAB converted"),
    "I": ("I", "grey repeated in R, G and B"),
    "I;16": (None, "grey repeated in R, G and B"),
    "I;16L": (None, "grey repeated in R, G and B"),
    "I;16B": (None, "grey repeated in R, G and B"),
    "F": (None, "grey repeated in R, G and B"),
}
# Modes in which Pillow can turn one colour, or palette entries, named transparent into alpha.
_KEYED_MODES = frozenset({"1", "L", "P", "RGB"})
# Formats whose mode "I" means 16 bits: Pillow's choice for PGM, and for PNG before Pillow 10.3.
_SIXTEEN_BIT_I = frozenset({"PNG", "PPM"})

# EXIF orientation -> what sets [height, width, ...] upright (JEITA CP-3451, tag 0x0112).
_UPRIGHT: Mapping[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@dataclass(frozen=True)
class Picture:
    """A picture as read.

    Attributes:
        pixels: uint8 [height, width, 3], RGB, 0..255, upright, read-only.
        sha256: digest of the file's bytes, hexadecimal.
        path: the path as given.
        notes: the conversions that changed pixels, for people: "EXIF orientation 6 applied".
        icc_profile: the embedded profile if it describes RGB colours, else None. Pixels are not
            colour-managed: they are the file's own values.
    """

    pixels: UInt8Array = field(repr=False)
    sha256: str
    path: str
    notes: tuple[str, ...] = ()
    icc_profile: bytes | None = field(default=None, repr=False)

    @property
    def in_srgb(self) -> UInt8Array:
        """The pixels in sRGB, for where they are shown without their profile."""
        return convert_profile(self.pixels, self.icc_profile, None)


def read_picture(path: PathText, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Read a picture file as upright 8-bit RGB.

    EXIF orientation is applied; transparency is composited on white; of several frames or pages the
    first is taken; grey, 1-bit, palette, CMYK, YCbCr and LAB become RGB as Pillow converts them; of
    16 bits the high byte is kept; floats in 0..1 are scaled to 0..255 and rounded.

    Args:
        path: a file. Nothing is ever downloaded.
        max_pixels: refuse more than this many pixels (height x width), before decoding.

    Raises:
        PictureError: missing, unreadable, not a picture, damaged, too large, or with values whose
            range is unknown (32-bit integers, floats outside 0..1).
    """
    where = os.fspath(path)
    with opened_picture(path) as file:
        header = read_header(file, where)
        check_pixel_limit(header.picture, max_pixels, where)
        file.seek(0)
        data = file.read()
    notes = []
    if header.frames != 1:
        count = header.frames or "several"
        notes.append(f"first of {count} frames")
    decoded, orientation = _decode(data, header, where)
    rgb = _to_eight_bits(decoded, header, notes, where)
    if rgb.shape[2] == 4:
        rgb = _on_white(rgb, notes)
    if header.orientation in _UPRIGHT:
        notes.append(f"EXIF orientation {header.orientation} applied")
    if orientation in _UPRIGHT:  # Pillow sets some formats (TIFF) upright itself
        rgb = _UPRIGHT[orientation](rgb)
    icc_profile = header.picture.icc_profile
    if icc_profile is not None and icc_profile[16:20] != b"RGB ":  # its colour space, ICC.1 7.2.6
        icc_profile = None
        notes.append("ICC profile dropped (not for RGB)")
    pixels = np.ascontiguousarray(rgb)
    pixels.flags.writeable = False
    return Picture(
        pixels=pixels,
        sha256=hashlib.sha256(data).hexdigest(),
        path=where,
        notes=tuple(notes),
        icc_profile=icc_profile,
    )


def _decode(data: bytes, header: FileHeader, where: str) -> tuple[npt.NDArray[Any], int]:
    """Values of the first frame, and the EXIF orientation still to be applied to them."""
    import imageio.v3 as imageio

    mode = _mode_to_ask_for(header, where)
    options: dict[str, Any] = {} if mode is None else {"mode": mode}
    try:
        with without_pillow_limit():
            file = imageio.imopen(data, "r", plugin="pillow")
        with file:
            # rotate=True is not used: it flips the channels of palette pictures.
            values = file.read(index=0, **options)
            orientation = file.metadata(index=0, exclude_applied=False).get("Orientation", 1)
    except MemoryError:
        raise PictureError(
            f"no memory for {header.picture.width} x {header.picture.height} pixels",
            where=where,
            remedy="shrink the picture first",
        ) from None
    except Exception as fault:  # decoders of damaged files let nearly any exception out
        raise damaged_picture(fault, where) from None
    return values, orientation


def _mode_to_ask_for(header: FileHeader, where: str) -> str | None:
    stored = header.picture.mode
    if stored not in _READ_AS:
        raise PictureError(
            f"pixels of mode {stored!r} are not read",
            where=where,
            remedy="save it anew as 8-bit RGB",
        )
    if header.transparency is None or stored not in _KEYED_MODES:
        return _READ_AS[stored][0]
    # A transparent colour of 16 bits cannot be found again among pixels that Pillow cut to 8.
    return "RGB" if header.sixteen_bit and stored == "RGB" else "RGBA"


def _to_eight_bits(
    values: npt.NDArray[Any], header: FileHeader, notes: list[str], where: str
) -> UInt8Array:
    """uint8 [height, width, 3 or 4] from what the plugin gave."""
    mode = header.picture.mode
    note = _READ_AS[mode][1]
    if note:
        notes.append(note)
    if values.ndim == 2:
        return _expand_grey(values, header, notes, where)
    if header.sixteen_bit:
        notes.append("16-bit reduced to 8")
        if mode == "RGB" and header.transparency is not None:
            notes.append("16-bit transparent colour ignored")
    return values


def _expand_grey(
    values: npt.NDArray[Any], header: FileHeader, notes: list[str], where: str
) -> UInt8Array:
    """uint8 [height, width, 3 or 4] from 16-bit or float grey [height, width]."""
    mode = header.picture.mode
    if mode == "F":
        grey = _scale_floats(values, where)
        notes.append("floats 0..1 scaled to 0..255")
    elif mode == "I" and header.picture.format not in _SIXTEEN_BIT_I:
        raise PictureError(
            "32-bit or signed integer pixels, whose white is unknown",
            where=where,
            remedy="save it anew with 8 or 16 unsigned bits a channel",
        )
    else:
        # The high byte, as Pillow reduces 16-bit RGB: grey saved as RGB gives the same pixels.
        grey = (values >> 8).astype(np.uint8)
        notes.append("16-bit reduced to 8")
    channels = [grey] * 3
    if isinstance(header.transparency, int):
        channels.append(np.where(values == header.transparency, 0, 255).astype(np.uint8))
    return np.stack(channels, axis=-1)


def _scale_floats(values: npt.NDArray[Any], where: str) -> UInt8Array:
    low, high = float(values.min()), float(values.max())  # NaN if any value is
    if not (low >= 0.0 and high <= 1.0):
        raise PictureError(
            f"float pixels from {low:g} to {high:g}, outside 0..1",
            where=where,
            remedy="scale them to 0..1, or save the picture with 8 bits a channel",
        )
    return np.rint(values * 255.0).astype(np.uint8)


def _on_white(rgba: UInt8Array, notes: list[str]) -> UInt8Array:
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    if alpha.min() == 255:
        return rgb
    notes.append("alpha composited on white")
    opacity = alpha.astype(np.uint16)  # 255 * 255 + 127 fits
    blended: UInt8Array = ((rgb * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
    return blended
