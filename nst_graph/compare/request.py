"""What to compare, checked without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from nst_graph.config import (
    AdamSettings,
    EngineName,
    LbfgsSettings,
    SessionSettings,
    SgdSettings,
)
from nst_graph.errors import ConfigError, OutputError, choices_text
from nst_graph.files import looking_at, sibling
from nst_graph.plan import Plan

#: The engine that the others are compared with, unless it is left out.
GRAPH = "graph"

#: Two later steps are the least of which a median and a spread can be told.
FEWEST_STEPS = 3

JSON_NAME = "compare.json"
PAGE_NAME = "compare.html"


@dataclass(frozen=True)
class CompareRequest:
    """What to compare.

    Attributes:
        plan: of the job.
        engines: names, no two alike.
        optimizer: the job's, with the number of steps to make.
        output: directory of the JSON and the page.
    """

    plan: Plan
    engines: tuple[str, ...]
    optimizer: AdamSettings | SgdSettings
    output: Path


def make_request(
    plan: Plan, engines: Sequence[str], steps: int, output: Path | None, *, overwrite: bool
) -> CompareRequest:
    """Check a comparison that is asked for, before anything is computed.

    Args:
        plan: of the job; of several sizes the last is compared, from its own first image.
        engines: names.
        steps: to make, at least 3.
        output: directory; None: beside the job's own, with ".compare" behind its name.
        overwrite: replace a comparison that is there.

    Raises:
        ConfigError: no engine, an unknown one, one that cannot do what the job asks for, too few
            steps, or an optimiser without steps.
        OutputError: the directory is a file, or holds a comparison already.
    """
    plan = plan.stages[-1]
    _check_engines(engines, plan.job.session)
    if steps < FEWEST_STEPS:
        raise ConfigError(
            f"{steps} steps are too few to tell a median and a spread",
            where="--steps",
            remedy=f"make at least {FEWEST_STEPS}",
        )
    settings = plan.job.optimizer
    if isinstance(settings, LbfgsSettings):
        raise ConfigError(
            "engines are compared step by step, and a segment of lbfgs has no fixed length",
            where="optimizer.name",
            remedy="use --set optimizer.name=adam",
        )
    place = output or sibling(plan.output, ".compare")
    with looking_at(place):
        _check_place(place, overwrite=overwrite)
    return CompareRequest(plan, tuple(engines), settings.model_copy(update={"steps": steps}), place)


def _check_engines(engines: Sequence[str], session: SessionSettings) -> None:
    known = get_args(EngineName)
    for name in engines:
        if name not in known:
            raise ConfigError(
                f"unknown engine {name!r}", where="--engines", remedy=choices_text(name, known)
            )
    if not engines or len(set(engines)) < len(engines):
        fault = "an engine is named twice" if engines else "no engine is named"
        raise ConfigError(
            fault, where="--engines", remedy=f"name one or more of {', '.join(known)}"
        )
    others, key = [name for name in engines if name != GRAPH], session.of_the_graph
    if others and key is not None:
        default = SessionSettings.model_fields[key].default
        raise ConfigError(
            f"{getattr(session, key)} is for engine {GRAPH}; {', '.join(others)} would ignore it",
            where=f"session.{key}",
            remedy=f"use --set session.{key}={default}, or --engines {GRAPH}",
        )


def _check_place(place: Path, *, overwrite: bool) -> None:
    if place.exists() and not place.is_dir():
        raise OutputError(
            "is a file, not a directory", where=str(place), remedy="choose another with --output"
        )
    if (place / JSON_NAME).exists() and not overwrite:
        raise OutputError(
            "already holds a comparison",
            where=str(place),
            remedy="replace it with --overwrite, or choose another directory with --output",
        )
