"""A picture made again from what it says of itself, and compared with what it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nst_graph.artifacts import IMAGES, would_replace
from nst_graph.errors import NstGraphError, OutputError, PictureError, WeightsError
from nst_graph.filenames import fault_of_path
from nst_graph.files import sibling
from nst_graph.images import UInt8Array, read_picture
from nst_graph.jobfile import parse_overrides
from nst_graph.jobs import InvalidJobError, LoadedJob, complete
from nst_graph.layering import JobSource, Layer
from nst_graph.memory_mode import modes_in, modes_text
from nst_graph.origin import InputFacts, Origin, read_origin
from nst_graph.picture_plan import named_pictures
from nst_graph.plan import Plan, make_plan, settled
from nst_graph.sources import PictureSource
from nst_graph.weights.cache import WeightsCache
from nst_graph.weights.loading import identify
from nst_graph.yamlfile import Document, KeyPath


@dataclass(frozen=True)
class Difference:
    """Between two pictures of one size.

    Attributes:
        largest: of all values, 0..255; 0: the pictures are the same.
        mean: of all values.
        pixels: share of the pixels that differ, 0..1.
    """

    largest: int
    mean: float
    pixels: float


@dataclass(frozen=True)
class Comparison:
    """A picture and what its run made now.

    Attributes:
        compared: the new picture; None where there is none to compare with.
        difference: None where ``compared`` is None, or of another size.
        reason: why there is no difference; else empty.
        changes: what was not as it was when the picture was made, a line each.
    """

    compared: Path | None
    difference: Difference | None
    reason: str
    changes: tuple[str, ...]


def default_output(picture: Path, origin: Origin) -> Path:
    """``NAME.rerun`` beside the run's directory; of a picture out of its place, beside it."""
    place, name = picture.absolute(), Path(origin.file)
    run = place.with_suffix("")
    if place.parts[-len(name.parts) :] == name.parts:
        run = place.parents[len(name.parts) - 1]
    return sibling(run, ".rerun")


def plan_rerun(picture: Path, origin: Origin, output: Path, overrides: Sequence[str] = ()) -> Plan:
    """The plan that makes a picture again, its inputs checked against their recorded digests.

    At the same size its memory is kept to as then, where the settings allow it.

    Args:
        picture: the file, for messages.
        origin: what it says of itself.
        output: directory of the results.
        overrides: ``key.path=value`` strings. Inputs that they replace are not checked.

    Raises:
        ConfigError, PictureError, WeightsError: one fault; an input that is missing or changed is
            named with the option that gives another.
        InvalidJobError: several.
        OutputError: the picture lies in the directory of the results, where a run would replace it.
    """
    settings = {**origin.job, "output": str(output)}
    layer = Layer(Document(str(picture), settings), settings)
    loaded = complete(JobSource((layer,), parse_overrides(overrides)))
    faults = _faults_of_inputs(picture, origin, loaded)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise InvalidJobError(faults)
    plan = make_plan(loaded)
    if would_replace(plan.output, picture):
        raise OutputError(
            f"the picture itself would be replaced by a run into {plan.output}",
            where=str(picture),
            remedy="choose another directory with --output DIR",
        )
    if not _replaces_weights(loaded) and plan.weights.source != origin.weights.source:
        raise WeightsError(
            f"the picture was made with {origin.weights.source!r}, "
            f"and {plan.weights.source!r} is what is found now",
            where=f"{picture}: weights",
            remedy=f"add --set weights.source={origin.weights.source}",
        )
    content = origin.inputs.get("content")
    as_large = content is not None and plan.content.shape == (content.height, content.width)
    return settled(plan, _memory_of(origin)) if as_large else plan


def compare(picture: Path, origin: Origin, directory: Path) -> Comparison:
    """Compare a picture with that of the same name, or iteration, in a finished run's directory.

    Raises:
        PictureError: one of them cannot be read.
    """
    remade = directory / origin.file
    if not remade.is_file():
        return _not_compared(f"the new run has no {origin.file}", origin, directory)
    now = read_origin(remade)
    if now.iteration != origin.iteration:
        suffix = Path(origin.file).suffix
        same = directory / IMAGES / f"iteration_{origin.iteration:06d}{suffix}"
        if not origin.file.startswith("result.") or not same.is_file():
            return _not_compared(
                f"the picture was taken after iteration {origin.iteration}, the new one after "
                f"iteration {now.iteration}",
                origin,
                directory,
            )
        remade = same
    old, new = read_picture(picture).pixels, read_picture(remade).pixels
    changes = _changes(origin, now)
    if old.shape != new.shape:
        sizes = [f"{pixels.shape[1]} x {pixels.shape[0]}" for pixels in (old, new)]
        return Comparison(remade, None, f"{sizes[0]} pixels then, {sizes[1]} now", changes)
    return Comparison(remade, _difference(old, new), "", changes)


