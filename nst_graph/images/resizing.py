"""Picture sizes: what a job's ``size`` means, and resampling to it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeGuard

import numpy as np

from nst_graph.errors import ConfigError, choices_text
from nst_graph.images.arrays import UInt8Array, check_pixels
from nst_graph.images.headers import DEFAULT_MAX_PIXELS

#: Name in a job file -> member of ``PIL.Image.Resampling``. All but nearest average when shrinking.
RESIZE_METHODS: Mapping[str, str] = MappingProxyType(
    {
        "lanczos": "LANCZOS",
        "bicubic": "BICUBIC",
        "bilinear": "BILINEAR",
        "nearest": "NEAREST",
        "area": "BOX",
    }
)


def target_shape(height: int, width: int, size: int | tuple[int, int]) -> tuple[int, int]:
    """Size of a picture of ``height`` x ``width`` after ``resize``, as (height, width).

    Args:
        height: at least 1.
        width: at least 1.
        size: an int is the longest side; the other follows in proportion, rounded to the
            nearest, at least 1. A pair (height, width) is exact.

    Raises:
        ConfigError: not a positive int or a pair of them, or above ``DEFAULT_MAX_PIXELS``.
    """
    if _is_side(size):
        scale = size / max(height, width)
        shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    elif isinstance(size, tuple) and len(size) == 2 and all(map(_is_side, size)):
        shape = size
    else:
        raise ConfigError(
            f"size {size!r} is not a size",
            remedy="give the longest side in pixels, or (height, width), each 1 or more",
        )
    if shape[0] * shape[1] > DEFAULT_MAX_PIXELS:
        raise ConfigError(
            f"size {size!r} makes {shape[1]} x {shape[0]} pixels",
            remedy=f"at most {DEFAULT_MAX_PIXELS:,} in all",
        )
    return shape


def _is_side(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def resize(pixels: UInt8Array, size: int | tuple[int, int], method: str = "lanczos") -> UInt8Array:
    """Resize uint8 [height, width, 3] as Pillow does, on the stored (gamma-coded) values.

    Args:
        pixels: uint8 [height, width, 3].
        size: longest side, or exact (height, width); see ``target_shape``.
        method: a name in ``RESIZE_METHODS``.

    Returns:
        uint8 [new height, new width, 3]; ``pixels`` itself where the size is already right.

    Raises:
        ConfigError: unknown method, or impossible size.
        PictureError: ``pixels`` is not uint8 [height, width, 3].
    """
    if method not in RESIZE_METHODS:
        raise ConfigError(
            f"unknown resize method {method!r}", remedy=choices_text(method, RESIZE_METHODS)
        )
    check_pixels(pixels)
    height, width = pixels.shape[:2]
    shape = target_shape(height, width, size)
    if shape == (height, width):
        return pixels
    from PIL import Image

    filter_ = Image.Resampling[RESIZE_METHODS[method]]
    return np.array(Image.fromarray(pixels).resize(shape[::-1], resample=filter_))
