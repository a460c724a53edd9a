"""The ``sweep:`` of a batch file: axes of values, and the grid of their combinations.

sweep:
  content: photos/*.jpg              # pictures by pattern, in the order of their names
  style: [starry.png, prints/*.png]
  optimizer.learning_rate: [1, 2]    # any key of a job, dotted
  zip:                               # lists of one length, taken together
    losses.content_weight: [5, 10]
    losses.style_weight: [40, 80]
"""

from __future__ import annotations

import glob
import math
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from nst_graph.errors import ConfigError, NstGraphError
from nst_graph.faults import short_repr
from nst_graph.filenames import fault_of_path
from nst_graph.layering import Change
from nst_graph.yamlfile import Document, KeyPath

#: Keys whose values may be patterns of file names.
PICTURE_KEYS = ("content", "style")

#: The key of axes that are taken together.
ZIP = "zip"

#: Keys that a sweep or an entry of `jobs` cannot set, and why.
REFUSED = {
    "output": "jobs are told apart by `name`, below the file's `output`",
    "extends": "it stands at the top of the file",
    "jobs": "it stands at the top of the file",
    "sweep": "it stands at the top of the file",
    "name": "it stands at the top of the file",
}

#: More jobs than this are taken for a mistake.
MAX_JOBS = 10_000

#: What one value of an axis sets: one key, or the keys of a zip.
Point = tuple[Change, ...]

_FORM = "write a list of values, such as optimizer.learning_rate: [1, 2]"


def read_axes(document: Document) -> tuple[list[list[Point]], list[NstGraphError]]:
    """The axes of a document's ``sweep``, in its order, and what is wrong with them."""
    sweep = document.data["sweep"]
    problems: list[NstGraphError] = []
    if not isinstance(sweep, Mapping) or not sweep:
        where = document.where(("sweep",))
        return [], [ConfigError("is no mapping of keys to values", where=where, remedy=_FORM)]
    axes: list[list[Point]] = []
    for key, values in sweep.items():
        try:
            if key == ZIP:
                axes += _zipped(document, values)
            else:
                axes.append([(change,) for change in _changes(document, key, values, ("sweep",))])
        except NstGraphError as error:
            problems.append(error)
    size = math.prod(map(len, axes))
    if size > MAX_JOBS:
        what = f"comes to {size} jobs; at most {MAX_JOBS} can be in one file"
        problems.append(
            ConfigError(what, where=document.where(("sweep",)), remedy="shorten some lists")
        )
        return [], problems
    return axes, problems


def grid(axes: list[list[Point]]) -> Iterator[Point]:
    """Every combination; the last axis varies fastest."""
    for combination in product(*axes):
        yield tuple(change for point in combination for change in point)


def _zipped(document: Document, value: Any) -> list[list[Point]]:
    """One axis of each mapping of lists."""
    groups = value if isinstance(value, list) else [value]
    axes = []
    for index, group in enumerate(groups):
        root: KeyPath = ("sweep", ZIP, index) if isinstance(value, list) else ("sweep", ZIP)
        if not isinstance(group, Mapping) or not group:
            raise ConfigError(
                "is no mapping of keys to lists",
                where=document.where(root),
                remedy="write several keys, each with a list of values, all of one length",
            )
        columns = [_changes(document, key, values, root) for key, values in group.items()]
        if len(set(map(len, columns))) > 1:
            lengths = ", ".join(
                f"{key}: {len(column)}" for key, column in zip(group, columns, strict=True)
            )
            raise ConfigError(
                f"the lists are not of one length ({lengths})",
                where=document.where(root),
                remedy="give each key as many values, or take it out of `zip`",
            )
        axes.append(list(zip(*columns, strict=True)))
    return axes


def _changes(document: Document, key: Any, values: Any, root: KeyPath) -> list[Change]:
    """What a key of a sweep sets, value by value."""
    root = (*root, str(key))
    path: KeyPath = tuple(str(key).split("."))
    if not all(path):
        raise ConfigError(f"{key!r} is no dotted key", where=document.where(root), remedy=_FORM)
    if key in REFUSED:
        raise ConfigError(
            f"{key!r} cannot be swept", where=document.where(root), remedy=REFUSED[str(key)]
        )
    if key in PICTURE_KEYS and isinstance(values, str):
        return [Change(path, name, document, root) for name in _pictures(document, values, root)]
    if not isinstance(values, list) or not values:
        raise ConfigError(
            f"needs a list of values, got {short_repr(values)}",
            where=document.where(root),
            remedy=_FORM,
        )
    changes = []
    for index, value in enumerate(values):
        names = [value]
        if key in PICTURE_KEYS and isinstance(value, str):
            names = _pictures(document, value, (*root, index))
        changes += [Change(path, name, document, (*root, index)) for name in names]
    return changes


def _pictures(document: Document, name: str, root: KeyPath) -> list[str]:
    """The files that a pattern stands for; a name without wildcards stands for itself."""
    if not glob.has_magic(name) or fault_of_path(name) or Path(name).exists():
        return [name]
    found = sorted(found for found in glob.glob(name, recursive=True) if Path(found).is_file())  # noqa: PTH207
    if not found:
        raise ConfigError(
            f"no file matches {name!r}",
            where=document.where(root),
            remedy=f"patterns start at {Path.cwd()}",
        )
    return found
