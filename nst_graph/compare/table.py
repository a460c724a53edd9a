"""A comparison as a table for the terminal and the page."""

from __future__ import annotations

from rich import box
from rich.table import Table

from nst_graph.compare.comparison import Comparison, Result

#: Title of a row, and the value of each engine in words.
Row = tuple[str, list[str]]


def cost_rows(comparison: Comparison) -> list[Row]:
    """Seconds, calls, operations and memory."""
    results = comparison.results
    return [
        ("build", [_seconds(result.trial.build_seconds) for result in results]),
        ("first step", [_seconds(result.first_step) for result in results]),
        ("median step", [_seconds(result.step_quartiles[1]) for result in results]),
        ("  quartiles", [_spread(result) for result in results]),
        ("Python calls per step", [f"{result.trial.python_calls:,}" for result in results]),
        ("operations in the graph", [_operations(result) for result in results]),
        ("peak memory", [_memory(result) for result in results]),
    ]


def difference_rows(comparison: Comparison) -> list[Row]:
    """The largest relative differences to the reference over all steps."""
    kinds = {
        "loss, own run": "loss_own_run",
        "loss, same image": "loss_same_image",
        "gradient, same image": "gradient_same_image",
    }
    return [
        (title, [_difference(comparison, result, kind) for result in comparison.results])
        for title, kind in kinds.items()
    ]


def as_table(comparison: Comparison) -> Table:
    """For a terminal of 80 columns or more."""
    facts = comparison.facts
    table = Table(
        title=f"{facts['job']['recipe']}, {facts['width']}x{facts['height']}, "
        f"{facts['steps']} steps",
        box=box.SIMPLE,
        pad_edge=False,
    )
    table.add_column(no_wrap=True)
    for result in comparison.results:
        table.add_column(result.name, justify="right", no_wrap=True)
    for title, cells in cost_rows(comparison):
        table.add_row(title, *cells)
    table.add_section()
    table.add_row(f"largest difference to {comparison.reference}")
    for title, cells in difference_rows(comparison):
        table.add_row(f"  {title}", *cells)
    return table


def _seconds(value: float) -> str:
    """To three digits, in s or ms."""
    unit = _unit(value)
    return f"{_in_unit(value, unit)} {unit}"


def _spread(result: Result) -> str:
    """In one unit: three columns of spreads have to fit beside their titles."""
    lower, _, upper = result.step_quartiles
    unit = _unit(upper)
    return f"{_in_unit(lower, unit)} - {_in_unit(upper, unit)} {unit}"


def _unit(seconds: float) -> str:
    return "s" if seconds >= 0.9995 else "ms"


def _in_unit(seconds: float, unit: str) -> str:
    value = seconds if unit == "s" else 1e3 * seconds
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"


def _operations(result: Result) -> str:
    return "no graph" if result.trial.operations is None else f"{result.trial.operations:,}"


def _memory(result: Result) -> str:
    return "not measured" if result.memory is None else f"{result.memory.peak:.0f} MB"


def _difference(comparison: Comparison, result: Result, kind: str) -> str:
    if result.name == comparison.reference:
        return ""
    value = result.largest[kind]
    return "none" if value == 0 else f"{value:.1e}"
