"""The embedded style picture: an oil painting of cornfields under a turning sky, drawn by code.

Several thousand curved brush strokes follow one flow field, laid in coats from broad to fine. Each
stroke is a bundle of bristles with its own hue, and the thickness of the paint is lit from the top
left, so that ridges shine and furrows shade (impasto).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from nst_graph.embedded.canvas import FloatArray, Point, gradient_map, smoothstep, supersampling

_SEED = 1889
_HORIZON = 0.60
_SUN: Point = (0.76, 0.22)
_SUN_RADIUS = 0.085
#: Centre (u, v), reach in heights, sense of rotation.
_EDDIES = ((0.36, 0.24, 0.17, 1.0), (0.12, 0.40, 0.11, -1.0), (0.56, 0.45, 0.10, -1.0))
_CYPRESS: Point = (0.145, 0.98)
_SEGMENTS = 8


@dataclass(frozen=True)
class _Coat:
    """One coat of paint; lengths and widths are in units of the picture's height."""

    strokes: int
    length: float
    width: float
    bristles: int
    variation: float


_COATS = (
    _Coat(strokes=900, length=0.20, width=0.042, bristles=7, variation=0.04),
    _Coat(strokes=2400, length=0.115, width=0.022, bristles=5, variation=0.08),
    _Coat(strokes=4200, length=0.075, width=0.0125, bristles=4, variation=0.12),
    _Coat(strokes=1800, length=0.045, width=0.0085, bristles=3, variation=0.17),
)


