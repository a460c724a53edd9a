"""The images that a run has saved on its way, as a time line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nst_graph.artifacts import IMAGES
from nst_graph.errors import PictureError
from nst_graph.origin import read_origin


@dataclass(frozen=True)
class Frame:
    """A saved image.

    Attributes:
        iteration: after which it was taken.
        path: the file.
    """

    iteration: int
    path: Path


def saved_frames(directory: Path) -> list[Frame]:
    """The images of the way in a run's directory, by iteration."""
    found = []
    for path in (directory / IMAGES).glob("iteration_*.*"):
        number = re.fullmatch(r"iteration_(\d+)", path.stem)
        if number:
            found.append(Frame(int(number[1]), path))
    return sorted(found, key=lambda frame: frame.iteration)


def time_line(directory: Path, most: int) -> list[Frame]:
    """At most so many of the images, and after them the result where it is later than they are."""
    frames = spread(saved_frames(directory), most)
    result = result_of(directory)
    if result is not None and (not frames or result.iteration > frames[-1].iteration):
        frames.append(result)
    return frames


def result_of(directory: Path) -> Frame | None:
    """The result in a run's directory; None where there is none that says its iteration."""
    for path in sorted(directory.glob("result.*")):
        try:
            return Frame(read_origin(path).iteration, path)
        except PictureError:
            continue
    return None


def spread(frames: Sequence[Frame], most: int) -> list[Frame]:
    """At most so many of the frames, evenly spread, the first and the last among them."""
    if len(frames) <= most:
        return list(frames)
    return [frames[round(index * (len(frames) - 1) / (most - 1))] for index in range(most)]
