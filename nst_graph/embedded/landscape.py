"""The embedded content picture: a riverside town under an evening sky, drawn by code.

Sky with sun and clouds, three ranges of hills, the town (`town`), its reflection in the river, and
trees in front: edges and structure at every scale, with the soft shading of a photograph.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from nst_graph.embedded.canvas import (
    Canvas,
    Colour,
    FloatArray,
    Pen,
    Point,
    gradient_map,
    mixed,
    scaled,
    smoothstep,
    supersampling,
)
from nst_graph.embedded.town import WATER_LINE, draw_town

_SEED = 1874
_SUN: Point = (0.735, 0.285)


def landscape(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Draw the landscape; uint8 [height, width, 3] RGB, the same composition at every size."""
    factor = supersampling(height, width)
    canvas = Canvas(height * factor, width * factor)
    rng = np.random.RandomState(_SEED)
    _sky(canvas, rng)
    _hills(canvas, rng)
    _town(canvas, rng)
    _river(canvas, rng)
    _boat(canvas)
    _foreground(canvas, rng)
    _evening_light(canvas, rng)
    return canvas.finish(height, width)


def _sky(canvas: Canvas, rng: np.random.RandomState) -> None:
    stops = (
        (0.00, (0.18, 0.36, 0.66)),
        (0.22, (0.38, 0.58, 0.82)),
        (0.40, (0.74, 0.80, 0.86)),
        (0.55, (0.98, 0.86, 0.68)),
    )
    canvas.rgb += gradient_map(canvas.v[:, 0], stops)[:, None, :]
    sun = canvas.distance(_SUN)
    canvas.blend((1.0, 0.88, 0.62), 0.75 * np.exp(-sun / np.float32(0.16)))
    _clouds(canvas, rng, sun)
    canvas.blend((1.0, 0.97, 0.86), 1 - smoothstep(0.040, 0.050, sun))
    canvas.blend((1.0, 0.93, 0.72), 0.6 * np.exp(-sun / np.float32(0.05)))