def _not_compared(reason: str, origin: Origin, directory: Path) -> Comparison:
    results = sorted(directory.glob("result.*"))
    return Comparison(None, None, reason, _changes(origin, read_origin(results[0])))


def _difference(old: UInt8Array, new: UInt8Array) -> Difference:
    apart = np.abs(old.astype(np.int16) - new)
    differing = float(apart.any(axis=2).mean())
    return Difference(int(apart.max()), float(apart.mean()), differing)


def _changes(then: Origin, now: Origin) -> tuple[str, ...]:
    """Everything that a picture can depend on and that is not as it was."""
    pairs: dict[str, tuple[Any, Any]] = {
        "settings (SHA-256)": (then.job_sha256, now.job_sha256),
        **{
            f"{name} (SHA-256)": (facts.sha256, getattr(now.inputs.get(name), "sha256", None))
            for name, facts in then.inputs.items()
        },
        "weights (SHA-256)": (then.weights.sha256, now.weights.sha256),
        "nst_graph": (then.nst_graph, now.nst_graph),
        **{
            key: (then.environment.get(key), now.environment.get(key))
            for key in {**then.environment, **now.environment}
        },
    }
    if then.memory is not None:
        pairs["computed"] = (_modes_of(then), _modes_of(now))
    return tuple(
        f"{name}: {_short(old)} then, {_short(new)} now"
        for name, (old, new) in pairs.items()
        if old != new
    )


def _memory_of(origin: Origin) -> dict[str, Any] | None:
    return None if origin.memory is None else origin.memory.model_dump()


def _modes_of(origin: Origin) -> str:
    return modes_text(modes_in(_memory_of(origin)))


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text


def _faults_of_inputs(picture: Path, origin: Origin, loaded: LoadedJob) -> list[NstGraphError]:
    """Recorded inputs that no change replaces and that are missing or not what they were."""
    faults: list[NstGraphError] = []
    for name, (key, _) in named_pictures(loaded.job).items():
        facts = origin.inputs.get(name)
        if facts is None or any(change.sets(key) for change in loaded.source.changes):
            continue
        fault = _fault_of_picture(facts)
        if fault:
            remedy = _remedy(key, facts.path)
            faults.append(PictureError(fault, where=f"{picture}: {name}", remedy=remedy))
    if origin.weights.path is not None and not _replaces_weights(loaded):
        fault = _fault_of_weights(Path(origin.weights.path), origin.weights.sha256)
        if fault:
            remedy = "add --set weights.path=PATH"
            faults.append(WeightsError(fault, where=f"{picture}: weights", remedy=remedy))
    return faults


def _fault_of_picture(facts: InputFacts) -> str:
    if fault_of_path(facts.path):
        return f"{facts.path[:40]!a} {fault_of_path(facts.path)}"
    try:
        digest = PictureSource(facts.path, (facts.height, facts.width), "lanczos").digest()
    except NstGraphError as error:
        return f"{facts.path}: {error.what}"
    return _fault_of_digest(facts.path, facts.sha256, digest)


def _fault_of_weights(path: Path, recorded: str) -> str:
    if fault_of_path(str(path)):
        return f"{str(path)[:40]!a} {fault_of_path(str(path))}"
    try:
        digest = identify(path, WeightsCache()).digests.sha256
    except NstGraphError as error:
        return f"{path}: {error.what}"
    return _fault_of_digest(str(path), recorded, digest)


def _fault_of_digest(name: str, recorded: str, found: str) -> str:
    if found == recorded:
        return ""
    return (
        f"{name} is not what the picture was made from: "
        f"SHA-256 {_short(found)} instead of {_short(recorded)}"
    )


def _replaces_weights(loaded: LoadedJob) -> bool:
    return any(change.path[0] == "weights" for change in loaded.source.changes)


def _remedy(key: KeyPath, path: str) -> str:
    """What to do about the input at a key; ``--set`` cannot reach into a list of styles."""
    if len(key) > 1 and key[0] == "style":
        return f"put it back at {path}, or give the whole list: --set 'style=[...]'"
    named = "DIR" if key == ("initial_image", "run") else "PATH"
    return f"add --set {'.'.join(map(str, key))}={named}, or start where that path leads to it"
