"""Job files: a recipe's settings, overridden by a YAML file, overridden by ``--set``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from nst_graph.config import Job
from nst_graph.errors import ConfigError, NstGraphError, choices_text
from nst_graph.recipes import find_recipe
from nst_graph.yamlfile import Document, KeyPath, parse_yaml, read_yaml

#: Sections that describe one of several things: another `name` or `kind` starts from its defaults.
DISCRIMINATORS = {"optimizer": "name", "initial_image": "kind"}

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
}


def _complete(document: Document, overrides: Sequence[str]) -> LoadedJob:
    given = document.data
    overridden: set[KeyPath] = set()
    for override in overrides:
        path, value = _parse_override(override)
        given = _with_value(given, path, value)
        overridden.add(path)
    source = JobSource(document, frozenset(overridden))
    if "recipe" not in given:
        raise ConfigError(
            "no recipe is named", where=document.name, remedy="add a line such as recipe: coursera"
        )
    try:
        recipe = find_recipe(given["recipe"])
    except ConfigError as error:
        error.where = source.where(("recipe",))
        raise
    merged = _merge(recipe.settings(), given)
    try:
        return LoadedJob(Job.model_validate(merged), source)
    except ValidationError as error:
        items = sorted(error.errors(), key=lambda item: source.order(tuple(item["loc"])))
        problems = [_explain(item, merged, source) for item in items]
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


def _with_value(data: Mapping[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    head, *rest = path
    if not rest:
        return {**data, str(head): value}
    inner = data.get(str(head))
    inner = inner if isinstance(inner, Mapping) else {}
    return {**data, str(head): _with_value(inner, tuple(rest), value)}


def _merge(recipe: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's settings under the given ones. Sections merge key by key."""
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


def _explain(item: Any, merged: Mapping[str, Any], source: JobSource) -> ConfigError:
    """One pydantic error as a message in the words of the job file."""
    path: KeyPath = tuple(item["loc"])
    kind, value = item["type"], item.get("input")
    if kind == "extra_forbidden":
        known = _keys_at(path[:-1])
        return ConfigError(
            f"unknown key {path[-1]!r}",
            where=source.where(path),
            remedy=choices_text(path[-1], known),
        )
    shown = _in_job(path, merged)
    if kind == "missing":
        return ConfigError("is required and missing", where=source.where(shown), remedy="add it")
    if kind == "literal_error":
        choices = item["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return ConfigError(
            f"{value!r} is not a choice",
            where=source.where(shown),
            remedy=choices_text(value, choices),
        )
    if kind == "value_error":
        what, _, remedy = str(item["ctx"]["error"]).partition("; ")
    else:
        what, remedy = item["msg"], ""
    return ConfigError(
        f"{what[:1].lower()}{what[1:]}, got {_short(value)}",
        where=source.where(shown),
        remedy=remedy or _described(shown),
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _in_job(path: KeyPath, merged: Any) -> KeyPath:
    """The part of pydantic's path that names keys of the job (it adds tags of unions)."""
    kept: list[str | int] = []
    for index, key in enumerate(path):
        if isinstance(merged, Mapping) and key in merged:
            merged = merged[key]
        elif isinstance(merged, Sequence) and not isinstance(merged, str):
            merged = None
        elif index + 1 < len(path) or merged is None:
            continue
        kept.append(key)
    return tuple(kept)


def _model_at(path: KeyPath) -> type[BaseModel] | None:
    """The section of the schema at ``path``; None where the path leaves the sections."""
    model: type[BaseModel] | None = Job
    for key in path:
        field_info = model.model_fields.get(str(key)) if model else None
        kinds = (field_info.annotation, *get_args(field_info.annotation)) if field_info else ()
        sections = [
            kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        model = sections[0] if sections else model if str(key).islower() else None
    return model


def _keys_at(path: KeyPath) -> list[str]:
    model = _model_at(path)
    return list(model.model_fields) if model else []


def _described(path: KeyPath) -> str:
    model = _model_at(path[:-1])
    info = model.model_fields.get(str(path[-1])) if model and path else None
    return f"{path[-1]}: {info.description}" if info and info.description else "correct this value"


def to_yaml(job: Job) -> str:
    """The complete job as YAML; loaded again it is the same job."""
    data = job.model_dump(mode="json")
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=100)
