"""Pictures side by side, each with its caption: content | style | result."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nst_graph.colors import LUMA
from nst_graph.errors import PictureError
from nst_graph.images import UInt8Array, resize
from nst_graph.images.arrays import check_pixels

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

Color = tuple[int, int, int]

_WHITE: Color = (255, 255, 255)
_DARK: Color = (51, 51, 51)
_LIGHT: Color = (230, 230, 230)
_SMALLEST_HEIGHT = 160  # below it captions cannot be read
_ELLIPSIS = "..."


def side_by_side(
    panels: Sequence[tuple[str, UInt8Array]],
    *,
    height: int | None = None,
    gap: int | None = None,
    background: Color = _WHITE,
) -> UInt8Array:
    """Draw pictures in a row, at one height and in their own proportions, captions below.

    Args:
        panels: (caption, uint8 [height, width, 3] RGB), from left to right. A caption wider than
            its picture is shortened; letters outside ASCII lose their accents or become "?".
        height: of every picture, in pixels; by default that of the lowest, but at least 160.
        gap: between pictures and around them, in pixels; by default a thirtieth of the height.
        background: RGB, 0..255. Captions are dark on a light background and light on a dark one.

    Returns:
        uint8 [height, width, 3], RGB.

    Raises:
        PictureError: no panels, or one that is not uint8 [height, width, 3].
        ConfigError: an impossible height.
    """
    from PIL import Image, ImageDraw, ImageFont

    if not panels:
        raise PictureError("no pictures to set side by side", remedy="give at least one")
    for caption, pixels in panels:
        check_pixels(pixels, where=caption)
    if height is None:
        height = max(_SMALLEST_HEIGHT, min(pixels.shape[0] for _, pixels in panels))
    if gap is None:
        gap = max(4, round(height / 30))
    scaled = [_at_height(pixels, height) for _, pixels in panels]
    font_size = max(11, round(height / 18))
    font = ImageFont.load_default(font_size)
    strip = font_size * 2 if any(caption for caption, _ in panels) else 0

    total = sum(pixels.shape[1] for pixels in scaled) + gap * (len(scaled) + 1)
    canvas = Image.new("RGB", (total, height + 2 * gap + strip), background)
    draw = ImageDraw.Draw(canvas)
    ink = _DARK if LUMA @ background > 127 else _LIGHT
    left = gap
    for (caption, _), pixels in zip(panels, scaled, strict=True):
        width = pixels.shape[1]
        canvas.paste(Image.fromarray(pixels), (left, gap))
        middle = (left + width / 2, gap + height + (gap + strip) / 2)
        draw.text(middle, _fitted(caption, width, draw, font), fill=ink, font=font, anchor="mm")
        left += width + gap
    return np.array(canvas)


def _at_height(pixels: UInt8Array, height: int) -> UInt8Array:
    rows, columns = pixels.shape[:2]
    return resize(pixels, (height, max(1, round(columns * height / rows))))


def _fitted(caption: str, width: int, draw: ImageDraw, font: FreeTypeFont | ImageFont) -> str:
    """The caption on one line, its end cut off where it would be wider than the picture."""
    text = _drawable(caption)
    if draw.textlength(text, font=font) <= width:
        return text
    while text and draw.textlength(text + _ELLIPSIS, font=font) > width:
        text = text[:-1].rstrip()
    return text + _ELLIPSIS if text else ""


def _drawable(caption: str) -> str:
    """The caption in ASCII, all that Pillow's built-in font draws; accents dropped, the rest ?."""
    plain = caption.translate({0x2013: "-", 0x2014: "-", 0x2018: "'", 0x2019: "'", 0xD7: "x"})
    letters = (c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    return " ".join("".join(letters).encode("ascii", "replace").decode("ascii").split())
