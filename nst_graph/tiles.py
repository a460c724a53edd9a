"""Cutting a picture into tiles whose activations are those of the whole picture. No TensorFlow.

A tile *owns* a rectangle of the image, and of every activation the values that stand for it. To
compute these it looks at a *window*, which exceeds the rectangle by what the deepest activation
reaches beyond its own square (``layers.reach_of``). Owned rectangles cover the image once, so sums
over positions, such as Gram matrices, are sums over tiles.

Rectangles and windows begin at multiples of `ALIGNMENT` pixels and end there or at the image's own
edge. Each of the four poolings then pairs the rows that it pairs in the whole picture, an odd last
row is met only where the picture has one, and zero padding at the edge of the picture is the
picture's own. Padding at the other edges of a window is false, and out of the owned values' reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Literal, NamedTuple

#: Pixels of one value behind the last pooling: the resolution at which pictures are cut.
ALIGNMENT = 16

Padding = Literal["SAME", "VALID"]


class Span(NamedTuple):
    """Rows or columns of one tile, in pixels of the image; ends are exclusive.

    Attributes:
        start, stop: what the tile owns.
        window_start, window_stop: what it looks at.
    """

    start: int
    stop: int
    window_start: int
    window_stop: int


class Tile(NamedTuple):
    """A tile of an image."""

    rows: Span
    columns: Span


def cut(height: int, width: int, side: int, reach: int) -> tuple[Tile, ...]:
    """The tiles of an image, row by row.

    Args:
        height, width: of the image, in pixels.
        side: of the largest tile, a multiple of `ALIGNMENT`; tiles come out as equal as can be.
        reach: of the deepest activation that is looked at, in pixels.
    """
    rows, columns = (list(_spans(length, side, reach)) for length in (height, width))
    return tuple(Tile(row, column) for row in rows for column in columns)


def whole(height: int, width: int) -> Tile:
    """An image that is not cut."""
    return Tile(Span(0, height, 0, height), Span(0, width, 0, width))


def _spans(length: int, side: int, reach: int) -> Iterator[Span]:
    """One side of the image, divided."""
    if side < ALIGNMENT or side % ALIGNMENT:
        raise ValueError(f"{side} is not a multiple of {ALIGNMENT}")
    halo = ALIGNMENT * -(-reach // ALIGNMENT)
    units, count = -(-length // ALIGNMENT), -(-length // side)
    edges = [*(ALIGNMENT * (units * index // count) for index in range(count)), length]
    for start, stop in pairwise(edges):
        yield Span(start, stop, max(0, start - halo), min(length, stop + halo))


def positions(pixels: Any, stride: int, padding: Padding) -> Any:
    """Values of an activation that stand for so many pixels, counted from an aligned one.

    Pooling halves a length, and of an odd one keeps the last row (SAME) or drops it (VALID).

    Args:
        pixels: an integer, Python's or TensorFlow's, as is what comes back.
        stride: of the activation.
        padding: of the pooling.
    """
    return (pixels + (stride - 1 if padding == "SAME" else 0)) // stride


def window_of(tile: Tile) -> tuple[slice, slice, slice]:
    """Where the tile looks, as an index of an image [1, height, width, 3]."""
    rows, columns = tile
    return (
        slice(None),
        slice(rows.window_start, rows.window_stop),
        slice(columns.window_start, columns.window_stop),
    )


def owned_part(tile: Tile, stride: int, padding: Padding) -> tuple[slice, slice, slice]:
    """What the tile owns of its window's activation, as an index [1, height, width, channels].

    Args:
        tile: of integers, Python's or TensorFlow's.
        stride: of the activation.
        padding: of the pooling.
    """

    def owned(span: Span) -> slice:
        start, stop = span.start - span.window_start, span.stop - span.window_start
        return slice(start // stride, positions(stop, stride, padding))

    return (slice(None), owned(tile.rows), owned(tile.columns))


def in_picture(tile: Tile) -> Tile:
    """The same tile, looking at everything above and to the left of its end."""
    return Tile(*(span._replace(window_start=0) for span in tile))
