"""What a recipe is: the settings of one published system, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nst_graph.config import (
    InitialImageSettings,
    LogSettings,
    LossSettings,
    NetworkSettings,
    OptimizerSettings,
    PictureSettings,
    ResizeMethod,
    Size,
    StyleSize,
)


@dataclass(frozen=True)
class Recipe:
    """One published system.

    Attributes:
        name: key in ``RECIPES`` and value of ``recipe:`` in a job.
        title: one line for people.
        citation: where the formulas and constants were published.
        content_layers, style_layers: canonical layer name to coefficient.
        other fields: the sections of a job of the same names.
    """

    name: str
    title: str
    citation: str
    network: NetworkSettings
    content_layers: dict[str, float]
    style_layers: dict[str, float]
    losses: LossSettings
    initial_image: InitialImageSettings
    optimizer: OptimizerSettings
    log: LogSettings
    picture: PictureSettings
    size: Size | None = None
    style_size: StyleSize | None = None
    resize_method: ResizeMethod = "lanczos"

    def settings(self) -> dict[str, Any]:
        """The recipe as the mapping that a job file overrides."""
        sections = ("network", "losses", "initial_image", "optimizer", "log", "picture")
        return {
            "recipe": self.name,
            "size": self.size,
            "style_size": self.style_size,
            "resize_method": self.resize_method,
            "content_layers": dict(self.content_layers),
            "style_layers": dict(self.style_layers),
            **{name: getattr(self, name).model_dump() for name in sections},
        }
