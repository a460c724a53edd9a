"""Curves of the losses, as what an SVG in the page needs: the page draws them in its own colours.

The SVG stands in the page itself, so that curves can be switched by CSS alone and take the colours
of a dark page; matplotlib's drawings have theirs fixed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nst_graph.metrics import Row

#: Of the SVG; its letters are of a size that a phone and half of a desk's screen can both show.
WIDTH, HEIGHT = 440.0, 290.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 10.0, 10.0, 40.0

#: Middle tones, told apart on white and on black.
_COLOURS = (
    "#3d85d8", "#e07b1f", "#2f9e6e", "#c9508f", "#8a70d6", "#b0901c",
    "#1f9db0", "#d9534a", "#7a8794", "#6d9b22",
)  # fmt: skip

#: Beyond so many rows, dots would hide the curves.
_MOST_DOTS = 60


@dataclass(frozen=True)
class Curve:
    """One term.

    Attributes:
        name: of the loss.
        key: for the page's ids.
        colour: CSS.
        points: (x, y) in the SVG; values that are not above 0 have no place on a log axis.
        values: count and loss of each point.
    """

    name: str
    key: str
    colour: str
    points: tuple[tuple[float, float], ...]
    values: tuple[tuple[int, float], ...]

    @property
    def dots(self) -> list[tuple[tuple[float, float], tuple[int, float]]]:
        """Each point with the count and the loss that it stands for."""
        return list(zip(self.points, self.values, strict=True))


@dataclass(frozen=True)
class Chart:
    """Curves on a linear axis of updates, or evaluations, and a log axis of losses.

    Attributes:
        curves: in the order of the metrics.
        across, up: places and labels of the axes' marks.
        count: what is counted across.
        dots: mark every point.
    """

    curves: tuple[Curve, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    count: str
    dots: bool


def chart(rows: Sequence[Row], names: Sequence[str], prefix: str) -> Chart | None:
    """A chart of some terms; None where there is nothing above 0 to draw.

    Args:
        rows: of the metrics.
        names: of the terms.
        prefix: of the curves' keys, which are unique in a page.
    """
    count = "evaluations" if rows and "evaluations" in rows[0] else "updates"
    series = {
        name: [(row[count], row[name]) for row in rows if row.get(name, 0) > 0] for name in names
    }
    series = {name: values for name, values in series.items() if values}
    if not series:
        return None
    axes = _Axes.around([point for values in series.values() for point in values])
    curves = tuple(
        Curve(
            name,
            f"{prefix}{index}",
            _COLOURS[index % len(_COLOURS)],
            tuple((axes.x(number), axes.y(loss)) for number, loss in values),
            tuple(values),
        )
        for index, (name, values) in enumerate(series.items())
    )
    return Chart(
        curves,
        tuple((axes.x(n), f"{n:g}") for n in _round_numbers(axes.left, axes.right)),
        tuple((axes.y(loss), _label(loss)) for loss in _decades(axes.low, axes.high)),
        count,
        len(rows) <= _MOST_DOTS,
    )


@dataclass(frozen=True)
class _Axes:
    """From counts and losses to places in the SVG; ``low`` and ``high`` are logarithms."""

    left: float
    right: float
    low: float
    high: float

    @classmethod
    def around(cls, points: Sequence[tuple[float, float]]) -> _Axes:
        """Axes with room above and below, no narrower than a fifth of a decade."""
        counts = [count for count, _ in points]
        losses = [math.log10(loss) for _, loss in points]
        low, high = min(losses), max(losses)
        room = max(0.05 * (high - low), (0.2 - (high - low)) / 2)
        return cls(min(counts), max(max(counts), min(counts) + 1), low - room, high + room)

    def x(self, count: float) -> float:
        share = (count - self.left) / (self.right - self.left)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, loss: float) -> float:
        share = (math.log10(loss) - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _round_numbers(left: float, right: float, about: int = 5) -> list[float]:
    """Round numbers between two, evenly spaced."""
    rough = (right - left) / about
    power: float = 10.0 ** math.floor(math.log10(rough))
    step = max(1.0, *[power * nice for nice in (1, 2, 5, 10) if power * nice >= rough][:1])
    first = math.ceil(left / step)
    return [number * step for number in range(first, math.floor(right / step) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten between two logarithms, with 2 and 5 times them where there are few."""
    within = range(math.floor(low), math.ceil(high) + 1)
    if high - low > 2:
        stride = math.ceil((high - low) / 6)
        values = [10.0**power for power in within if power % stride == 0]
    else:
        factors = (1, 2, 5) if high - low > 0.5 else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
        values = [factor * 10.0**power for power in within for factor in factors]
    return [value for value in values if low <= math.log10(value) <= high]


def _label(value: float) -> str:
    if 1e-2 <= value < 1e3:
        return f"{value:g}"
    digits, power = f"{value:.0e}".split("e")
    return f"{digits}e{int(power)}"
