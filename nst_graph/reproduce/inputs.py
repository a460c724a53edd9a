"""Pictures and weights of a target: found, recognised by digest, or named as missing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nst_graph.errors import ConfigError, PictureError
from nst_graph.reproduce.expected import Expectation, KnownPicture, Need, Target
from nst_graph.types import VggWeights
from nst_graph.weights import WeightsRequest, load, resolve
from nst_graph.weights.known_files import KNOWN_FILES


@dataclass(frozen=True)
class GivenFiles:
    """Files named by the person who asks.

    Attributes:
        content, style, weights: files.
        pictures: a folder; it and those below it are searched for the published pictures by name.
        pretrained: folder in which weights are looked for when no file is named.
    """

    content: Path | None = None
    style: Path | None = None
    weights: Path | None = None
    pictures: Path | None = None
    pretrained: Path = Path("pretrained")


@dataclass(frozen=True)
class InputFile:
    """A file that was used: its role, name, SHA-256, and whether it is the published one."""

    role: Need
    name: str
    sha256: str
    published: bool


@dataclass(frozen=True)
class Inputs:
    """What one target has to work with.

    Attributes:
        pictures: by role, the file.
        weights: the convolutions; None where there are none.
        missing: by role, what is not there, its digest, and where it can be had.
        files: what is there.
    """

    pictures: Mapping[Need, Path] = field(default_factory=dict)
    weights: VggWeights | None = None
    missing: Mapping[Need, str] = field(default_factory=dict)
    files: tuple[InputFile, ...] = ()

    def lacking(self, row: Expectation) -> tuple[str, ...]:
        """Descriptions of the inputs that this row needs and that are not there."""
        return tuple(self.missing[need] for need in row.needs if need in self.missing)

    def note(self, row: Expectation) -> str:
        """Which of the files behind this row are not the published ones.

        Of weights it is said only past block 3, where nothing else tells the kernels apart.
        """
        others = [
            file.name
            for file in self.files
            if not file.published
            and file.role in row.needs
            and (file.role != "weights" or row.block > 3)
        ]
        return f"not published: {', '.join(others)}" if others else ""


def find_inputs(
    target: Target, rows: Sequence[Expectation], given: GivenFiles, known_weights: list[VggWeights]
) -> Inputs:
    """Find what the rows of a target need.

    Args:
        target: whose pictures they are.
        rows: those that are asked for.
        given: files named by the person who asks.
        known_weights: the weights of the target before, or empty; filled here, so that several
            targets read the file once.

    Raises:
        WeightsError, PictureError: a file is there and cannot be used.
    """
    needs = {need for row in rows for need in row.needs}
    pictures: dict[Need, Path] = {}
    missing: dict[Need, str] = {}
    files: list[InputFile] = []
    for role, known in target.pictures.items():
        if role not in needs:
            continue
        path, reason = _find_picture(role, known, given)
        if path is None:
            missing[role] = f"{known.name}: {reason}; SHA-256 {known.sha256}; {known.where}"
            continue
        pictures[role] = path
        digest = sha256_of(path)
        files.append(InputFile(role, path.name, digest, digest == known.sha256))
    weights = None
    if "weights" in needs:
        weights, reason = _find_weights(given, known_weights)
        if weights is None:
            missing["weights"] = reason
        else:
            facts = weights.provenance
            name = Path(facts.path or "weights").name
            files.append(InputFile("weights", name, facts.sha256, facts.known))
    return Inputs(pictures, weights, missing, tuple(files))


def share_out(targets: Sequence[Target], given: GivenFiles) -> list[GivenFiles]:
    """The given files for each of the targets.

    A single target uses what is given. Of several, each uses the pictures that are its own by
    their digest.

    Raises:
        ConfigError: a picture belongs to none of several targets, or ``given.pictures`` is no
            folder.
    """
    if given.pictures is not None and not given.pictures.is_dir():
        raise ConfigError(
            f"{given.pictures} is not a folder",
            where="--pictures",
            remedy="name a folder that holds the published pictures",
        )
    if len(targets) == 1:
        return [given]
    shares = [replace(given, content=None, style=None) for _ in targets]
    for role, path in (("content", given.content), ("style", given.style)):
        if path is None:
            continue
        if not path.exists():  # each target's report says so
            shares = [replace(share, **{role: path}) for share in shares]
            continue
        digest = sha256_of(path)
        owners = [
            place
            for place, target in enumerate(targets)
            if any(key == role and known.sha256 == digest for key, known in target.pictures.items())
        ]
        if not owners:
            raise ConfigError(
                f"{path} is no published {role} picture (SHA-256 {digest})",
                where=f"--{role}",
                remedy="name one target, so that it is clear which picture it stands for",
            )
        for place in owners:
            shares[place] = replace(shares[place], **{role: path})
    return shares


def sha256_of(path: Path) -> str:
    """SHA-256 of a picture's file.

    Raises:
        PictureError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PictureError(
            f"the picture cannot be read: {error.strerror or error}",
            where=str(path),
            remedy="check its permissions, and that it is a file",
        ) from error


def _find_picture(role: Need, known: KnownPicture, given: GivenFiles) -> tuple[Path | None, str]:
    """The file, or None and why there is none."""
    path: Path | None = getattr(given, role)
    if path is not None:
        return (path, "") if path.exists() else (None, f"{path} does not exist")
    if given.pictures is None:
        return None, f"not given (--{role} FILE or --pictures FOLDER)"
    named = sorted(given.pictures.rglob(known.name))
    published = [path for path in named if sha256_of(path) == known.sha256]
    found = (published or named)[:1]
    return (found[0], "") if found else (None, f"not in {given.pictures}")


def _find_weights(
    given: GivenFiles, known_weights: list[VggWeights]
) -> tuple[VggWeights | None, str]:
    """The convolutions, or None and why there are none."""
    if known_weights:
        return known_weights[0], ""
    if given.weights is not None and not given.weights.exists():
        return None, _missing_weights(f"{given.weights} does not exist")
    resolved = resolve(WeightsRequest(path=given.weights, directory=given.pretrained))
    if resolved.path is None:
        return None, _missing_weights(f"none in {given.pretrained} (--weights FILE)")
    known_weights.append(load(resolved))
    return known_weights[0], ""


def _missing_weights(reason: str) -> str:
    """Every weights file that would do, with its digest."""
    files = [
        f"{known.filename}, "
        + (f"SHA-256 {known.sha256}, " if known.sha256 else f"MD5 {known.md5}, ")
        + known.urls[0]
        for known in KNOWN_FILES
        if known.key in ("mat", "keras-h5")
    ]
    return f"VGG-19: {reason}; `nst-graph download` fetches {'; or '.join(files)}"
