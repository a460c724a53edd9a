"""A run's pictures, small enough for a page of a few megabytes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_graph.errors import NstGraphError
from nst_graph.frames import time_line
from nst_graph.images import UInt8Array, read_picture, resize, webp_bytes
from nst_graph.report.record import RunRecord
from nst_graph.sources import PictureSource
from nst_graph.webpage import data_uri

#: Longest sides in pixels: the result, an input, an image of the way, a stamp of a batch.
RESULT_SIDE, INPUT_SIDE, FRAME_SIDE, STAMP_SIDE = 1600, 640, 560, 280

#: Images of the way in a page: 40 of 560 pixels are 2 to 4 MB.
MOST_FRAMES = 40


@dataclass(frozen=True)
class Shown:
    """A picture in the page.

    Attributes:
        uri: holds it.
        width, height: in pixels.
    """

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Moment:
    """A place on the time line: the picture after an iteration, and the losses read there."""

    iteration: int
    picture: Shown
    losses: Mapping[str, float]


def shown(pixels: UInt8Array, side: int) -> Shown:
    """A picture, reduced where its longest side is above ``side``."""
    small = resize(pixels, side) if max(pixels.shape[:2]) > side else pixels
    height, width = small.shape[:2]
    return Shown(data_uri("image/webp", webp_bytes(small)), width, height)


def shown_file(path: Path | None, side: int) -> Shown | None:
    """The picture in a file; None where there is none that can be read."""
    if path is not None:
        with suppress(NstGraphError):
            return shown(read_picture(path).in_srgb, side)
    return None


def shown_input(facts: Any, resize_method: str) -> Shown | None:
    """A run's input as it went in; None where its file is gone, or is another now."""
    with suppress(NstGraphError, KeyError, TypeError, ValueError):
        source = PictureSource(facts["path"], (facts["height"], facts["width"]), resize_method)
        picture = source.read()
        if picture.sha256 == facts["sha256"]:
            return shown(picture.in_srgb, INPUT_SIDE)
    return None


def moments_of(run: RunRecord) -> list[Moment]:
    """The time line, less what cannot be read."""
    moments = []
    for frame in time_line(run.path, MOST_FRAMES):
        picture = shown_file(frame.path, FRAME_SIDE)
        if picture is not None:
            moments.append(Moment(frame.iteration, picture, run.losses_at(frame.iteration)))
    return moments
