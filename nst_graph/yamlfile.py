"""YAML text to plain data, with the line and column of every key."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nst_graph.errors import ConfigError

KeyPath = tuple[str | int, ...]

#: A job is a page of text; a file beyond this is something else.
MAX_BYTES = 1_000_000

#: Keys and list items of a file once its aliases are written out. A page of aliases of aliases
#: can stand for more of them than there is memory.
MAX_VALUES = 100_000


@dataclass(frozen=True)
class Document:
    """A parsed file.

    Attributes:
        name: of the file, for messages.
        data: its top-level mapping.
        positions: (line, column), from 1, of each key and list item by its path.
    """

    name: str
    data: dict[str, Any]
    positions: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """``file:line:column: key.path`` of the deepest part of ``path`` that is in the file."""
        dotted = ".".join(map(str, path))
        position = self.position(path)
        if position is not None:
            return f"{self.name}:{position[0]}:{position[1]}: {dotted}"
        return f"{self.name}: {dotted}" if dotted else self.name

    def position(self, path: KeyPath) -> tuple[int, int] | None:
        """Line and column of the deepest part of ``path`` that is in the file."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.positions:
                return self.positions[path[:length]]
        return None


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys and reads 1e4 as the number it looks like."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.MarkedYAMLError(
                    problem="a list or a mapping cannot be a key", problem_mark=key_node.start_mark
                )
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} stands here a second time",
                    problem_mark=key_node.start_mark,
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """A float; what is whole and has an exponent, as 1e4, an integer: `steps` wants one.

        Beyond 2**53 not every integer is a float, and no key goes so far.
        """
        value: float = self.construct_yaml_float(node)
        whole = "e" in node.value.lower() and value.is_integer() and abs(value) <= 2**53
        return int(value) if whole else value


_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes the strings which the loader would read as something else."""


# YAML 1.1 wants a dot and a sign in the exponent (1.0e+4); people write 1e4.
for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )


def dump_yaml(data: Mapping[str, Any]) -> str:
    """YAML text that ``parse_yaml`` reads back as the same data, its keys in their order."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=100)
    return text


def read_yaml(path: Path) -> Document:
    """Read a YAML file whose top level is a mapping.

    Raises:
        ConfigError: not there, not readable, too large, not UTF-8, not YAML, an unsafe tag, a key
            twice, or not a mapping; with line and column where there is one.
    """
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise ConfigError(
                f"is {path.stat().st_size} bytes; a job file has at most {MAX_BYTES}",
                where=str(path),
                remedy="name a YAML job file, such as configs/coursera.yaml",
            )
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror or error}",
            where=str(path),
            remedy="name a YAML job file, such as configs/coursera.yaml",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"is not UTF-8 text (byte {error.start})",
            where=str(path),
            remedy="save the file as UTF-8",
        ) from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> Document:
    """Parse YAML text whose top level is a mapping; ``name`` stands for the file in messages."""
    positions: dict[KeyPath, tuple[int, int]] = {}
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is not None:
                _note_positions(root, (), positions, frozenset())
            data = None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, name) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # ValueError: what a constructor refuses, such as the date 2026-13-45.
        raise ConfigError(
            f"not valid YAML: {_one_line(str(error))}", where=name, remedy="correct the file"
        ) from None
    except RecursionError:
        raise ConfigError(
            "is nested too deeply", where=name, remedy="a job has three levels"
        ) from None
    if not isinstance(data, dict):
        kind = "empty" if data is None else f"a {type(data).__name__}, not a mapping"
        raise ConfigError(
            f"is {kind}", where=name, remedy="a job file is a list of `key: value` lines"
        )
    return Document(name, data, positions)


def _syntax_error(error: yaml.MarkedYAMLError, name: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    problem = _one_line(error.problem or str(error))
    if "could not determine a constructor for the tag" in problem:
        return ConfigError(problem, where=place, remedy="tags (!...) are not allowed in a job")
    return ConfigError(problem, where=place, remedy="correct this line")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _note_positions(
    node: yaml.Node,
    path: KeyPath,
    positions: dict[KeyPath, tuple[int, int]],
    above: frozenset[int],
) -> None:
    """Walk the node tree, aliases included; ``above`` stops one that contains itself."""
    if id(node) in above:
        return
    items: list[tuple[str | int, yaml.Mark, yaml.Node]]
    if isinstance(node, yaml.MappingNode):
        items = [(_key_text(key), key.start_mark, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        items = [(index, value.start_mark, value) for index, value in enumerate(node.value)]
    else:
        return
    for key, mark, value in items:
        here = (*path, key)
        positions[here] = (mark.line + 1, mark.column + 1)
        if len(positions) > MAX_VALUES:
            raise yaml.MarkedYAMLError(
                problem=f"with its aliases written out, the file has over {MAX_VALUES} values",
                problem_mark=mark,
            )
        _note_positions(value, here, positions, above | {id(node)})


def _key_text(key: yaml.Node) -> str:
    return key.value if isinstance(key, yaml.ScalarNode) else ""
