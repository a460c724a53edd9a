"""Pictures drawn by code, so that the program can show itself without any file or network.

``landscape`` is meant as the content picture and ``painting`` as the style picture. Each is drawn
from a fixed seed: the same size gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nst_graph.errors import ConfigError, choices_text

Draw = Callable[[int, int], npt.NDArray[np.uint8]]

#: Size at which the pictures were composed: that of the Coursera assignment's photographs.
DEFAULT_HEIGHT, DEFAULT_WIDTH = 300, 400

MIN_SIDE, MAX_SIDE = 32, 2048


def _draw_landscape(height: int, width: int) -> npt.NDArray[np.uint8]:
    # Imported on use: Pillow is not wanted where only the names are listed.
    from nst_graph.embedded.landscape import landscape

    return landscape(height, width)


def _draw_painting(height: int, width: int) -> npt.NDArray[np.uint8]:
    from nst_graph.embedded.painting import painting

    return painting(height, width)


#: By name: functions from (height, width) in pixels to a picture, uint8 [height, width, 3] RGB.
PICTURES: dict[str, Draw] = {"landscape": _draw_landscape, "painting": _draw_painting}


def draw(
    name: str, height: int = DEFAULT_HEIGHT, width: int = DEFAULT_WIDTH
) -> npt.NDArray[np.uint8]:
    """Draw an embedded picture.

    Args:
        name: key of `PICTURES`.
        height: pixels, `MIN_SIDE` to `MAX_SIDE`.
        width: pixels, `MIN_SIDE` to `MAX_SIDE`. The composition is stretched to the ratio asked
            for; it was made for 3:4.

    Returns:
        uint8 [height, width, 3] RGB, 0..255; the same bytes each time.

    Raises:
        ConfigError: unknown name, or a side out of range.
    """
    if name not in PICTURES:
        raise ConfigError(f"unknown embedded picture {name!r}", remedy=choices_text(name, PICTURES))
    for side, pixels in (("height", height), ("width", width)):
        if not MIN_SIDE <= pixels <= MAX_SIDE:
            raise ConfigError(
                f"{side} {pixels} of the embedded picture {name!r} is out of range",
                remedy=f"choose {MIN_SIDE} to {MAX_SIDE} pixels",
            )
    return PICTURES[name](height, width)
