"""The figures of a comparison's page, as SVG."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nst_graph.compare.comparison import Comparison, Result

#: Colour and width of each engine's curves: the first drawn is the widest, so that curves that lie
#: on top of each other can all be seen.
STYLES: dict[str, tuple[str, float]] = {
    "graph": ("#30343b", 7.0),
    "function": ("#e8891c", 3.6),
    "eager": ("#1c6fd0", 1.3),
}

#: Where "no difference" is drawn on a log axis: below the rounding of float32, 6e-8.
FLOOR = 1e-9

_LOOK: Any = {
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e5e8",
    "svg.hashsalt": "nst_graph",
}


def losses(comparison: Comparison) -> bytes:
    """The total loss of each engine, on top of each other."""

    def draw(axes: Axes) -> None:
        for result in comparison.results:
            colour, width = STYLES[result.name]
            values = result.trial.losses
            axes.plot(range(len(values)), values, color=colour, linewidth=width, label=result.name)
        axes.set_yscale("log")
        axes.set_ylabel("total loss before the step")
        _finish_steps(axes)

    return _svg(draw)


def own_run_differences(comparison: Comparison) -> bytes:
    """Relative difference of the loss, each engine along its own run."""
    curves = [(result, "", result.own_run_differences) for result in comparison.results[1:]]
    return _svg(lambda axes: _draw_differences(axes, curves))


def same_image_differences(comparison: Comparison) -> bytes:
    """Relative difference of loss and gradient, both engines at the same image."""
    curves = []
    for result in comparison.results[1:]:
        curves.append((result, " loss", result.same_image_differences))
        curves.append((result, " gradient", result.trial.gradient_differences))
    return _svg(lambda axes: _draw_differences(axes, curves))


def timings(comparison: Comparison, title: str) -> bytes:
    """Bars of one kind of seconds: "build", "first step" or "median step" with its quartiles."""

    def draw(axes: Axes) -> None:
        shown = list(reversed(comparison.results))
        values = [_SECONDS[title](result) for result in shown]
        colours = [STYLES[result.name][0] for result in shown]
        errors = None
        if title == "median step":
            quartiles = [result.step_quartiles for result in shown]
            errors = [[m - lo for lo, m, _ in quartiles], [hi - m for _, m, hi in quartiles]]
        bars = axes.barh(
            [result.name for result in shown], values, color=colours, height=0.62, xerr=errors,
            error_kw={"ecolor": "#9aa0a8", "capsize": 4, "elinewidth": 2},
        )  # fmt: skip
        labels = [f" {value:.3g} s" for value in values]
        axes.bar_label(bars, labels=labels, padding=4)
        axes.margins(x=0.28)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("seconds")
        axes.set_title(title, loc="left", fontweight="bold", fontsize=11)

    return _svg(draw, height=2.3)


_SECONDS: dict[str, Callable[[Result], float]] = {
    "build": lambda result: result.trial.build_seconds,
    "first step": lambda result: result.first_step,
    "median step": lambda result: result.step_quartiles[1],
}


def _draw_differences(axes: Axes, curves: Iterable[tuple[Result, str, Sequence[float]]]) -> None:
    for result, kind, values in curves:
        colour, width = STYLES[result.name]
        drawn = [max(value, FLOOR) for value in values]
        axes.plot(
            range(len(drawn)), drawn, ":" if "gradient" in kind else "-", color=colour,
            linewidth=width, label=result.name + kind,
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(FLOOR / 2, max(1e-3, 2 * axes.dataLim.y1))
    axes.yaxis.set_major_formatter(_named_floor)
    axes.set_ylabel("relative difference")
    _finish_steps(axes)


def _named_floor(value: float, position: float) -> str:
    return "none" if value == FLOOR else f"$10^{{{math.log10(value):.0f}}}$"


def _finish_steps(axes: Axes) -> None:
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)


def _svg(draw: Callable[[Axes], None], height: float = 3.6) -> bytes:
    """A figure of one plot; its width suits a phone and half of a desk's screen alike."""
    with matplotlib.rc_context(_LOOK):
        figure = Figure(figsize=(5.6, height), layout="constrained")
        draw(figure.add_subplot())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
