"""The town of the embedded landscape: houses, a cathedral, a bridge, seen in evening light.

The sun stands at the right, so faces turned right are lit and faces turned left are in shade.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nst_graph.embedded.canvas import Colour, Pen, Point, mixed, scaled

WATER_LINE = 0.665  # v at which land meets the river

_WALLS: tuple[Colour, ...] = (
    (0.93, 0.84, 0.68),
    (0.90, 0.76, 0.58),
    (0.86, 0.68, 0.52),
    (0.95, 0.90, 0.80),
    (0.80, 0.72, 0.66),
    (0.88, 0.62, 0.46),
)
_ROOFS: tuple[Colour, ...] = (
    (0.70, 0.32, 0.20),
    (0.62, 0.27, 0.18),
    (0.76, 0.40, 0.24),
    (0.45, 0.36, 0.38),
    (0.55, 0.30, 0.24),
)
_STONE: Colour = (0.84, 0.76, 0.64)
_SLATE: Colour = (0.36, 0.42, 0.52)
_COPPER: Colour = (0.40, 0.62, 0.56)
_GLASS: Colour = (0.22, 0.24, 0.32)
_LAMP: Colour = (0.99, 0.80, 0.42)
_HAZE: Colour = (0.74, 0.76, 0.82)


@dataclass(frozen=True)
class _Row:
    """A row of houses: where its feet stand and how large it looks."""

    lift: float
    height: float
    haze: float
    left: float
    right: float


# Back to front: the town climbs a hill at the left and lies flat along the quay.
_ROWS = (
    _Row(lift=0.135, height=0.060, haze=0.34, left=0.10, right=0.56),
    _Row(lift=0.090, height=0.070, haze=0.22, left=0.02, right=0.60),
    _Row(lift=0.045, height=0.082, haze=0.10, left=-0.03, right=0.58),
    _Row(lift=0.006, height=0.095, haze=0.0, left=-0.02, right=0.50),
)
_FAR_BANK = _Row(lift=0.012, height=0.050, haze=0.30, left=0.78, right=1.03)


def draw_town(pen: Pen, rng: np.random.RandomState) -> None:
    """Draw all buildings from back to front; v of the feet is `WATER_LINE` and above."""
    _row(pen, rng, _FAR_BANK)
    _row(pen, rng, _ROWS[0])
    _cathedral(pen)
    _row(pen, rng, _ROWS[1])
    _dome(pen, (0.115, WATER_LINE - 0.11))
    _row(pen, rng, _ROWS[2])
    _keep(pen, (0.475, WATER_LINE - 0.02))
    _row(pen, rng, _ROWS[3])
    _quay(pen)
    _bridge(pen)


def _hill(u: float) -> float:
    """How much the ground is raised at u: highest under the cathedral."""
    return math.exp(-(((u - 0.30) / 0.20) ** 2))


def _row(pen: Pen, rng: np.random.RandomState, row: _Row) -> None:
    u = row.left
    while u < row.right:
        width = 0.034 + 0.028 * rng.random_sample()
        height = row.height * (0.75 + 0.6 * rng.random_sample())
        foot = WATER_LINE - row.lift * (0.35 + 0.65 * _hill(u) if row is not _FAR_BANK else 1.0)
        wall = mixed(_WALLS[rng.randint(len(_WALLS))], _HAZE, row.haze)
        roof = mixed(_ROOFS[rng.randint(len(_ROOFS))], _HAZE, row.haze)
        if rng.random_sample() < 0.93:
            _house(pen, rng, (u, foot), (width, height), (wall, roof))
        u += width * (0.86 + 0.16 * rng.random_sample())


def _house(
    pen: Pen,
    rng: np.random.RandomState,
    foot: Point,
    size: Point,
    colours: tuple[Colour, Colour],
) -> None:
    (left, bottom), (width, height), (wall, roof) = foot, size, colours
    top, right = bottom - height, left + width
    roof_height = height * (0.30 + 0.25 * rng.random_sample())
    deep = bottom + 0.05  # the foot of a house is hidden by the row in front of it
    gable_wall = left + width * 0.38
    if rng.random_sample() < 0.5:
        pen.box(left, top, right, deep, scaled(wall, 0.97))
        pen.box(left, top, left + width * 0.14, deep, scaled(wall, 0.66))
        eaves = 0.004
        pen.polygon(
            [(left - eaves, top), (left + 0.18 * width, top - roof_height),
             (right - 0.12 * width, top - roof_height), (right + eaves, top)],
            roof,
        )  # fmt: skip
        pen.line([(left - eaves, top), (right + eaves, top)], scaled(roof, 0.55), 0.003)
        _windows(pen, rng, (left + width * 0.18, top, right, bottom), wall)
    else:
        ridge = left + width * 0.19
        pen.box(left, top, gable_wall, deep, scaled(wall, 0.62))
        pen.polygon(
            [(left, top), (ridge, top - roof_height), (gable_wall, top)], scaled(wall, 0.66)
        )
        pen.box(gable_wall, top, right, deep, wall)
        pen.polygon(
            [(ridge, top - roof_height), (right - width * 0.16, top - roof_height),
             (right + 0.003, top + 0.002), (gable_wall - 0.002, top + 0.002)],
            scaled(roof, 1.08),
        )  # fmt: skip
        pen.line([(left, top), (ridge, top - roof_height)], scaled(roof, 0.6), 0.004)
        _windows(pen, rng, (gable_wall, top, right, bottom), wall)
    _chimney(pen, (right - width * 0.3, top - roof_height), scaled(roof, 0.8))


def _chimney(pen: Pen, foot: Point, colour: Colour) -> None:
    pen.box(foot[0], foot[1] - 0.012, foot[0] + 0.007, foot[1] + 0.008, colour)
    pen.box(foot[0] - 0.001, foot[1] - 0.014, foot[0] + 0.008, foot[1] - 0.011, scaled(colour, 0.7))


def _windows(
    pen: Pen,
    rng: np.random.RandomState,
    face: tuple[float, float, float, float],
    wall: Colour,
) -> None:
    left, top, right, bottom = face
    columns = max(1, round((right - left) / 0.0135))
    rows = max(1, round((bottom - top) / 0.030))
    pitch_u, pitch_v = (right - left) / columns, (bottom - top) / rows
    for row in range(rows):
        for column in range(columns):
            u = left + (column + 0.32) * pitch_u
            v = top + (row + 0.28) * pitch_v
            lit = rng.random_sample() < 0.14
            glass = _LAMP if lit else mixed(_GLASS, wall, 0.25)
            pen.box(u, v, u + 0.0052, v + 0.0145, glass)
            pen.line([(u - 0.001, v + 0.0155), (u + 0.0062, v + 0.0155)], scaled(wall, 1.12), 0.002)


def _cathedral(pen: Pen) -> None:
    """Nave and two towers with spires on top of the hill."""
    base = WATER_LINE - 0.13
    stone = mixed(_STONE, _HAZE, 0.12)
    slate = mixed(_SLATE, _HAZE, 0.15)
    pen.box(0.300, base - 0.105, 0.415, base + 0.06, stone)
    pen.polygon(
        [(0.296, base - 0.105), (0.315, base - 0.165), (0.405, base - 0.165),
         (0.419, base - 0.105)],
        slate,
    )  # fmt: skip
    for index in range(7):
        u = 0.312 + index * 0.0145
        _lancet(pen, (u, base - 0.03), (0.0035, 0.055), scaled(_GLASS, 1.1))
        pen.box(u + 0.006, base - 0.100, u + 0.0078, base + 0.02, scaled(stone, 0.72))
    for left in (0.228, 0.272):
        _tower(pen, (left, base), stone, slate)
    pen.polygon([(0.368, base - 0.165), (0.373, base - 0.235), (0.378, base - 0.165)], slate)


def _tower(pen: Pen, foot: Point, stone: Colour, slate: Colour) -> None:
    left, base = foot
    right, top = left + 0.034, base - 0.205
    pen.box(left, top, right, base + 0.06, stone)
    pen.box(left, top, left + 0.010, base + 0.06, scaled(stone, 0.64))
    for level in range(1, 4):
        v = top + 0.052 * level
        pen.line([(left, v), (right, v)], scaled(stone, 0.76), 0.003)
    for u in (left + 0.016, left + 0.026):
        _lancet(pen, (u, top + 0.046), (0.003, 0.032), _GLASS)
        _lancet(pen, (u, top + 0.098), (0.0028, 0.028), _GLASS)
    middle = (left + right) / 2
    tip = (middle, top - 0.145)
    pen.polygon([(left - 0.002, top), tip, (right + 0.002, top)], slate)
    pen.polygon([(left - 0.002, top), tip, (left + 0.011, top)], scaled(slate, 0.68))
    pen.line([(middle, top - 0.165), (middle, top - 0.140)], (0.80, 0.66, 0.34), 0.004)
    for u in (left, right):
        pen.polygon([(u - 0.004, top), (u, top - 0.035), (u + 0.004, top)], scaled(stone, 0.85))


def _lancet(pen: Pen, sill: Point, half: Point, colour: Colour) -> None:
    """Pointed window: half width and height above the sill."""
    (u, v), (half_width, height) = sill, half
    pen.polygon(
        [(u - half_width, v), (u - half_width, v - height * 0.7), (u, v - height),
         (u + half_width, v - height * 0.7), (u + half_width, v)],
        colour,
    )  # fmt: skip


def _dome(pen: Pen, foot: Point) -> None:
    u, v = foot
    stone, copper = mixed(_STONE, _HAZE, 0.15), mixed(_COPPER, _HAZE, 0.12)
    pen.box(u - 0.040, v - 0.055, u + 0.040, v + 0.06, stone)
    pen.box(u - 0.040, v - 0.055, u - 0.018, v + 0.06, scaled(stone, 0.70))
    for index in range(5):
        _lancet(pen, (u - 0.031 + index * 0.0155, v - 0.012), (0.0032, 0.032), _GLASS)
    pen.ellipse((u, v - 0.057), (0.041, 0.068), scaled(copper, 0.72))
    pen.ellipse((u + 0.006, v - 0.058), (0.034, 0.064), copper)
    pen.ellipse((u + 0.014, v - 0.066), (0.017, 0.044), scaled(copper, 1.2))
    pen.box(u - 0.044, v - 0.060, u + 0.044, v - 0.050, scaled(stone, 0.92))
    pen.box(u - 0.008, v - 0.150, u + 0.008, v - 0.118, stone)
    pen.polygon([(u - 0.010, v - 0.150), (u, v - 0.190), (u + 0.010, v - 0.150)], copper)


def _keep(pen: Pen, foot: Point) -> None:
    """Round tower with battlements, shaded as a cylinder."""
    u, v = foot
    half, top = 0.030, v - 0.165
    slices = 12
    for index in range(slices):
        left = u - half + 2 * half * index / slices
        angle = (index + 0.5) / slices * math.pi
        light = 0.60 + 0.45 * math.exp(-(((angle - 2.2) / 0.9) ** 2))
        pen.box(left, top, left + 2 * half / slices + 0.001, v + 0.05, scaled(_STONE, light))
    pen.box(u - half - 0.005, top - 0.018, u + half + 0.005, top + 0.004, scaled(_STONE, 0.80))
    for index in range(6):
        left = u - half - 0.005 + index * 0.0125
        pen.box(left, top - 0.034, left + 0.0068, top - 0.018, scaled(_STONE, 0.84))
    for row in range(3):
        _lancet(pen, (u + 0.008, top + 0.050 + row * 0.045), (0.003, 0.024), _GLASS)


def _quay(pen: Pen) -> None:
    top = WATER_LINE - 0.022
    pen.box(-0.01, top, 0.525, WATER_LINE, scaled(_STONE, 0.62))
    pen.line([(-0.01, top), (0.525, top)], scaled(_STONE, 1.05), 0.005)
    for index in range(11):
        u = 0.02 + index * 0.047
        pen.box(u, top + 0.004, u + 0.004, WATER_LINE, scaled(_STONE, 0.44))


def _bridge(pen: Pen) -> None:
    """Five stone arches from the keep to the far bank, the deck slightly humped."""
    left, right, arches = 0.500, 1.02, 5
    span = (right - left) / arches
    deck = [(u, _deck(u)) for u in np.linspace(left, right, 41).tolist()]
    pen.polygon([*deck, (right, WATER_LINE), (left, WATER_LINE)], scaled(_STONE, 0.92))
    for index in range(arches):
        centre = left + (index + 0.5) * span
        _arch(pen, centre, span * 0.39)
    pen.line([(u, v + 0.016) for u, v in deck], scaled(_STONE, 0.62), 0.004)
    pen.line(deck, scaled(_STONE, 1.14), 0.007)
    for index in range(arches + 1):
        u = left + index * span
        pen.box(u - 0.011, _deck(u) + 0.020, u + 0.011, WATER_LINE, scaled(_STONE, 1.02))
        pen.box(u - 0.011, _deck(u) + 0.020, u - 0.004, WATER_LINE, scaled(_STONE, 0.66))
        pen.line([(u, _deck(u) - 0.042), (u, _deck(u))], (0.20, 0.20, 0.24), 0.003)
        pen.ellipse((u, _deck(u) - 0.045), (0.0045, 0.006), _LAMP)


def _deck(u: float) -> float:
    return WATER_LINE - 0.098 - 0.030 * math.cos((u - 0.76) / 0.26 * math.pi / 2)


def _arch(pen: Pen, centre: float, half: float) -> None:
    """An opening: the dark vault, then the light seen through it."""
    rise = 0.074 + 0.022 * math.cos((centre - 0.76) / 0.26 * math.pi / 2)
    ring: list[list[Point]] = []
    for grow in (1.14, 1.0, 0.86):
        ring.append(
            [(centre - half * grow * math.cos(angle), WATER_LINE - rise * grow * math.sin(angle))
             for angle in np.linspace(0, math.pi, 25).tolist()]
        )  # fmt: skip
    pen.polygon(ring[0], scaled(_STONE, 1.10))
    pen.polygon(ring[1], scaled(_STONE, 0.40))
    shifted = [(min(u + half * 0.10, centre + half), v) for u, v in ring[2]]
    pen.polygon(shifted, (0.62, 0.66, 0.66))
