"""Job files: a recipe's settings, overridden by a YAML file, overridden by ``--set``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nst_graph.config import Job, optimizer_settings
from nst_graph.errors import ConfigError, NstGraphError
from nst_graph.faults import Fault, value_at
from nst_graph.recipes import find_recipe
from nst_graph.yamlfile import Document, KeyPath, parse_yaml, read_yaml

#: Sections that describe one of several things: another `name` or `kind` starts from its defaults.
DISCRIMINATORS = {"optimizer": "name", "initial_image": "kind"}

#: Keys of `log` that count iterations, which are another thing with another optimiser.
LOG_INTERVALS = ("losses_every", "image_every")

#: Mappings of layers: given in a job, they replace the recipe's as a whole.
REPLACED_WHOLE = ("content_layers", "style_layers")


class InvalidJobError(ConfigError):
    """Everything that is wrong with one job, in the order of the file."""

    def __init__(self, problems: Sequence[NstGraphError]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class JobSource:
    """Where each value of a job was written, for messages.

    Attributes:
        document: the job file, or a stand-in for jobs made in code.
        overridden: dotted keys given by ``--set``.
    """

    document: Document
    overridden: frozenset[KeyPath] = field(default_factory=frozenset)

    def where(self, path: KeyPath) -> str:
        for length in range(len(path), 0, -1):
            if path[:length] in self.overridden:
                return f"--set {'.'.join(map(str, path))}"
        return self.document.where(path)

    def order(self, path: KeyPath) -> tuple[int, int]:
        """Sorts messages by their place in the file, those without one last."""
        return self.document.position(path) or (sys.maxsize, 0)


@dataclass(frozen=True)
class LoadedJob:
    """A complete job and where its values were written."""

    job: Job
    source: JobSource

    def where(self, *path: str | int) -> str:
        return self.source.where(path)


def load_job(path: Path, overrides: Sequence[str] = ()) -> LoadedJob:
    """Read, merge and validate a job file.

    Args:
        path: a YAML file.
        overrides: ``key.path=value`` strings; values are YAML.

    Raises:
        ConfigError: with file, line, column and key; ``InvalidJobError`` names every fault at once.
    """
    document = read_yaml(path)
    document.data.setdefault("output", f"runs/{path.stem}")
    return _complete(document, overrides)


def make_job(settings: Mapping[str, Any], overrides: Sequence[str] = ()) -> LoadedJob:
    """A complete job from a mapping with the keys of a job file."""
    return _complete(Document("job", dict(settings)), overrides)


#: The embedded example, also in configs/demo.yaml: needs no file and no network.
DEMO: Mapping[str, Any] = {
    "recipe": "coursera",
    "content": "embedded:landscape",
    "style": "embedded:painting",
    "output": "runs/demo",
    "weights": {"source": "random"},
    "optimizer": {"steps": 100},
}


def _complete(document: Document, overrides: Sequence[str]) -> LoadedJob:
    changes = dict(map(_parse_override, overrides))
    given = _changed(document.data, changes)
    source = JobSource(document, frozenset(changes))
    if "recipe" not in given:
        raise ConfigError(
            "no recipe is named", where=document.name, remedy="add a line such as recipe: coursera"
        )
    try:
        recipe = find_recipe(given["recipe"])
    except ConfigError as error:
        error.where = source.where(("recipe",))
        raise
    settings = recipe.settings()
    kept = _without_replaced(document.data, settings, changes.get(("optimizer", "name")))
    merged = _merge(settings, _changed(kept, changes))
    try:
        return LoadedJob(Job.model_validate(merged), source)
    except ValidationError as error:
        faults = [Fault(dict(item), merged) for item in error.errors()]
        faults.sort(key=lambda fault: source.order(fault.path))
        problems = [fault.explain(source.where) for fault in faults]
        raise InvalidJobError(problems) from None
    except RecursionError:
        raise ConfigError(
            "contains itself through an alias", where=document.name, remedy="remove the alias"
        ) from None


def _parse_override(text: str) -> tuple[KeyPath, Any]:
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(
            f"{text!r} is not of the form key=value",
            where="--set",
            remedy="write for example --set optimizer.steps=50",
        )
    parsed = parse_yaml(f"value: {value}" if value.strip() else "value: null", f"--set {key}")
    return tuple(key.split(".")), parsed.data["value"]


def _changed(data: Mapping[str, Any], changes: Mapping[KeyPath, Any]) -> dict[str, Any]:
    changed = dict(data)
    for path, value in changes.items():
        changed = _with_value(changed, path, value)
    return changed


def _with_value(data: Mapping[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    head, *rest = path
    if not rest:
        return {**data, str(head): value}
    inner = data.get(str(head))
    inner = inner if isinstance(inner, Mapping) else {}
    return {**data, str(head): _with_value(inner, tuple(rest), value)}


def _merge(recipe: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's settings under the given ones. Sections merge key by key."""
    recipe = {**recipe, "log": _log_for(value_at(given.get("optimizer"), "name"), recipe)}
    merged = dict(recipe)
    for key, value in given.items():
        base = recipe.get(key)
        if isinstance(value, Mapping) and isinstance(base, dict) and key not in REPLACED_WHOLE:
            choice = DISCRIMINATORS.get(key)
            kept = base if choice is None or value.get(choice, base[choice]) == base[choice] else {}
            merged[key] = {**kept, **value}
        else:
            merged[key] = value
    return merged


def _without_replaced(
    data: Mapping[str, Any], recipe: Mapping[str, Any], chosen: Any
) -> Mapping[str, Any]:
    """The file's values, less those of an optimiser in whose place ``--set`` chooses another."""
    former = value_at(data.get("optimizer"), "name") or recipe["optimizer"]["name"]
    if chosen is None or chosen == former:
        return data
    kept = {key: value for key, value in data.items() if key != "optimizer"}
    if isinstance(data.get("log"), Mapping):
        kept["log"] = {key: data["log"][key] for key in data["log"] if key not in LOG_INTERVALS}
    return kept


def _log_for(optimizer: Any, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's log; another optimiser, whose iterations are others, brings its intervals."""
    settings = optimizer_settings(optimizer) if isinstance(optimizer, str) else None
    if settings is None or optimizer == recipe["optimizer"]["name"]:
        return dict(recipe["log"])
    return {**recipe["log"], **dict.fromkeys(LOG_INTERVALS, settings.log_every)}


def to_yaml(job: Job) -> str:
    """The complete job as YAML; loaded again it is the same job."""
    data = job.model_dump(mode="json")
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=100)