def _clouds(canvas: Canvas, rng: np.random.RandomState, sun: FloatArray) -> None:
    """Cumulus lit from the sun's side: where the field falls towards the sun, the cloud glows."""
    field = canvas.noise(rng, (7, 5), octaves=6)
    bank = 0.10 * np.sin(canvas.u * np.float32(9.0) + canvas.v * np.float32(14.0) + 0.6)
    field = field + bank - 0.22 * np.abs(canvas.v - np.float32(0.22))
    cover = smoothstep(0.49, 0.62, field) * (1 - smoothstep(0.40, 0.56, canvas.v))
    rows, columns = max(1, canvas.height // 40), max(1, canvas.width // 50)
    towards_sun = _moved(field, rows, columns)
    light = smoothstep(-0.10, 0.16, field - towards_sun + 0.25 * (0.45 - sun))
    shade, lit = np.array((0.50, 0.53, 0.66), np.float32), np.array((1.0, 0.95, 0.86), np.float32)
    canvas.blend(shade + (lit - shade) * light[..., None], 0.92 * cover)


def _moved(field: FloatArray, up: int, right: int) -> FloatArray:
    """The values ``up`` rows above and ``right`` columns to the right, the border repeated."""
    height, width = field.shape
    rows = np.clip(np.arange(height) - up, 0, height - 1)
    columns = np.clip(np.arange(width) + right, 0, width - 1)
    return field[rows[:, None], columns]


def _hills(canvas: Canvas, rng: np.random.RandomState) -> None:
    _range(canvas, rng, 0.455, 0.20, ((0.52, 0.60, 0.74), (0.72, 0.72, 0.78)))
    _range(canvas, rng, 0.510, 0.14, ((0.33, 0.46, 0.52), (0.62, 0.66, 0.56)))
    _range(canvas, rng, 0.575, 0.09, ((0.22, 0.36, 0.24), (0.60, 0.62, 0.32)))


def _range(
    canvas: Canvas,
    rng: np.random.RandomState,
    crest: float,
    rise: float,
    colours: tuple[Colour, Colour],
) -> None:
    """One range of hills: its skyline, slopes lit by the relief, mist at its foot."""
    skyline = crest + rise * (0.5 - canvas.noise(rng, (1, 5), octaves=5)[:1])
    softness = 1.5 / canvas.height
    mask = smoothstep(-softness, softness, canvas.v - skyline)
    relief = canvas.noise(rng, (16, 14), octaves=5)
    step = max(1, canvas.width // 160)
    slope = relief - _moved(relief, 0, step)
    depth = np.clip((canvas.v - skyline) / np.float32(rise), 0, 1)
    light = np.clip(0.5 + 7.0 * slope + 0.5 * (relief - 0.5) - 0.15 * depth, 0, 1)
    shade, lit = np.array(colours, np.float32)
    canvas.blend(shade + (lit - shade) * light[..., None], mask)
    canvas.blend((0.92, 0.86, 0.78), 0.35 * mask * depth)


def _town(canvas: Canvas, rng: np.random.RandomState) -> None:
    pen = canvas.pen()
    _bushes(pen, rng, (0.52, 1.02), WATER_LINE - 0.01, (0.20, 0.34, 0.20))
    _bushes(pen, rng, (-0.02, 0.55), WATER_LINE - 0.10, (0.22, 0.36, 0.20))
    draw_town(pen, rng)
    colour, cover = pen.flatten()
    weathering = canvas.noise(rng, (60, 80), octaves=3)
    large = canvas.noise(rng, (8, 10), octaves=2)
    light = 0.70 + 0.36 * weathering + 0.22 * large
    canvas.blend(colour * light[..., None], cover)


def _bushes(
    pen: Pen, rng: np.random.RandomState, reach: tuple[float, float], foot: float, colour: Colour
) -> None:
    for _ in range(420):
        u = reach[0] + (reach[1] - reach[0]) * rng.random_sample()
        up = rng.random_sample()
        v = foot - 0.055 * up * (0.6 + 0.4 * math.sin(40 * u))
        size = 0.006 + 0.010 * rng.random_sample()
        bright = 0.7 + 0.7 * up * rng.random_sample()
        pen.ellipse((u, v), (size, size * 1.2), scaled(colour, bright))
        if rng.random_sample() < 0.4:
            sunny = mixed(colour, (0.72, 0.70, 0.30), 0.6)
            pen.ellipse((u + 0.3 * size, v - 0.5 * size), (size * 0.5, size * 0.5), sunny)


def _river(canvas: Canvas, rng: np.random.RandomState) -> None:
    """Mirror the land, broken by waves that grow towards the viewer."""
    depth = np.clip((canvas.v - WATER_LINE) / np.float32(1 - WATER_LINE), 0, 1)
    first = int(np.searchsorted(canvas.v[:, 0], WATER_LINE))
    near = depth[first:]
    waves = _waves(canvas, rng)[first:]
    mirrored = WATER_LINE - 1.35 * (canvas.v[first:] - WATER_LINE) + waves * (0.012 + 0.055 * near)
    row = np.clip(mirrored * canvas.height, 0, first - 1).astype(np.int64)
    shift = waves * (0.002 + 0.012 * near)
    column = np.clip((canvas.u + shift) * canvas.width, 0, canvas.width - 1).astype(np.int64)
    reflection = canvas.rgb[row, column]
    tint = np.array((0.13, 0.27, 0.36), np.float32)
    share = (0.22 + 0.42 * near)[..., None] * np.ones_like(waves)[..., None]
    water = reflection * np.float32(0.94) * (1 - share) + tint * share
    water += (0.20 * np.clip(waves, 0, 1) * (0.5 + near))[..., None] * np.array(
        (0.9, 0.95, 1.0), np.float32
    )
    glitter = np.exp(-np.abs(canvas.u - np.float32(_SUN[0])) / (0.035 + 0.07 * near))
    glitter = glitter * smoothstep(0.10, 0.55, waves)
    water += glitter[..., None] * np.array((0.95, 0.76, 0.42), np.float32)
    canvas.rgb[first:] = water
    edge = np.exp(-depth[first:] / np.float32(0.02)) * np.float32(0.5)
    canvas.rgb[first:] *= (1 - edge)[..., None]


def _waves(canvas: Canvas, rng: np.random.RandomState) -> FloatArray:
    """Ripples of about -1..1, flatter and closer together towards the far bank."""
    fine, coarse = canvas.noise(rng, (150, 26), octaves=2), canvas.noise(rng, (60, 12), octaves=2)
    depth = np.clip((canvas.v - WATER_LINE) / np.float32(1 - WATER_LINE), 0, 1)
    mixture = fine + (coarse - fine) * depth
    waves: FloatArray = np.clip((mixture - np.float32(0.5)) * np.float32(3.6), -1, 1)
    return waves


def _boat(canvas: Canvas) -> None:
    pen = canvas.pen()
    u, v = 0.610, 0.800
    pen.polygon(
        [(u - 0.045, v), (u - 0.034, v + 0.026), (u + 0.036, v + 0.026), (u + 0.052, v - 0.004)],
        (0.44, 0.20, 0.14),
    )
    pen.line([(u - 0.045, v), (u + 0.052, v - 0.004)], (0.92, 0.80, 0.60), 0.005)
    pen.line([(u, v), (u, v - 0.150)], (0.32, 0.22, 0.16), 0.005)
    pen.polygon([(u + 0.004, v - 0.145), (u + 0.046, v - 0.022), (u + 0.004, v - 0.016)],
                (0.97, 0.92, 0.82))  # fmt: skip
    pen.polygon([(u - 0.003, v - 0.130), (u - 0.036, v - 0.018), (u - 0.003, v - 0.016)],
                (0.80, 0.70, 0.62))  # fmt: skip
    for index in range(7):
        drop = 0.034 + 0.015 * index
        half = 0.040 - 0.0045 * index
        drift = 0.006 * (-1) ** index
        tone = (0.30, 0.20, 0.18) if index < 2 else (0.74, 0.70, 0.64)
        pen.line([(u - half + drift, v + drop), (u + half + drift, v + drop)], tone, 0.0045)
    colour, cover = pen.flatten()
    canvas.blend(colour, 0.92 * cover)


def _foreground(canvas: Canvas, rng: np.random.RandomState) -> None:
    pen = canvas.pen()
    bank = [(0.0, 0.84), (0.10, 0.865), (0.20, 0.915), (0.29, 0.955), (0.36, 1.0), (0.0, 1.0)]
    pen.polygon(bank, (0.20, 0.28, 0.12))
    _grass(pen, rng)
    _tree(pen, rng, (0.050, 0.91), 0.36)
    _tree(pen, rng, (0.955, 1.02), 0.58)
    colour, cover = pen.flatten()
    canvas.blend(colour, cover)


def _grass(pen: Pen, rng: np.random.RandomState) -> None:
    blades = sorted(
        ((rng.random_sample() * 0.38, rng.random_sample()) for _ in range(900)),
        key=lambda blade: blade[1],
    )
    for u, depth in blades:
        edge = 0.84 + 0.16 * (u / 0.36) ** 1.3
        v = edge + (1.02 - edge) * depth
        lean = 0.012 * (rng.random_sample() - 0.35)
        tone = mixed((0.16, 0.26, 0.10), (0.72, 0.70, 0.30), rng.random_sample() ** 1.6)
        tall = 0.016 + 0.024 * rng.random_sample()
        pen.line([(u, v), (u + lean, v - tall)], tone, 0.0032)


def _tree(pen: Pen, rng: np.random.RandomState, foot: Point, height: float) -> None:
    """Trunk with boughs, and a crown of leafy clumps, dark on the left and sunlit on the right."""
    u, v = foot
    bark = (0.24, 0.17, 0.13)
    fork = v - height * 0.40
    pen.polygon([(u - 0.013, v), (u - 0.006, fork - 0.10), (u + 0.006, fork - 0.10),
                 (u + 0.012, v)], bark)  # fmt: skip
    pen.polygon([(u + 0.003, v), (u + 0.003, fork), (u + 0.012, v)], scaled(bark, 1.7))
    clumps = []
    for _ in range(15):
        angle, radius = 2 * math.pi * rng.random_sample(), math.sqrt(rng.random_sample())
        centre = (
            u + 0.24 * height * radius * math.cos(angle),
            fork - height * (0.24 + 0.27 * radius * math.sin(angle)),
        )
        pen.line([(u, fork - 0.02), centre], bark, 0.006)
        clumps.append(centre)
    for centre in sorted(clumps, key=lambda point: point[0] - point[1]):
        sun_side = (
            0.5 + (centre[0] - u) / height - 0.9 * (centre[1] - fork + 0.24 * height) / height
        )
        _clump(pen, rng, centre, height * 0.125, sun_side)


def _clump(
    pen: Pen, rng: np.random.RandomState, centre: Point, radius: float, sun_side: float
) -> None:
    leaves = []
    for _ in range(110):
        angle, reach = 2 * math.pi * rng.random_sample(), rng.random_sample() ** 0.6
        leaves.append((math.cos(angle) * reach, math.sin(angle) * reach))
    for du, dv in sorted(leaves, key=lambda leaf: leaf[0] - leaf[1]):
        light = sun_side + 0.34 * du - 0.38 * dv + 0.4 * (rng.random_sample() - 0.5)
        share = min(max(light, 0.0), 1.0) ** 1.6
        tone = mixed((0.07, 0.14, 0.10), (0.72, 0.68, 0.26), share)
        size = 0.003 + 0.0045 * rng.random_sample()
        pen.ellipse((centre[0] + 0.75 * radius * du, centre[1] + radius * dv), (size, size), tone)


def _evening_light(canvas: Canvas, rng: np.random.RandomState) -> None:
    """Warm veil around the sun, darker corners, and the fine grain of film."""
    sun = canvas.distance(_SUN)
    canvas.blend((1.0, 0.84, 0.56), 0.22 * np.exp(-sun / np.float32(0.28)))
    corners = canvas.distance((0.5, 0.5)) / np.float32(math.hypot(canvas.aspect / 2, 0.5))
    canvas.rgb *= (1 - 0.20 * corners**3)[..., None]
    grain = canvas.noise(rng, (220, 300)) - np.float32(0.5)
    canvas.rgb += (0.035 * grain)[..., None]