def painting(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Draw the painting; uint8 [height, width, 3] RGB, the same composition at every size."""
    factor = supersampling(height, width)
    easel = _Easel(height * factor, width * factor)
    rng = np.random.RandomState(_SEED)
    for coat in _COATS:
        easel.lay(coat, rng)
    return easel.finish(height, width)


class _Easel:
    """Colour and thickness of the paint laid so far."""

    def __init__(self, height: int, width: int) -> None:
        self._size = np.array((width, height), np.float32)
        self._aspect = width / height
        self._colour = Image.new("RGB", (width, height), (58, 66, 92))
        self._relief = Image.new("L", (width, height), 90)
        self._colour_pen = ImageDraw.Draw(self._colour)
        self._relief_pen = ImageDraw.Draw(self._relief)

    def lay(self, coat: _Coat, rng: np.random.RandomState) -> None:
        """Lay one coat: strokes start at random places and run with the flow."""
        starts = _spread(rng, coat.strokes)
        lengths = coat.length * (0.6 + 0.8 * rng.random_sample(coat.strokes)).astype(np.float32)
        paths, normals = _follow_flow(starts, lengths, self._aspect)
        middle = paths[:, _SEGMENTS // 2]
        paint = _mix_paint(middle, coat.variation, self._aspect, rng)
        across = np.linspace(-0.5, 0.5, coat.bristles, dtype=np.float32)
        shades = 1 + 0.16 * (rng.random_sample((coat.strokes, coat.bristles)) - 0.5)
        load = 60 + 150 * rng.random_sample((coat.strokes, coat.bristles))
        tones = np.clip(paint[:, None] * shades[..., None] * 255, 0, 255).astype(np.uint8).tolist()
        heights = (load * (1.1 - 1.4 * np.abs(across))).astype(np.uint8).tolist()
        offsets = across[None, :, None, None] * np.float32(coat.width) * normals[:, None]
        pixels = (
            paths[:, None] + offsets * np.array((1 / self._aspect, 1), np.float32)
        ) * self._size
        rows = pixels.reshape(coat.strokes, coat.bristles, -1).tolist()
        pitch = coat.width / max(coat.bristles - 1, 1) * float(self._size[1])
        thickness = max(1, round(1.35 * pitch))
        for stroke in range(coat.strokes):
            for bristle in range(coat.bristles):
                line = rows[stroke][bristle]
                self._colour_pen.line(line, tuple(tones[stroke][bristle]), thickness, "curve")
                self._relief_pen.line(line, heights[stroke][bristle], thickness, "curve")

    def finish(self, height: int, width: int) -> npt.NDArray[np.uint8]:
        """Light the relief from the top left, reduce, and return uint8 [height, width, 3]."""
        relief = np.asarray(self._relief, np.float32) / np.float32(255)
        step = max(1, round(float(self._size[1]) / 500))
        lit = np.zeros_like(relief)
        lit[step:, step:] = relief[step:, step:] - relief[:-step, :-step]
        colour = np.asarray(self._colour, np.float32)
        gloss = np.clip(lit, -0.5, 0.5)[..., None]
        colour = colour * (1 + np.float32(0.42) * gloss) + 34 * np.clip(gloss - 0.12, 0, 1)
        picture = Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))
        return np.array(picture.resize((width, height), Image.Resampling.BOX))


def _spread(rng: np.random.RandomState, count: int) -> FloatArray:
    """Starting points (u, v) that cover the picture evenly: a jittered grid in random order."""
    columns = int(np.ceil(np.sqrt(count * 4 / 3)))
    rows = -(-count // columns)
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    points = (grid + rng.random_sample(grid.shape)) / (columns, rows)
    order = rng.permutation(len(points))[:count]
    return (points[order] * 1.08 - 0.04).astype(np.float32)


def _follow_flow(
    starts: FloatArray, lengths: FloatArray, aspect: float
) -> tuple[FloatArray, FloatArray]:
    """Paths [strokes, segments + 1, (u, v)] along the flow, and unit normals to them (x, y)."""
    point = starts
    to_unit = np.array((1 / aspect, 1), np.float32)
    paths, normals = [point], []
    step = (lengths / _SEGMENTS)[:, None]
    for _ in range(_SEGMENTS):
        direction = _flow(point, aspect)
        normals.append(np.stack([-direction[:, 1], direction[:, 0]], axis=-1))
        point = (point + direction * step * to_unit).astype(np.float32)
        paths.append(point)
    normals.append(normals[-1])
    return np.stack(paths, axis=1), np.stack(normals, axis=1)


def _flow(point: FloatArray, aspect: float) -> FloatArray:
    """Unit direction (x, y) of the brush at points (u, v); [..., 2] to [..., 2]."""
    sky = _sky_flow(point, aspect)
    land = _land_flow(point)
    on_land = smoothstep(_HORIZON - 0.02, _HORIZON + 0.02, point[..., 1])[..., None]
    direction = sky + (land - sky) * on_land
    tree = _inside_cypress(point)[..., None]
    flame = np.stack(
        [0.35 * np.sin(point[..., 1] * 22), -np.ones_like(point[..., 1])], axis=-1
    ).astype(np.float32)
    direction = direction + (flame - direction) * tree
    length: FloatArray = np.sqrt((direction**2).sum(axis=-1, keepdims=True)) + np.float32(1e-6)
    unit: FloatArray = direction / length
    return unit


def _sky_flow(point: FloatArray, aspect: float) -> FloatArray:
    """A drifting wind with eddies, circling the sun."""
    u, v = point[..., 0], point[..., 1]
    flow = np.stack([np.ones_like(u), 0.35 * np.cos(7.5 * u + 3.0 * v)], axis=-1)
    eddies = (*_EDDIES, (*_SUN, 0.20, 1.0))
    for centre_u, centre_v, reach, sense in eddies:
        x, y = (u - np.float32(centre_u)) * np.float32(aspect), v - np.float32(centre_v)
        radius = np.sqrt(x * x + y * y) + np.float32(1e-4)
        strength = (3.5 * np.exp(-((radius / np.float32(reach)) ** 2)))[..., None]
        turn = np.stack([-y / radius - 0.18 * x / radius, x / radius - 0.18 * y / radius], axis=-1)
        flow = flow + np.float32(sense) * strength * turn
    return flow.astype(np.float32)


def _land_flow(point: FloatArray) -> FloatArray:
    """Furrows that run together towards the horizon, rolling like waves."""
    u, v = point[..., 0], point[..., 1]
    depth = np.clip((v - _HORIZON) / (1 - _HORIZON), 0, 1)
    slope = 0.55 * np.cos(6.0 * u + 4.0 * v) * (1 - 0.5 * depth) + 0.9 * (u - 0.45) * depth
    return np.stack([np.ones_like(u), slope], axis=-1).astype(np.float32)


def _inside_cypress(point: FloatArray) -> FloatArray:
    """1 inside the flame-shaped tree at the left, 0 outside."""
    u, v = point[..., 0], point[..., 1]
    up = np.clip((_CYPRESS[1] - v) / np.float32(0.86), 0, 1)
    half = 0.115 * up**0.35 * (1 - up) ** 1.1 * (0.9 + 0.16 * np.sin(26 * v)) * (up > 0)
    bend = _CYPRESS[0] + 0.010 * np.sin(9 * v)
    inside: FloatArray = (np.abs(u - bend) < half).astype(np.float32)
    return inside


def _mix_paint(
    point: FloatArray, variation: float, aspect: float, rng: np.random.RandomState
) -> FloatArray:
    """Colour of strokes whose middle lies at ``point``; RGB 0..1, hue and value varied."""
    count = len(point)
    colour = _sky_paint(point, aspect)
    on_land = (point[:, 1] > _HORIZON + 0.012 * np.sin(14 * point[:, 0]))[:, None]
    colour = np.where(on_land, _land_paint(point), colour)
    wobble = rng.random_sample((count, 1)) - 0.5
    cypress = gradient_map(
        (0.5 + wobble[:, 0]).astype(np.float32),
        ((0.0, (0.03, 0.14, 0.14)), (0.5, (0.08, 0.27, 0.17)), (1.0, (0.34, 0.46, 0.14))),
    )
    colour = np.where(_inside_cypress(point)[:, None] > 0, cypress, colour)
    value = 1 + 2.2 * variation * (rng.random_sample((count, 1)) - 0.5)
    hue = 1.3 * variation * (rng.random_sample((count, 3)) - 0.5)
    return np.clip(colour * value + hue, 0, 1).astype(np.float32)


def _sky_paint(point: FloatArray, aspect: float) -> FloatArray:
    """Blues in rings around the eddies, gold around the sun."""
    u, v = point[:, 0], point[:, 1]
    band = 0.5 + 0.24 * np.sin(15 * v + 5 * np.sin(3.2 * u)) - 0.15 * (v < 0.12)
    for centre_u, centre_v, reach, _ in _EDDIES:
        radius = np.hypot((u - centre_u) * aspect, v - centre_v)
        rings = 0.5 + 0.5 * np.cos(radius * 62)
        near = np.exp(-((radius / (1.1 * reach)) ** 2))
        band = band * (1 - near) + rings * near
    blues = gradient_map(
        np.clip(band, 0, 1).astype(np.float32),
        ((0.0, (0.06, 0.13, 0.42)), (0.35, (0.12, 0.31, 0.68)), (0.65, (0.34, 0.60, 0.82)),
         (0.85, (0.68, 0.84, 0.84)), (1.0, (0.96, 0.94, 0.74))),
    )  # fmt: skip
    sun = np.hypot((u - _SUN[0]) * aspect, v - _SUN[1])
    halo = gradient_map(
        sun.astype(np.float32),
        ((0.0, (1.0, 0.86, 0.30)), (_SUN_RADIUS, (0.99, 0.68, 0.12)),
         (0.115, (0.98, 0.90, 0.48)), (0.16, (0.90, 0.92, 0.66)), (0.22, (0.62, 0.82, 0.80))),
    )  # fmt: skip
    near_sun = smoothstep(0.13, 0.25, sun.astype(np.float32))[:, None]
    return halo + (blues - halo) * near_sun


def _land_paint(point: FloatArray) -> FloatArray:
    """Violet hills, then bands of green and gold corn."""
    u, v = point[:, 0], point[:, 1]
    depth = np.clip((v - _HORIZON) / (1 - _HORIZON), 0, 1)
    furrow = 0.07 * np.sin(6.0 * u + 2.0) + 0.05 * np.sin(31 * v + 8 * u)
    return gradient_map(
        np.clip(depth + furrow, 0, 1).astype(np.float32),
        ((0.0, (0.28, 0.30, 0.58)), (0.14, (0.20, 0.42, 0.46)), (0.22, (0.36, 0.56, 0.26)),
         (0.34, (0.86, 0.72, 0.22)), (0.50, (0.95, 0.78, 0.24)), (0.60, (0.82, 0.50, 0.14)),
         (0.70, (0.96, 0.82, 0.34)), (0.84, (0.52, 0.58, 0.20)), (1.0, (0.80, 0.36, 0.14))),
    )  # fmt: skip
