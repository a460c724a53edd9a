"""A job's settings in layers: each over those before it, and each knowing where it was written."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from nst_graph.faults import value_at
from nst_graph.yamlfile import Document, KeyPath

#: Keys of `log` that count iterations, which are another thing with another optimiser.
LOG_INTERVALS = ("losses_every", "image_every")

#: Sections that describe one of several things: another `name` or `kind` starts from its defaults.
DISCRIMINATORS = {"optimizer": "name", "initial_image": "kind"}

#: Keys of `initial_image` that belong to one kind of it, which has the key's name.
_OF_ONE_KIND = ("picture", "run")

#: Mappings of layers: given in a job, they replace those below as a whole.
REPLACED_WHOLE = ("content_layers", "style_layers")

#: Line and column in the files of a job; the first number tells the files apart.
Order = tuple[int, int, int]

_NOWHERE: Order = (sys.maxsize, 0, 0)


@dataclass(frozen=True)
class Layer:
    """Settings that stand together in a file.

    Attributes:
        document: the file, or a stand-in for settings made in code.
        settings: with the keys of a job, any of them.
        root: path in the document under which they stand: ``()``, or ``("jobs", 2)``.
    """

    document: Document
    settings: Mapping[str, Any]
    root: KeyPath = ()

    def where(self, path: KeyPath) -> str:
        return self.document.where((*self.root, *path))

    def position(self, path: KeyPath) -> tuple[int, int] | None:
        return self.document.position((*self.root, *path))

    def holds(self, path: KeyPath) -> bool:
        return (*self.root, *path) in self.document.positions


@dataclass(frozen=True)
class Change:
    """One key that is set over all layers: by ``--set``, or by a point of a sweep.

    Attributes:
        path: the key in the job.
        value: what it becomes.
        document: the file of the sweep; None for ``--set``.
        root: path of the value in that file.
    """

    path: KeyPath
    value: Any
    document: Document | None = None
    root: KeyPath = ()

    def sets(self, path: KeyPath) -> bool:
        return path[: len(self.path)] == self.path

    def where(self, path: KeyPath) -> str:
        if self.document is None:
            return f"--set {'.'.join(map(str, path))}"
        return self.document.where((*self.root, *path[len(self.path) :]))

    def position(self, path: KeyPath) -> tuple[int, int] | None:
        if self.document is None:
            return None
        return self.document.position((*self.root, *path[len(self.path) :]))


@dataclass(frozen=True)
class JobSource:
    """Where each value of a job was written, for messages.

    Attributes:
        layers: from the lowest, at least one.
        changes: over the layers; of two that set a key, the later counts.
    """

    layers: tuple[Layer, ...]
    changes: tuple[Change, ...] = ()

    def where(self, path: KeyPath) -> str:
        """The place of a key, or of the section where it is missing."""
        return self._holder(path).where(path)

    def order(self, path: KeyPath) -> Order:
        """Sorts messages by their place in the files, those without one last."""
        holder = self._holder(path)
        position = holder.position(path)
        if position is None or isinstance(holder, Change):
            return _NOWHERE if position is None else (len(self.layers), *position)
        return (self.layers.index(holder), *position)

    def given(self, recipe: Mapping[str, Any]) -> dict[str, Any]:
        """The layers and changes as one mapping, to be laid over the recipe's settings."""
        empty: dict[str, Any] = {}
        layers = reduce(
            lambda below, layer: _overlay(below, layer.settings, recipe), self.layers, empty
        )
        chosen = {key: self._chosen_by_changes(key, tag) for key, tag in DISCRIMINATORS.items()}
        kept = _without_replaced(layers, recipe, chosen)
        kept = without_rivals(kept, {change.path[0]: change.value for change in self.changes})
        return changed(kept, self.changes)

    def top_level(self, key: str) -> tuple[Any, Layer | Change | None]:
        """The value of a key at the top level, and what gives it; (None, None) if nothing does."""
        for change in reversed(self.changes):
            if change.path == (key,):
                return change.value, change
        for layer in reversed(self.layers):
            if key in layer.settings:
                return layer.settings[key], layer
        return None, None

    def _holder(self, path: KeyPath) -> Layer | Change:
        for length in range(len(path), 0, -1):
            head = path[:length]
            for change in reversed(self.changes):
                if change.sets(head):
                    return change
            for layer in reversed(self.layers):
                if layer.holds(head):
                    return layer
        return self.layers[-1]

    def _chosen_by_changes(self, section: str, tag: str) -> Any:
        for change in reversed(self.changes):
            if change.path == (section, tag):
                return change.value
            if change.path == (section,):
                return value_at(change.value, tag)
        return None


def changed(data: Mapping[str, Any], changes: Sequence[Change]) -> dict[str, Any]:
    """``data`` with each change made; sections that it lacks come into being."""
    result = dict(data)
    for change in changes:
        result = _with_value(result, change.path, change.value)
    return result


def _with_value(data: Mapping[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    head, *rest = path
    if not rest:
        return {**data, str(head): value}
    inner = value_at(data, str(head))
    inner = inner if isinstance(inner, Mapping) else {}
    return {**data, str(head): _with_value(inner, tuple(rest), value)}


def _overlay(
    below: Mapping[str, Any], above: Mapping[str, Any], recipe: Mapping[str, Any]
) -> dict[str, Any]:
    """Sections merge key by key; all else is replaced."""
    chosen = {key: value_at(above.get(key), tag) for key, tag in DISCRIMINATORS.items()}
    merged = without_rivals(_without_replaced(below, recipe, chosen), above)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping) and key not in REPLACED_WHOLE:
            merged[key] = {**under, **value}
        else:
            merged[key] = value
    return merged


def without_rivals(below: Mapping[str, Any], above: Mapping[Any, Any]) -> dict[str, Any]:
    """``below`` less the `size` in whose place `sizes` stands above it, and the other way round."""
    rivals = {
        rival
        for key, rival in (("size", "sizes"), ("sizes", "size"))
        if above.get(key) is not None and rival not in above
    }
    return {key: value for key, value in below.items() if key not in rivals}


def _without_replaced(
    data: Mapping[str, Any], recipe: Mapping[str, Any], chosen: Mapping[str, Any]
) -> Mapping[str, Any]:
    """``data`` less what belongs to things in whose place others are chosen above it.

    Args:
        data: settings.
        recipe: the recipe's.
        chosen: by section, the tag of ``DISCRIMINATORS`` that is chosen; None: none is.
    """
    kept = _without_optimizer(data, recipe, chosen["optimizer"])
    start, kind = data.get("initial_image"), chosen["initial_image"]
    if kind is None or not isinstance(start, Mapping):
        return kept
    others = [key for key in _OF_ONE_KIND if key != kind]
    return {**kept, "initial_image": {key: start[key] for key in start if key not in others}}


def _without_optimizer(
    data: Mapping[str, Any], recipe: Mapping[str, Any], chosen: Any
) -> Mapping[str, Any]:
    former = value_at(data.get("optimizer"), "name") or recipe["optimizer"]["name"]
    if chosen is None or chosen == former:
        return data
    kept = {key: value for key, value in data.items() if key != "optimizer"}
    if isinstance(data.get("log"), Mapping):
        kept["log"] = {key: data["log"][key] for key in data["log"] if key not in LOG_INTERVALS}
    return kept
