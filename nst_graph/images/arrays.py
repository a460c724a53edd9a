"""The one form in which pictures travel: uint8 [height, width, 3] RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nst_graph.errors import PictureError

UInt8Array = npt.NDArray[np.uint8]


def check_pixels(pixels: npt.NDArray[Any], where: str = "") -> None:
    """Raise PictureError unless ``pixels`` is uint8 [height, width, 3] with at least one pixel."""
    dtype, shape = getattr(pixels, "dtype", type(pixels).__name__), np.shape(pixels)
    if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise PictureError(
            f"expected uint8 pixels [height, width, 3], got {dtype} {list(shape)}",
            where=where,
            remedy="clip to 0..255 and convert to uint8 RGB first",
        )
