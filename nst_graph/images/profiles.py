"""ICC profiles: pixels from the colour space of one into that of another."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np

from nst_graph.images.arrays import UInt8Array

#: Two profiles whose conversion changes no value by more are taken for the same space: the many
#: editions of sRGB differ by so much.
_ROUNDING = 2


def profile_name(profile: bytes | None) -> str:
    """What a profile calls itself; sRGB where there is none, unreadable where it is damaged."""
    if profile is None:
        return "sRGB"
    opened = _opened(profile)
    if opened is None:
        return "unreadable"
    return str(opened.profile.profile_description or "unnamed")


def is_readable(profile: bytes) -> bool:
    """Whether colours can be converted by it."""
    return _opened(profile) is not None and _transform(profile, None) is not None


def convert_profile(
    pixels: UInt8Array, source: bytes | None, destination: bytes | None
) -> UInt8Array:
    """The same colours in another RGB space.

    Relative colorimetric with black point compensation, as photo editors convert.

    Args:
        pixels: uint8 [height, width, 3], values of ``source``.
        source: ICC profile of an RGB space; None: sRGB.
        destination: likewise.

    Returns:
        uint8 [height, width, 3]; ``pixels`` itself where the spaces are the same, or where one of
        the profiles cannot be read.
    """
    if source == destination:
        return pixels
    transform = _transform(source, destination)
    if transform is None:
        return pixels
    probe = _probe()
    if np.abs(_apply(transform, probe).astype(int) - probe).max() <= _ROUNDING:
        return pixels
    return _apply(transform, pixels)


def _probe() -> UInt8Array:
    """Colours throughout the cube, uint8 [81, 9, 3]."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(81, 9, 3)


def _apply(transform: Any, pixels: UInt8Array) -> UInt8Array:
    from PIL import Image, ImageCms

    converted = ImageCms.applyTransform(Image.fromarray(pixels), transform)
    return np.array(converted)


@lru_cache(maxsize=8)
def _transform(source: bytes | None, destination: bytes | None) -> Any:
    from PIL import ImageCms

    opened = _opened(source), _opened(destination)
    if None in opened:
        return None
    try:
        return ImageCms.buildTransform(
            opened[0],
            opened[1],
            "RGB",
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except ImageCms.PyCMSError:  # a space that is not RGB, tables that are missing
        return None


def _opened(profile: bytes | None) -> Any:
    from PIL import ImageCms

    try:
        return ImageCms.ImageCmsProfile(
            ImageCms.createProfile("sRGB") if profile is None else io.BytesIO(profile)
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
