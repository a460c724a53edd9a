"""The schema of a job: every key, its type and its range. No TensorFlow, no files.

A job file names a recipe and overrides what it likes; ``jobs.py`` merges the two. A ``Job`` is
always complete: it holds every value that the run will use.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from nst_graph.errors import ConfigError
from nst_graph.layers import canonical_name
from nst_graph.types import ChannelOrder

#: Below 16 pixels a side, four VALID poolings leave nothing of the picture for block 5.
SMALLEST_SIDE = 16

LARGEST_SIDE = 65_536


def _check_size(value: Any) -> Any:
    """One message for both forms of a size, instead of one for each."""
    sides = value if isinstance(value, (list, tuple)) else [value]
    if isinstance(value, (list, tuple)) and len(value) != 2:
        raise ValueError("a size is a longest side in pixels, or [height, width]")
    for side in sides:
        if type(side) is not int or not SMALLEST_SIDE <= side <= LARGEST_SIDE:
            raise ValueError(
                f"a size is a longest side in pixels, or [height, width], each a whole number "
                f"from {SMALLEST_SIDE} to {LARGEST_SIDE}"
            )
    return tuple(value) if isinstance(value, list) else value


Side = Annotated[int, Field(ge=SMALLEST_SIDE, le=LARGEST_SIDE)]
Size = Annotated[Side | tuple[Side, Side], BeforeValidator(_check_size)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Steps = Annotated[int, Field(ge=1, le=1_000_000)]

# The names of the tables in losses.py, preprocess.py and images.py. They stand here too so that a
# job is validated without importing TensorFlow; a test keeps them equal.
ContentFormula = Literal["coursera", "sum", "mean"]
StyleFormula = Literal["coursera", "keras", "tf_eager", "tf2_blog"]
VariationFormula = Literal["keras", "absolute", "squared"]
InitialImageKind = Literal["blend", "content", "noise", "content_plus_normal"]
ResizeMethod = Literal["lanczos", "bicubic", "bilinear", "nearest", "area"]


class Section(BaseModel):
    """Base of every part of a job: frozen, no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class WeightsSettings(Section):
    """Which kernels to use."""

    source: Literal["auto", "matconvnet", "keras", "random"] = Field(
        "auto", description="auto takes the .mat in `directory`, else the .h5, else random kernels"
    )
    path: str | None = Field(None, description="the weights file; null looks in `directory`")
    directory: str = Field("pretrained", description="where downloaded weights lie")
    seed: int = Field(0, ge=0, lt=2**32, description="of the random kernels")


class NetworkSettings(Section):
    """How VGG-19 is built."""

    pooling: Literal["avg", "max"] = Field(description="2x2 stride 2 after each block")
    padding: Literal["SAME", "VALID"] = Field(description="of the pooling, at odd sizes")
    channel_order: ChannelOrder = Field(description="of the optimised image")


class LossSettings(Section):
    """Which published formulas, and their weights."""

    content: ContentFormula = Field(description="formula of the content loss")
    style: StyleFormula = Field(description="formula of the style loss")
    total_variation: VariationFormula | None = Field(
        None, description="formula of the total variation; null: none"
    )
    content_weight: Weight = Field(description="alpha")
    style_weight: Weight = Field(description="beta")
    total_variation_weight: Weight = Field(0.0, description="of the total variation")


class InitialImageSettings(Section):
    """Where the optimisation starts."""

    kind: InitialImageKind = Field(description="what the first image is made of")
    noise_ratio: Fraction = Field(0.6, description="share of noise in a blend")
    seed: int = Field(3, ge=0, lt=2**32, description="of the noise")


class AdamSettings(Section):
    """Adam as in TensorFlow 1: epsilon is added to the uncorrected square root."""

    name: Literal["adam"] = "adam"
    steps: Steps = Field(200, description="image updates, 1 to 1000000")
    learning_rate: Positive = Field(2.0, description="in pixel values, above 0")
    beta1: Decay = Field(0.9, description="decay of the mean gradient, 0 to below 1")
    beta2: Decay = Field(0.999, description="decay of the mean squared gradient, 0 to below 1")
    epsilon: Positive = Field(1e-8, description="added to the root of the mean square, above 0")


OptimizerSettings = AdamSettings


class LogSettings(Section):
    """How often losses are read and pictures are saved."""

    losses_every: Steps = Field(20, description="iterations between two lines of metrics.csv")
    image_every: Annotated[int, Field(ge=0)] = Field(
        20, description="iterations between two saved pictures; 0: only the last"
    )
    read_losses: Literal["before_update", "after_update"] = Field(
        "after_update", description="the assignment prints costs after the update"
    )
    first_iteration: Literal[0, 1] = Field(0, description="number of the first iteration")


class PictureSettings(Section):
    """How the result is written."""

    rounding: Literal["truncate", "nearest"] = Field(
        "nearest", description="of pixel values; the assignment truncates"
    )
    format: Literal["png", "jpg", "webp", "tiff"] = "png"


class SessionSettings(Section):
    """Where and how TensorFlow runs."""

    device: Literal["auto", "cpu", "gpu"] = Field("auto", description="auto: a GPU if there is one")
    threads: Annotated[int, Field(ge=0, le=1024)] = Field(0, description="0: TensorFlow decides")


class Job(Section):
    """One style transfer, completely described."""

    recipe: str = Field(description="which published system to follow")
    content: str = Field(min_length=1, description="content picture: a file, or embedded:NAME")
    style: str = Field(min_length=1, description="style picture: a file, or embedded:NAME")
    output: str = Field(min_length=1, description="directory of the results")
    size: Size | None = Field(
        None, description="longest side, or [height, width]; null keeps the picture's own"
    )
    style_size: Size | None = Field(
        None, description="same for the style; null: as `size`, keeping the style's proportions"
    )
    resize_method: ResizeMethod = Field("lanczos", description="resampling filter")
    weights: WeightsSettings = WeightsSettings()
    network: NetworkSettings
    content_layers: dict[str, Weight] = Field(min_length=1, description="layer: coefficient")
    style_layers: dict[str, Weight] = Field(min_length=1, description="layer: coefficient")
    losses: LossSettings
    initial_image: InitialImageSettings
    optimizer: OptimizerSettings
    log: LogSettings = LogSettings()
    picture: PictureSettings = PictureSettings()
    session: SessionSettings = SessionSettings()

    @field_validator("content_layers", "style_layers")
    @classmethod
    def _canonical(cls, layers: dict[str, float]) -> dict[str, float]:
        try:
            named = [(canonical_name(name), weight) for name, weight in layers.items()]
        except ConfigError as error:
            raise ValueError(f"{error.what}; {error.remedy}") from None
        canonical = dict(named)
        if len(canonical) < len(named):
            raise ValueError("the same layer is named twice under different aliases")
        return canonical

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the result; ``output`` does not."""
        settings = self.model_dump(mode="json", exclude={"output"})
        text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def output_directory(self) -> Path:
        return Path(self.output)
