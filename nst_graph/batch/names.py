"""Names of a batch's jobs by template: ``{content.stem}-{optimizer.name}``."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from nst_graph.config import Job
from nst_graph.errors import ConfigError, choices_text
from nst_graph.faults import value_at
from nst_graph.filenames import MAX_PART, fault_of_path
from nst_graph.sources import EMBEDDED_PREFIX

#: Name of a job where neither the file nor its sweep gives one.
BY_NUMBER = "{index:03d}"

_PICTURES = ("content", "style")
_UNUSUAL = re.compile(r"[^\w.+=@-]+")


def default_template(swept: Iterable[str]) -> str:
    """A template of what varies: the swept keys, in their order."""
    fields = [f"{key}.stem" if key in _PICTURES else key for key in swept]
    return "-".join(f"{{{field}}}" for field in fields) or BY_NUMBER


def job_name(template: object, job: Job, index: int, where: str) -> str:
    """The name that a template comes to: a path below the batch's output directory.

    Args:
        template: text with fields in braces: ``index`` (from 1), ``content.stem``, ``style.stem``,
            or any dotted key of a job; format specifications as in Python, ``{index:03d}``.
        job: whose values they are.
        index: number of the job in the file, from 1.
        where: place of the template, for messages.

    Raises:
        ConfigError: it is no template, names no key, or comes to no name of a directory.
    """
    if not isinstance(template, str) or not template:
        raise ConfigError(
            f"{template!r} is no name", where=where, remedy="write text such as {content.stem}"
        )
    values = {"index": index, **_values_of(job)}
    name = "".join(_parts(template, values, where))
    parts = name.split("/")
    fault = fault_of_path(name)
    if any(part.strip(". ") == "" for part in parts):
        fault = "has an empty part, or one of dots only"
    elif any(part.endswith(".previous") for part in parts):
        fault = "ends in .previous, which is kept for runs that are being replaced"
    if fault:
        raise ConfigError(f"the name {name[:80]!a} {fault}", where=where, remedy="choose another")
    return name


def _parts(template: str, values: Mapping[str, Any], where: str) -> Iterable[str]:
    try:
        for literal, field, specification, _ in string.Formatter().parse(template):
            yield literal
            if field is not None:
                yield _field(field, specification or "", values, where)
    except (ValueError, TypeError) as error:  # of the parser, or of a format specification
        raise ConfigError(
            f"{template!r} is no name template: {error}",
            where=where,
            remedy="fields stand in braces, as in {content.stem}-{optimizer.name}",
        ) from None


def _field(field: str, specification: str, values: Mapping[str, Any], where: str) -> str:
    if field not in values:
        raise ConfigError(
            f"there is no key {field!r} for a name", where=where, remedy=choices_text(field, values)
        )
    value = values[field]
    if isinstance(value, list):
        value = "x".join(map(str, value))
    # Checked first: of a width of 10^12 there would be no text to look at.
    numbers = [int(digits) for digits in re.findall(r"\d+", specification)]
    if max(numbers, default=0) > MAX_PART:
        raise ConfigError(
            f"the field {field!r} asks for {max(numbers)} characters",
            where=where,
            remedy=f"a part of a path has at most {MAX_PART}",
        )
    text = format(value, specification) if specification else str(value)
    return _UNUSUAL.sub("-", text).strip("-") or "none"


def _values_of(job: Job) -> dict[str, Any]:
    """Every key of the job by its dotted name."""
    values: dict[str, Any] = {}
    for key, value in job.model_dump(mode="json", exclude={"output"}).items():
        if isinstance(value, dict):
            values |= {f"{key}.{inner}": value_at(value, inner) for inner in value}
        else:
            values[key] = value
    pictures = {"content": [job.content], "style": [style.picture for style in job.styles]}
    for key, names in pictures.items():
        stems = [PurePath(name.removeprefix(EMBEDDED_PREFIX)).stem for name in names]
        values |= {key: "+".join(names), f"{key}.stem": "+".join(stems)}
    return values
