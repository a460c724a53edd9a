"""pydantic's errors in the words of the job file: the key, its value, what it may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic.fields import FieldInfo

from nst_graph.config import Job
from nst_graph.errors import ConfigError, choices_text
from nst_graph.yamlfile import KeyPath

#: pydantic's names for a value that is none of a section's kinds, such as `optimizer.name: adm`.
_NO_SUCH_KIND = ("union_tag_invalid", "union_tag_not_found")


class Fault:
    """One thing that is wrong with a job.

    Args:
        item: of ``ValidationError.errors()``.
        merged: the mapping that was validated.

    Attributes:
        path: the key at fault, without what pydantic puts in for members of unions.
    """

    def __init__(self, item: Mapping[str, Any], merged: Mapping[str, Any]) -> None:
        self._item = item
        self._merged = merged
        self._value = item.get("input")
        path = _without_tags(tuple(item["loc"]))
        if item["type"] in _NO_SUCH_KIND:
            key = item["ctx"]["discriminator"].strip("'")
            path, self._value = (*path, key), value_at(self._value, key)
        self.path = path if item["type"] == "extra_forbidden" else _in_job(path, merged)

    def explain(self, where: Callable[[KeyPath], str]) -> ConfigError:
        """The fault as an error; ``where`` tells the place of a key in the file."""
        kind, place = self._item["type"], where(self.path)
        if kind == "extra_forbidden":
            section = _section_at(self.path[:-1], self._merged)
            known = choices_text(self.path[-1], section.model_fields if section else ())
            return ConfigError(f"unknown key {self.path[-1]!r}", where=place, remedy=known)
        if kind == "missing":
            return ConfigError("is required and missing", where=place, remedy="add it")
        if kind == "literal_error" or kind in _NO_SUCH_KIND:
            value = short_repr(self._value)
            remedy = choices_text(value.strip("'"), self._choices())
            return ConfigError(f"{value} is not a choice", where=place, remedy=remedy)
        if kind == "value_error":
            what, _, remedy = str(self._item["ctx"]["error"]).partition("; ")
        else:
            what, remedy = self._item["msg"], ""
        return ConfigError(
            f"{what[:1].lower()}{what[1:]}, got {short_repr(self._value)}",
            where=place,
            remedy=remedy or self._description(),
        )

    def _choices(self) -> list[str]:
        if self._item["type"] == "literal_error":
            expected: str = self._item["ctx"]["expected"]
            return expected.replace(" or ", ", ").replace("'", "").split(", ")
        kinds = _sections(Job.model_fields[str(self.path[-2])])
        return [str(_tag(kind, str(self.path[-1]))) for kind in kinds]

    def _description(self) -> str:
        section = _section_at(self.path[:-1], self._merged)
        info = section.model_fields.get(str(self.path[-1])) if section and self.path else None
        described = info.description if info else None
        return f"{self.path[-1]}: {described}" if described else "correct this value"


def value_at(section: Any, key: str | int) -> Any:
    """``section[key]``; None where the one is no mapping or the other is not in it."""
    return section.get(key) if isinstance(section, Mapping) else None


def short_repr(value: Any) -> str:
    """The value as Python writes it, cut to a line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python refuses to print integers of 4300 digits
        return f"a {type(value).__name__} too long to print"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _without_tags(path: KeyPath) -> KeyPath:
    """pydantic's path less the tags that follow sections of several kinds."""
    return tuple(
        key for before, key in zip((None, *path), path, strict=False) if not _is_tag(before, key)
    )


def _is_tag(before: str | int | None, key: str | int) -> bool:
    field = Job.model_fields.get(str(before))
    return field is not None and key in _tags(field)


def _tags(field: FieldInfo) -> set[Any]:
    """What pydantic calls the kinds of a field: by a key of theirs, or by marks that they bear."""
    if isinstance(field.discriminator, str):
        return {_tag(section, field.discriminator) for section in _sections(field)}
    marks = [mark for kind in get_args(field.annotation) for mark in get_args(kind)[1:]]
    return {mark.tag for mark in marks if isinstance(mark, Tag)}


def _in_job(path: KeyPath, merged: Any) -> KeyPath:
    """The part of pydantic's path that names keys of the job (it adds members of unions)."""
    kept: list[str | int] = []
    for index, key in enumerate(path):
        if (isinstance(merged, Mapping) and key in merged) or _is_item(key, merged):
            merged = merged[key]
        elif index + 1 < len(path) or merged is None:
            continue
        kept.append(key)
    return tuple(kept)


def _is_item(key: str | int, value: Any) -> bool:
    return isinstance(key, int) and isinstance(value, (list, tuple)) and key < len(value)


def _section_at(path: KeyPath, merged: Any) -> type[BaseModel] | None:
    """The section of the schema at ``path``; None where there is none."""
    section: type[BaseModel] | None = Job
    for key in path:
        if _is_item(key, merged):  # its list has one kind of section
            merged = merged[key]
            continue
        field = section.model_fields.get(str(key)) if section else None
        merged = value_at(merged, key)
        section = _section_of(field, merged) if field else None
    return section


def _section_of(field: FieldInfo, value: Any) -> type[BaseModel] | None:
    """The section that a field holds; of several kinds, the one that the value's tag chooses."""
    key = field.discriminator
    for section in _sections(field):
        if not isinstance(key, str) or _tag(section, key) == value_at(value, key):
            return section
    return None


def _sections(field: FieldInfo) -> list[type[BaseModel]]:
    return list(_sections_in(field.annotation))


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections of a type: its own, its alternatives', or its items'."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, Annotated, tuple):
        for part in get_args(annotation):
            yield from _sections_in(part)


def _tag(section: type[BaseModel], key: str) -> Any:
    return section.model_fields[key].default
