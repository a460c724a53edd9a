"""Job files as they stand on the disk: one file, and those that it extends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nst_graph.errors import ConfigError
from nst_graph.faults import short_repr
from nst_graph.filenames import fault_of_path
from nst_graph.layering import Change, JobSource, Layer
from nst_graph.yamlfile import Document, parse_yaml, read_yaml

#: The key that names the file whose settings lie under those of its own.
EXTENDS = "extends"

#: Keys that make many jobs of a file.
BATCH_KEYS = ("jobs", "sweep", "name")

#: A longer chain of files is a mistake, or cannot be followed by people.
MAX_CHAIN = 10


def read_source(path: Path, overrides: Sequence[str] = ()) -> JobSource:
    """Read a job file, the files that it extends, and the command line's overrides.

    ``output`` is not inherited: it would be another job's directory.

    Args:
        path: a YAML file.
        overrides: ``key.path=value`` strings; values are YAML.

    Raises:
        ConfigError: a file is at fault as YAML, or the chain of files is.
    """
    document, *extended = _chain(path)
    layers = [Layer(other, _inherited(other)) for other in reversed(extended)]
    own = {key: value for key, value in document.data.items() if key != EXTENDS}
    own.setdefault("output", f"runs/{path.stem}")
    return JobSource((*layers, Layer(document, own)), parse_overrides(overrides))


def is_batch(source: JobSource) -> bool:
    """The file stands for a list of jobs, or for a sweep."""
    return any(source.top_level(key)[1] is not None for key in ("jobs", "sweep"))


def parse_overrides(overrides: Sequence[str]) -> tuple[Change, ...]:
    """Changes of ``--set`` options.

    Raises:
        ConfigError: one is not of the form ``key=value``.
    """
    return tuple(map(_parse_override, overrides))


def _parse_override(text: str) -> Change:
    key, equals, value = text.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(
            f"{text!r} is not of the form key=value",
            where="--set",
            remedy="write for example --set optimizer.steps=50",
        )
    parsed = parse_yaml(f"value: {value}" if value.strip() else "value: null", f"--set {key}")
    return Change(tuple(key.split(".")), parsed.data["value"])


def _inherited(document: Document) -> dict[str, object]:
    return {key: value for key, value in document.data.items() if key not in (EXTENDS, "output")}


def _chain(path: Path) -> list[Document]:
    """The file, the one that it extends, and so on."""
    paths, documents = [path], [read_yaml(path)]
    while EXTENDS in documents[-1].data:
        where = documents[-1].where((EXTENDS,))
        named = documents[-1].data[EXTENDS]
        if not isinstance(named, str) or not named or fault_of_path(named):
            raise ConfigError(
                f"{short_repr(named)} is no file name",
                where=where,
                remedy="name one job file, relative to this one",
            )
        paths.append(paths[-1].parent / named)
        _check_chain(paths, where)
        try:
            documents.append(read_yaml(paths[-1]))
        except ConfigError as error:
            if error.where == str(paths[-1]):  # the file as a whole: cannot be read, or is no YAML
                error.what, error.where = f"{error.where}: {error.what}", where
                error.remedy = "name a job file, relative to this one"
            raise
    return documents


def _check_chain(paths: Sequence[Path], where: str) -> None:
    shown = " -> ".join(map(str, paths))
    if paths[-1].resolve() in {path.resolve() for path in paths[:-1]}:
        raise ConfigError(
            f"the file extends itself: {shown}", where=where, remedy="take out one `extends`"
        )
    if len(paths) > MAX_CHAIN:
        raise ConfigError(
            f"more than {MAX_CHAIN} files extend one another: {shown}",
            where=where,
            remedy="put the settings into fewer files",
        )
