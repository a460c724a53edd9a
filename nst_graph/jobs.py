"""Jobs: a recipe's settings, overridden by job files, overridden by ``--set``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nst_graph.config import Job, optimizer_settings
from nst_graph.errors import ConfigError, NstGraphError
from nst_graph.faults import Fault, value_at
from nst_graph.jobfile import is_batch, parse_overrides, read_source
from nst_graph.layering import (
    DISCRIMINATORS,
    LOG_INTERVALS,
    REPLACED_WHOLE,
    JobSource,
    Layer,
    without_rivals,
)
from nst_graph.recipes import RECIPES, Recipe, find_recipe
from nst_graph.yamlfile import Document, dump_yaml

#: Stand in for what is missing or wrong while the rest of a job is looked at.
_STAND_IN = {"content": "embedded:landscape", "style": "embedded:painting"}


class InvalidJobError(ConfigError):
    """Everything that is wrong with one job, in the order of the file.

    Attributes:
        problems: one by one.
        rest: the job with the recipe's values in place of those at fault, so that its files can
            be checked as well; None where nothing sound is left.
    """

    def __init__(self, problems: Sequence[NstGraphError], rest: LoadedJob | None = None) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
        self.rest = rest

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.problems,)


@dataclass(frozen=True)
class LoadedJob:
    """A complete job and where its values were written."""

    job: Job
    source: JobSource

    def where(self, *path: str | int) -> str:
        return self.source.where(path)


def load_job(path: Path, overrides: Sequence[str] = ()) -> LoadedJob:
    """Read, merge and validate the file of one job.

    Args:
        path: a YAML file.
        overrides: ``key.path=value`` strings; values are YAML.

    Raises:
        ConfigError: with file, line, column and key; ``InvalidJobError`` names every fault at once.
    """
    source = read_source(path, overrides)
    if is_batch(source):
        raise ConfigError(
            "holds many jobs, and one is needed here",
            where=str(path),
            remedy="`nst-graph run`, `validate` and `show-config` take such files",
        )
    return complete(source)


def make_job(settings: Mapping[str, Any], overrides: Sequence[str] = ()) -> LoadedJob:
    """A complete job from a mapping with the keys of a job file."""
    layer = Layer(Document("job", dict(settings)), dict(settings))
    return complete(JobSource((layer,), parse_overrides(overrides)))


#: The embedded example, also in configs/demo.yaml: needs no file and no network.
DEMO: Mapping[str, Any] = {
    "recipe": "coursera",
    "content": "embedded:landscape",
    "style": "embedded:painting",
    "output": "runs/demo",
    "weights": {"source": "random"},
    "optimizer": {"steps": 100, "learning_rate": 6.0},
}


def problems_of(error: NstGraphError) -> tuple[NstGraphError, ...]:
    """The faults in an error, one by one."""
    return error.problems if isinstance(error, InvalidJobError) else (error,)


def complete(source: JobSource) -> LoadedJob:
    """Lay the settings over their recipe's, and validate them.

    Raises:
        InvalidJobError: every fault at once.
    """
    recipe, problems = _recipe_of(source)
    defaults = recipe.settings()
    given = source.given(defaults)
    merged = {**_merge(defaults, given), "recipe": recipe.name}
    faults: list[Fault] = []
    try:
        job = Job.model_validate(merged)
    except ValidationError as error:
        faults = [Fault(dict(item), merged) for item in error.errors()]
    except RecursionError:
        name = source.layers[-1].document.name
        raise ConfigError(
            "contains itself through an alias", where=name, remedy="remove the alias"
        ) from None
    if problems:  # what the optimiser may have depends on the recipe, which is not known
        faults = [fault for fault in faults if fault.path[:1] != ("optimizer",)]
    faults.sort(key=lambda fault: source.order(fault.path))
    problems += [fault.explain(source.where) for fault in faults]
    if problems:
        raise InvalidJobError(problems, _rest(merged, defaults, faults, source))
    return LoadedJob(job, source)


def _recipe_of(source: JobSource) -> tuple[Recipe, list[NstGraphError]]:
    """The recipe, or one in its place and what is wrong with its name."""
    name, holder = source.top_level("recipe")
    stand_in = next(iter(RECIPES.values()))
    if holder is None:
        where, remedy = source.layers[-1].where(()), "add a line such as recipe: coursera"
        return stand_in, [ConfigError("no recipe is named", where=where, remedy=remedy)]
    try:
        return find_recipe(name), []
    except ConfigError as error:
        error.where = holder.where(("recipe",))
        return stand_in, [error]


def _rest(
    merged: Mapping[str, Any],
    defaults: Mapping[str, Any],
    faults: Sequence[Fault],
    source: JobSource,
) -> LoadedJob | None:
    instead = {**defaults, **_STAND_IN}
    sound = dict(merged)
    for key in {str(fault.path[0]) for fault in faults if fault.path}:
        sound.pop(key, None)
        if key in instead:
            sound[key] = instead[key]
    try:
        return LoadedJob(Job.model_validate(sound), source)
    except (ValidationError, RecursionError):
        return None


def _merge(recipe: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's settings under the given ones. Sections merge key by key."""
    recipe = {**recipe, "log": _log_for(value_at(given.get("optimizer"), "name"), recipe)}
    merged = without_rivals(recipe, given)
    for key, value in given.items():
        base = recipe.get(key)
        if isinstance(value, Mapping) and isinstance(base, dict) and key not in REPLACED_WHOLE:
            choice = DISCRIMINATORS.get(key)
            kept = base if choice is None or value.get(choice, base[choice]) == base[choice] else {}
            merged[key] = {**kept, **value}
        else:
            merged[key] = value
    return merged


def _log_for(optimizer: Any, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's log; another optimiser, whose iterations are others, brings its intervals."""
    settings = optimizer_settings(optimizer) if isinstance(optimizer, str) else None
    if settings is None or optimizer == recipe["optimizer"]["name"]:
        return dict(recipe["log"])
    return {**recipe["log"], **dict.fromkeys(LOG_INTERVALS, settings.log_every)}


def to_yaml(job: Job) -> str:
    """The complete job as YAML; loaded again it is the same job."""
    return dump_yaml(job.model_dump(mode="json"))
