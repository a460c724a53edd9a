"""A drawing of a small graph, for the first lesson: one panel for each fetch."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import tensorflow as tf
from matplotlib.axes import Axes

#: Bookkeeping of variables, and the constants that ops bring along.
HIDDEN_TYPES = {"Const", "VarIsInitializedOp"}


def show_fetches(graph: tf.Graph, highlighted: Mapping[str, set[tf.Operation]]) -> None:
    """Draw the graph once for each entry, the entry's operations in orange.

    Args:
        graph: a small one; inputs are above, results below.
        highlighted: title of the panel to the operations to mark.
    """
    operations = [op for op in graph.get_operations() if op.type not in HIDDEN_TYPES]
    places = _places(operations)
    figure, axes = plt.subplots(1, len(highlighted), figsize=(3.3 * len(highlighted), 4.2))
    for axis, (title, marked) in zip(axes, highlighted.items(), strict=True):
        for operation in places:
            _draw(axis, operation, places, "orange" if operation in marked else "white")
        across, down = zip(*places.values(), strict=True)
        axis.set(xlim=(min(across) - 0.6, max(across) + 0.6), ylim=(min(down) - 0.5, 0.5))
        axis.set_title(title, fontsize=10, family="monospace")
        axis.axis("off")
    figure.tight_layout()
    plt.show()


def _places(operations: list[tf.Operation]) -> dict[tf.Operation, tuple[int, int]]:
    """(column, minus row): a row below its inputs, in the first input's column if that is free."""
    places: dict[tf.Operation, tuple[int, int]] = {}
    for operation in operations:
        above = [places[tensor.op] for tensor in operation.inputs if tensor.op in places]
        row = 1 + max((-down for _, down in above), default=-1)
        column = above[0][0] if above else 0
        while (column, -row) in places.values():
            column += 1
        places[operation] = (column, -row)
    return places


def _draw(
    axis: Axes,
    operation: tf.Operation,
    places: Mapping[tf.Operation, tuple[int, int]],
    colour: str,
) -> None:
    x, y = places[operation]
    for tensor in operation.inputs:
        if tensor.op in places:
            # Drawn from centre to centre; the boxes lie on top of the lines.
            across, down = zip(places[tensor.op], (x, y), strict=True)
            axis.plot(across, down, color="grey", linewidth=1, zorder=1)
    name = "\n".join(operation.name.replace("ReadVariableOp", "read").split("/")[:2])
    box = {"facecolor": colour, "edgecolor": "grey", "boxstyle": "round"}
    axis.text(x, y, name, ha="center", va="center", fontsize=8, bbox=box, zorder=2)
