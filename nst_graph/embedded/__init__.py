"""Pictures drawn by code, so that the program can show itself without any file or network.

``landscape`` is meant as the content picture and ``painting`` as the style picture; ``river`` is a
mask of the landscape. Each is drawn from a fixed seed: the same size gives the same bytes.
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


def _draw_river(height: int, width: int) -> npt.NDArray[np.uint8]:
    from nst_graph.embedded.town import WATER_LINE

    below = (np.arange(height) + 0.5) - WATER_LINE * height
    rows = np.rint(255 * np.clip(below + 0.5, 0, 1)).astype(np.uint8)
    return np.repeat(rows, width * 3).reshape(height, width, 3)


#: By name: functions from (height, width) in pixels to a picture, uint8 [height, width, 3] RGB.
PICTURES: dict[str, Draw] = {"landscape": _draw_landscape, "painting": _draw_painting}

#: By name: masks for regions of the pictures, white on black, drawn by functions of the same kind.
MASKS: dict[str, Draw] = {"river": _draw_river}


def draw(
    name: str, height: int = DEFAULT_HEIGHT, width: int = DEFAULT_WIDTH
) -> npt.NDArray[np.uint8]:
    """Draw an embedded picture.

    Args:
        name: key of `PICTURES` or `MASKS`.
        height: pixels, `MIN_SIDE` to `MAX_SIDE`.
        width: pixels, `MIN_SIDE` to `MAX_SIDE`. The composition is stretched to the ratio asked
            for; it was made for 3:4.

    Returns:
        uint8 [height, width, 3] RGB, 0..255; the same bytes each time.

    Raises:
        ConfigError: unknown name, or a side out of range.
    """
    drawings = PICTURES | MASKS
    if name not in drawings:
        raise ConfigError(f"unknown embedded picture {name!r}", remedy=choices_text(name, drawings))
    for side, pixels in (("height", height), ("width", width)):
        if not MIN_SIDE <= pixels <= MAX_SIDE:
            raise ConfigError(
                f"{side} {pixels} of the embedded picture {name!r} is out of range",
                remedy=f"choose {MIN_SIDE} to {MAX_SIDE} pixels",
            )
    return drawings[name](height, width)
