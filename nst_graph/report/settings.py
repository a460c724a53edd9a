"""A job's settings as rows of a table, with what differs from the recipe's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nst_graph.errors import ConfigError
from nst_graph.jobs import make_job
from nst_graph.layering import DISCRIMINATORS

#: What some kinds of a section cannot do without; where it is null, it is not needed.
_NEEDED = ("picture", "run")

#: Every job has its own.
_OWN = ("recipe", "content", "style", "output")


@dataclass(frozen=True)
class Setting:
    """One key of a job.

    Attributes:
        key: dotted.
        value: as YAML would have it.
        default: the recipe's, where that is another; None where it is the same, or not known.
    """

    key: str
    value: str
    default: str | None


def settings_of(job: Mapping[str, Any]) -> list[Setting]:
    """Rows for all keys of a job, as it stands in a manifest."""
    given, defaults = _flat(job), _defaults_of(job)
    rows = []
    for key, value in given.items():
        text = _text(value)
        default = _text(defaults[key]) if key in defaults else "none"
        comparable = bool(defaults) and key.split(".")[0] not in _OWN
        rows.append(Setting(key, text, default if comparable and default != text else None))
    return rows


def _defaults_of(job: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's settings; empty where this version does not know the recipe.

    Settings of an optimiser, or initial image, that is not the recipe's are compared with the
    defaults of the one that was chosen.
    """
    named = {
        "recipe": job.get("recipe"),
        "content": "embedded:landscape",
        "style": "embedded:painting",
        "output": "any",
    }
    chosen = {
        section: {name: job[section][name] for name in (key, *_NEEDED) if name in job[section]}
        for section, key in DISCRIMINATORS.items()
        if isinstance(job.get(section), dict) and key in job[section]
    }
    try:
        recipe = make_job(named).job.model_dump(mode="json")
        same_kind = make_job({**named, **chosen}).job.model_dump(mode="json")
    except ConfigError:
        return {}
    defaults = _flat(same_kind)
    for section, key in DISCRIMINATORS.items():
        defaults[f"{section}.{key}"] = recipe[section][key]
    return defaults


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.12g}"
    return json.dumps(value, ensure_ascii=False)
