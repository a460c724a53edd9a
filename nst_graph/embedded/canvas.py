"""A float picture in unit coordinates, and the lattice noise that gives it texture.

Positions are (u, v) in 0..1, u to the right and v downwards, so that one description of a scene
draws the same composition at every size and side ratio.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

FloatArray = npt.NDArray[np.float32]
Colour = tuple[float, float, float]
Point = tuple[float, float]

#: Longest side in pixels at which a picture is drawn at least: smaller ones are reduced from it.
_WORKING_SIDE = 600

#: Longest side up to which shapes are drawn at twice the size, for smooth edges. Beyond it memory
#: and time would grow fourfold for edges that are fine enough.
_SMOOTHED_SIDE = 1400


def supersampling(height: int, width: int) -> int:
    """Whole factor at which a picture is drawn before it is reduced to [height, width]."""
    longest = max(height, width)
    if longest > _SMOOTHED_SIDE:
        return 1
    return max(2, -(-_WORKING_SIDE // longest))


def noise(
    rng: np.random.RandomState, height: int, width: int, cells: tuple[int, int], octaves: int = 1
) -> FloatArray:
    """Smooth random texture: value noise on a lattice, summed over octaves.

    Args:
        rng: legacy generator: its stream is frozen, so that a seed means one picture for ever.
        height: rows.
        width: columns.
        cells: lattice cells down and across of the first octave; each next octave doubles them.
        octaves: number of octaves, each half as strong as the one before.

    Returns:
        float32 [height, width], about 0..1 with mean 0.5.
    """
    total = np.zeros((height, width), np.float32)
    weight_sum = 0.0
    for octave in range(octaves):
        rows, columns = cells[0] << octave, cells[1] << octave
        lattice = rng.random_sample((rows + 1, columns + 1)).astype(np.float32)
        weight = 0.5**octave
        total += np.float32(weight) * _stretch(_stretch(lattice, height).T, width).T
        weight_sum += weight
    total /= np.float32(weight_sum)
    return total


def _stretch(lattice: FloatArray, count: int) -> FloatArray:
    """Interpolate along the first axis to ``count`` samples with a smoothstep between nodes."""
    position = (np.arange(count) + 0.5) / count * (len(lattice) - 1)
    index = position.astype(np.int64)
    fraction = smoothstep(0.0, 1.0, (position - index).astype(np.float32))[:, None]
    low: FloatArray = lattice[index]
    return low + (lattice[index + 1] - low) * fraction


def smoothstep(low: float, high: float, value: FloatArray) -> FloatArray:
    """0 below ``low``, 1 above ``high``, and a cubic without a kink between them."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    smooth: FloatArray = t * t * (3 - 2 * t)
    return smooth


def gradient_map(position: FloatArray, stops: Sequence[tuple[float, Colour]]) -> FloatArray:
    """Colour by position along stops of (position, RGB 0..1); float32 [..., 3]."""
    places = [place for place, _ in stops]
    channels = [
        np.interp(position, places, [colour[channel] for _, colour in stops])
        for channel in range(3)
    ]
    return np.stack(channels, axis=-1).astype(np.float32)


class Canvas:
    """RGB picture under construction.

    Attributes:
        rgb: float32 [height, width, 3], 0..1.
        u: float32 [1, width]: position of each column.
        v: float32 [height, 1]: position of each row.
        aspect: width / height, to draw circles round.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.aspect = width / height
        self.rgb: FloatArray = np.zeros((height, width, 3), np.float32)
        self.u: FloatArray = _pixel_centres(width)[None, :]
        self.v: FloatArray = _pixel_centres(height)[:, None]

    def noise(
        self, rng: np.random.RandomState, cells: tuple[int, int], octaves: int = 1
    ) -> FloatArray:
        """`noise` at the size of this canvas."""
        return noise(rng, self.height, self.width, cells, octaves)

    def distance(self, centre: Point) -> FloatArray:
        """Distance of each pixel to ``centre`` in units of the height; [height, width]."""
        du = (self.u - np.float32(centre[0])) * np.float32(self.aspect)
        dv = self.v - np.float32(centre[1])
        distance: FloatArray = np.sqrt(du * du + dv * dv)
        return distance

    def blend(self, colour: Colour | FloatArray, alpha: FloatArray) -> None:
        """Lay ``colour`` (RGB or [height, width, 3]) over the picture.

        ``alpha`` is its opacity, [height, width], 0..1.
        """
        self.rgb += (np.asarray(colour, np.float32) - self.rgb) * alpha[..., None]

    def pen(self) -> Pen:
        """A transparent layer to draw shapes on; `Pen.flatten` gives it back as arrays."""
        return Pen(self.height, self.width)

    def finish(self, height: int, width: int) -> npt.NDArray[np.uint8]:
        """Reduce to uint8 [height, width, 3] RGB, 0..255."""
        picture = Image.fromarray(np.rint(np.clip(self.rgb, 0, 1) * 255).astype(np.uint8))
        return np.array(picture.resize((width, height), Image.Resampling.BOX))


class Pen:
    """Polygons, lines and ellipses in unit coordinates on a transparent layer."""

    def __init__(self, height: int, width: int) -> None:
        self._size = (width, height)
        self._image = Image.new("RGBA", self._size, (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        self._draw.polygon([self._place(point) for point in points], fill=_bytes_of(colour))

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def line(self, points: Sequence[Point], colour: Colour, thickness: float) -> None:
        """``thickness`` is in units of the height."""
        pixels = max(1, round(thickness * self._size[1]))
        self._draw.line([self._place(point) for point in points], _bytes_of(colour), pixels)

    def ellipse(self, centre: Point, radii: Point, colour: Colour) -> None:
        """``radii`` along u and v."""
        left, top = self._place((centre[0] - radii[0], centre[1] - radii[1]))
        right, bottom = self._place((centre[0] + radii[0], centre[1] + radii[1]))
        self._draw.ellipse((left, top, right, bottom), fill=_bytes_of(colour))

    def flatten(self) -> tuple[FloatArray, FloatArray]:
        """Colour float32 [height, width, 3] and coverage [height, width], both 0..1."""
        layer = np.asarray(self._image, np.float32) / np.float32(255)
        return layer[..., :3], layer[..., 3]

    def _place(self, point: Point) -> Point:
        return (point[0] * self._size[0], point[1] * self._size[1])


def _pixel_centres(count: int) -> FloatArray:
    return ((np.arange(count) + 0.5) / count).astype(np.float32)


def _bytes_of(colour: Colour) -> tuple[int, int, int, int]:
    red, green, blue = (round(min(max(channel, 0.0), 1.0) * 255) for channel in colour)
    return (red, green, blue, 255)


def scaled(colour: Colour, brightness: float) -> Colour:
    """The colour made darker or lighter by a factor."""
    return (colour[0] * brightness, colour[1] * brightness, colour[2] * brightness)


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """``first`` with a ``share`` (0..1) of ``second``."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return (red, green, blue)
