"""Many pictures on one sheet, as small as stamps, each with its caption."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nst_graph.images import UInt8Array, resize
from nst_graph.montage import side_by_side

#: Side in pixels of the square that each picture is fitted into.
STAMP_SIDE = 192

#: A sheet of more columns is too wide to be looked at.
MAX_COLUMNS = 12

_WHITE = 255
_GREY = 224


def stamp(pixels: UInt8Array, side: int = STAMP_SIDE) -> UInt8Array:
    """A picture reduced or enlarged to fit a white square of ``side``, in its own proportions.

    Args:
        pixels: uint8 [height, width, 3], RGB.

    Returns:
        uint8 [side, side, 3], RGB.
    """
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    small = resize(pixels, (max(1, round(height * scale)), max(1, round(width * scale))))
    square = np.full((side, side, 3), _WHITE, np.uint8)
    top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    return square


def blank(side: int = STAMP_SIDE) -> UInt8Array:
    """In place of a picture that is not there: uint8 [side, side, 3], grey."""
    return np.full((side, side, 3), _GREY, np.uint8)


def contact_sheet(stamps: Sequence[tuple[str, UInt8Array]], columns: int = 0) -> UInt8Array:
    """Set stamps in rows.

    Args:
        stamps: (caption, uint8 [side, side, 3] RGB), all of one side; at least one.
        columns: of them in a row; 0, or more than 12, for a sheet that is about square.

    Returns:
        uint8 [height, width, 3], RGB.
    """
    if not 0 < columns <= MAX_COLUMNS:
        columns = min(MAX_COLUMNS, math.ceil(math.sqrt(len(stamps))))
    columns = min(columns, len(stamps))
    side = stamps[0][1].shape[0]
    empty = ("", np.full((side, side, 3), _WHITE, np.uint8))
    rows = []
    for start in range(0, len(stamps), columns):
        row = list(stamps[start : start + columns])
        row += [empty] * (columns - len(row))
        rows.append(side_by_side(row, height=side))
    return np.concatenate(rows)
