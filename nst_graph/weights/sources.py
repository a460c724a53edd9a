"""The table of weight sources, and which of them a request comes to.

A new source is one file with a function and one line of ``SOURCES``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from nst_graph.errors import ConfigError, WeightsError, choices_text
from nst_graph.types import VggWeights
from nst_graph.weights.convolutions import Convolutions
from nst_graph.weights.file_kind import FileKind, check_readable, kind_of_file, remedy_for
from nst_graph.weights.known_files import KNOWN_FILES

Picture = npt.NDArray[np.uint8]
Parser = Callable[[Path], Convolutions]
#: (cache, seed, content picture, style pictures ...) -> kernels.
Maker = Callable[..., VggWeights]


@dataclass(frozen=True)
class Source:
    """A provider of weights.

    Attributes:
        summary: one line for people.
        function: "module:function"; imported when needed. ``parse(path)`` where ``kind`` is given,
            ``make(cache, seed, content, style)`` where it is not.
        kind: kind of file that it reads, None where it makes weights without a file.
        pattern: names of its files in the ``pretrained`` folder.
    """

    summary: str
    function: str
    kind: FileKind | None = None
    pattern: str = ""

    def _load(self) -> object:
        module, _, name = self.function.partition(":")
        return getattr(importlib.import_module(module), name)

    def parser(self) -> Parser:
        """The function that reads a file of this source."""
        return cast(Parser, self._load())

    def maker(self) -> Maker:
        """The function that makes weights without a file."""
        return cast(Maker, self._load())


_HERE = "nst_graph.weights"
#: Sources by name, in the order in which ``auto`` looks for their files.
SOURCES: dict[str, Source] = {
    "matconvnet": Source(
        "MatConvNet's .mat, either layout", f"{_HERE}.matconvnet:parse", FileKind.MAT5, "*.mat"
    ),
    "keras": Source(
        "Keras's .h5 without the top", f"{_HERE}.keras_h5:parse", FileKind.HDF5, "*.h5"
    ),
    "random": Source("seeded random kernels, no file", f"{_HERE}.random_init:kept_random_weights"),
}
#: What a job may name: a source, or "auto" for the first one that has its file.
SOURCE_CHOICES: tuple[str, ...] = ("auto", *SOURCES)


@dataclass(frozen=True)
class WeightsRequest:
    """Weights as a job asks for them.

    Attributes:
        source: one of ``SOURCE_CHOICES``.
        path: the file; None looks in ``directory``.
        directory: folder of pretrained files.
        seed: of random kernels.
    """

    source: str = "auto"
    path: Path | None = None
    directory: Path = Path("pretrained")
    seed: int = 0


@dataclass(frozen=True)
class ResolvedWeights:
    """The source and file that a request comes to; the file was checked, not read.

    Attributes:
        source: name in ``SOURCES``.
        path: the file, or None for weights made without one.
        seed: of random kernels.
        notice: to be shown to the person at the terminal; empty where there is nothing to say.
    """

    source: str
    path: Path | None = None
    seed: int = 0
    notice: str = ""


def resolve(request: WeightsRequest) -> ResolvedWeights:
    """Find the source and the file of a request; reads at most a few hundred bytes of a file.

    A file that is there but damaged is an error, also for "auto": random kernels in its place
    would not be what was asked for.

    Raises:
        ConfigError: no such source, or a path for a source that reads none.
        WeightsError: the file is missing, damaged, or of another kind.
    """
    if request.source not in SOURCE_CHOICES:
        raise ConfigError(
            f"unknown weights source {request.source!r}",
            where="weights.source",
            remedy=choices_text(request.source, SOURCE_CHOICES),
        )
    if request.source == "auto":
        return _resolve_auto(request)
    kind = SOURCES[request.source].kind
    if kind is None:
        if request.path is not None:
            raise ConfigError(
                f"weights source {request.source!r} reads no file, yet a path is given",
                where="weights.path",
                remedy="leave out the path, or choose `auto`",
            )
        return ResolvedWeights(request.source, seed=request.seed)
    path = request.path or _file_in(request.directory, request.source)
    if path is None:
        raise WeightsError(
            f"no {SOURCES[request.source].pattern} file for source {request.source!r}",
            where=str(request.directory),
            remedy="`nst-graph download` fetches it; source `random` works without a file",
        )
    _check_file(request.source, path)
    return ResolvedWeights(request.source, path)


def _resolve_auto(request: WeightsRequest) -> ResolvedWeights:
    if request.path is not None:
        source = _source_of(request.path)
        check_readable(request.path, cast(FileKind, SOURCES[source].kind))
        return ResolvedWeights(source, request.path)
    for source in SOURCES:
        path = _file_in(request.directory, source)
        if path is not None:
            _check_file(source, path)
            return ResolvedWeights(source, path)
    return ResolvedWeights("random", seed=request.seed, notice=_random_notice(request))


def _random_notice(request: WeightsRequest) -> str:
    unfinished = sorted(path.name for path in request.directory.glob("*.part"))
    remedy = (
        f"{unfinished[0]} there is an unfinished download: `nst-graph download` resumes it."
        if unfinished
        else "`nst-graph download` fetches the pretrained file."
    )
    return (
        f"No pretrained VGG-19 in {request.directory}: random kernels (seed {request.seed}) are "
        "used. The result is style transfer by a random network, not by VGG-19 as published. "
        + remedy
    )


def _source_of(path: Path) -> str:
    """The source that reads files of this kind."""
    kind = kind_of_file(path)
    for name, source in SOURCES.items():
        if source.kind is kind:
            return name
    raise WeightsError(
        f"this is {kind.value}, which holds no weights that can be read",
        where=str(path),
        remedy=remedy_for(kind),
    )


def _check_file(source: str, path: Path) -> None:
    """``check_readable``, with the name of the source that would read a file of another kind."""
    kind = kind_of_file(path)
    reader = next((name for name, other in SOURCES.items() if other.kind is kind), source)
    if reader != source:
        raise WeightsError(
            f"this is {kind.value}, which source {source!r} does not read",
            where=str(path),
            remedy=f"choose source {reader!r}, or `auto`",
        )
    check_readable(path, cast(FileKind, SOURCES[source].kind))


def _file_in(directory: Path, source: str) -> Path | None:
    """The weights file of a source in a folder: one of a published name, else the only one.

    Raises:
        WeightsError: there are several and none has a published name.
    """
    for known in KNOWN_FILES:
        if known.source == source and (directory / known.filename).exists():
            return directory / known.filename
    pattern = SOURCES[source].pattern
    found = sorted(directory.glob(pattern)) if pattern and directory.is_dir() else []
    if len(found) > 1:
        raise WeightsError(
            f"several weights files: {', '.join(path.name for path in found)}",
            where=str(directory),
            remedy="name one of them with weights.path",
        )
    return found[0] if found else None
