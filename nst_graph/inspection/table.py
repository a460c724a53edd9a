"""An inspection as tables for the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table

from nst_graph.inspection.facts import Inspection, LayerFacts

MEGABYTE = 1 << 20


def as_tables(found: Inspection) -> list[Table]:
    """The layers, and the graph's operations by name scope."""
    return [_layers(found), _scopes(found)]


def _layers(found: Inspection) -> Table:
    totals = found.totals
    table = Table(
        title=f"Layers at {found.width}x{found.height}",
        caption="MB: of the output, float32. GFLOP: of one step; convolutions and Gram matrices "
        "with their gradients. Sees: side of the receptive field, pixels.",
        box=box.SIMPLE,
        show_footer=True,
        pad_edge=False,
    )
    table.add_column("layer", footer="total", no_wrap=True)
    table.add_column("output", justify="right", no_wrap=True)
    table.add_column("sees", justify="right")
    table.add_column("stride", justify="right")
    table.add_column("parameters", footer=f"{totals['parameters']:,}", justify="right")
    table.add_column("MB", footer=f"{totals['memory_bytes'] / MEGABYTE:.1f}", justify="right")
    table.add_column("GFLOP", footer=f"{totals['step_flops'] / 1e9:.2f}", justify="right")
    table.add_column("loss")
    for layer in found.layers:
        table.add_row(
            layer.name,
            f"{layer.width}x{layer.height}x{layer.channels}",
            str(layer.receptive_field),
            str(layer.stride),
            f"{layer.parameters:,}" if layer.parameters else "",
            f"{layer.memory_bytes / MEGABYTE:.1f}",
            f"{layer.step_flops / 1e9:.2f}" if layer.step_flops else "",
            _roles(layer),
        )
    return table


def _roles(layer: LayerFacts) -> str:
    roles = {"content": layer.content, "style": layer.style}
    return ", ".join(f"{name} {weight:g}" for name, weight in roles.items() if weight is not None)


def _scopes(found: Inspection) -> Table:
    table = Table(
        title="Operations of the graph engine", show_footer=True, box=box.SIMPLE, pad_edge=False
    )
    totals = found.totals
    table.add_column("scope", footer="total")
    table.add_column("built", footer=str(totals["operations_built"]), justify="right")
    table.add_column("run each step", footer=str(totals["operations_run"]), justify="right")
    for scope in found.scopes:
        table.add_row(scope.scope or "(none)", str(scope.built), str(scope.run))
    return table
