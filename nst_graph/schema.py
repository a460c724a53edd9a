"""JSON Schema of job files, made from the models: for editors, which complete and check by it.

It is a little wider than what ``nst-graph validate`` accepts: which keys an optimiser may have is
decided there by the recipe, and files, sizes and names are looked at.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from nst_graph.config import Job
from nst_graph.embedded import PICTURES
from nst_graph.jobfile import BATCH_KEYS, EXTENDS
from nst_graph.layers import ACTIVATIONS
from nst_graph.recipes import RECIPES
from nst_graph.sources import EMBEDDED_PREFIX
from nst_graph.sweep import PICTURE_KEYS, ZIP

JsonSchema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: What a file has to say, unless another file or its list of jobs says it.
REQUIRED = ("recipe", "content", "style")

_LAYERS = ("content_layers", "style_layers")

#: Items of lists: no recipe fills in what they lack.
_WHOLE = ("StylePicture",)


def job_file_schema() -> JsonSchema:
    """The schema of job and batch files, draft 2020-12."""
    whole = Job.model_json_schema(mode="validation")
    definitions: JsonSchema = {
        name: part if name in _WHOLE else _partial(part) for name, part in whole["$defs"].items()
    }
    properties = _job_properties(whole["properties"])
    entry = {key: value for key, value in properties.items() if key != "output"}
    definitions["Entry"] = {
        "type": "object",
        "description": "one job: the keys in which it differs",
        "properties": {**entry, "name": _NAME},
        "additionalProperties": False,
    }
    definitions["Sweep"] = _sweep(properties, definitions)
    batch = [key for key in BATCH_KEYS if key != "name"]
    return {
        "$schema": DIALECT,
        "title": "nst_graph job file",
        "type": "object",
        "properties": {
            **properties,
            EXTENDS: {
                "type": "string",
                "minLength": 1,
                "description": "a job file, relative to this one, whose settings lie under these",
            },
            "jobs": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Entry"}},
            "sweep": {"$ref": "#/$defs/Sweep"},
            "name": _NAME,
        },
        "additionalProperties": False,
        "anyOf": [
            {"required": list(REQUIRED)},
            *({"required": [key]} for key in (EXTENDS, *batch)),
        ],
        "$defs": definitions,
    }


_NAME: JsonSchema = {
    "type": "string",
    "minLength": 1,
    "description": "of each job of a batch, below `output`; fields: {index}, {content.stem}, "
    "{style.stem}, and any key, such as {optimizer.name}",
}


def _partial(section: JsonSchema) -> JsonSchema:
    """A section as a job file has it: any of its keys, the recipe fills in the others."""
    return {key: copy.deepcopy(value) for key, value in section.items() if key != "required"}


def _job_properties(found: Mapping[str, Any]) -> JsonSchema:
    properties: JsonSchema = copy.deepcopy(dict(found))
    properties["recipe"]["enum"] = list(RECIPES)
    for key in PICTURE_KEYS:
        properties[key]["examples"] = [EMBEDDED_PREFIX + name for name in PICTURES]
    for key in _LAYERS:
        properties[key]["propertyNames"] = {"enum": list(_layer_names())}
    # Without its name an optimiser may fit several kinds, and is that of the recipe.
    optimizer = properties["optimizer"]
    optimizer["anyOf"] = optimizer.pop("oneOf")
    optimizer.pop("discriminator", None)
    return properties


def _layer_names() -> Iterator[str]:
    """Every layer under all its names."""
    for name in ACTIVATIONS:
        block, _, index = name.removeprefix("relu").partition("_")
        yield from (name, f"conv{block}_{index}", f"block{block}_conv{index}")


def _sweep(properties: JsonSchema, definitions: JsonSchema) -> JsonSchema:
    """Lists of values for any dotted key, alone and in `zip`."""
    axes: JsonSchema = {}
    for key, value in properties.items():
        if key != "output":
            axes[key] = _list_of(value)
            axes |= _inner_axes(key, value, definitions)
    for key in PICTURE_KEYS:
        pattern = {"type": "string", "description": "a picture, or a pattern such as photos/*.jpg"}
        axes[key] = {"anyOf": [pattern, _list_of(properties[key])]}
    weight = _list_of({"type": "number", "minimum": 0})
    patterns = {rf"^{key}\.": weight for key in _LAYERS}
    group = {"type": "object", "minProperties": 1, "properties": axes}
    group |= {"patternProperties": patterns, "additionalProperties": False}
    definitions["Zip"] = group
    reference = {"$ref": "#/$defs/Zip"}
    zipped = {"anyOf": [reference, _list_of(reference)], "description": "lists taken together"}
    return {**group, "properties": {**axes, ZIP: zipped}}


def _inner_axes(key: str, value: JsonSchema, definitions: JsonSchema) -> JsonSchema:
    """Dotted keys of a section; of several kinds of a section, those of all."""
    axes: JsonSchema = {}
    references = [part["$ref"] for part in (value, *value.get("anyOf", ())) if "$ref" in part]
    for reference in references:
        section = definitions[reference.rpartition("/")[2]]
        for inner, schema in section.get("properties", {}).items():
            kinds = axes.setdefault(f"{key}.{inner}", [])
            if schema not in kinds:
                kinds.append(schema)
    return {
        dotted: _list_of(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
        for dotted, kinds in axes.items()
    }


def _list_of(schema: JsonSchema) -> JsonSchema:
    return {"type": "array", "minItems": 1, "items": schema}
