"""Losses measured elsewhere: the metrics.csv of a run, or a table typed from a notebook."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nst_graph.errors import ConfigError

#: Losses by iteration, counted as the source counts, and term.
Losses = dict[int, dict[str, float]]


def read_metrics(path: Path) -> Losses:
    """Losses from a table with a column ``iteration`` and one for each term, as metrics.csv has.

    Columns whose values are not numbers, and empty cells, are passed over.

    Raises:
        ConfigError: it cannot be read, or lacks ``iteration`` or ``total``.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"it cannot be read: {error}", where=str(path)) from error
    columns = set(rows[0]) if rows else set()
    if not {"iteration", "total"} <= columns:
        raise ConfigError(
            "there are no columns 'iteration' and 'total'",
            where=str(path),
            remedy="give a metrics.csv, or a table of that form: iteration,total,content,style",
        )
    losses: Losses = {}
    for number, row in enumerate(rows, start=2):
        values = _numbers(row)
        if "iteration" not in values or not float(values["iteration"]).is_integer():
            raise ConfigError(
                f"iteration {row['iteration']!r} is not a whole number", where=f"{path}:{number}"
            )
        losses[int(values.pop("iteration"))] = values
    return losses


def _numbers(row: Mapping[Any, Any]) -> dict[str, float]:
    values = {}
    for name, text in row.items():
        try:
            values[str(name).strip()] = float(text)
        except (TypeError, ValueError):
            continue
    return values
