"""The schema of a job: every key, its type and its range. No TensorFlow, no files.

A job file names a recipe and overrides what it likes; ``jobs.py`` merges the two. A ``Job`` is
always complete: it holds every value that the run will use.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)

from nst_graph.errors import ConfigError
from nst_graph.layers import canonical_name
from nst_graph.types import ChannelOrder

#: Below 16 pixels a side, four VALID poolings leave nothing of the picture for block 5.
SMALLEST_SIDE = 16

LARGEST_SIDE = 65_536

#: Of a job that works from coarse to fine.
MOST_STAGES = 16


_SIZE_FORMS = (
    f"a size is a longest side, [height, width], or [height, null] (width in proportion), each a "
    f"whole number of pixels from {SMALLEST_SIDE} to {LARGEST_SIDE}"
)


def _check_size(value: Any) -> Any:
    """One message for all forms of a size, instead of one for each."""
    if not isinstance(value, (list, tuple)):
        sides = [value]
    elif len(value) != 2:
        raise ValueError(_SIZE_FORMS)
    else:
        sides = [value[0]] if value[1] is None else list(value)
    if any(type(side) is not int or not SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides):
        raise ValueError(_SIZE_FORMS)
    return tuple(value) if isinstance(value, list) else value


def _check_style_size(value: Any) -> Any:
    if not isinstance(value, str):
        return _check_size(value)
    if value != "content":
        raise ValueError(f"{_SIZE_FORMS}; or the word content: the content's height and width")
    return value


Side = Annotated[int, Field(ge=SMALLEST_SIDE, le=LARGEST_SIDE)]
Size = Annotated[Side | tuple[Side, Side | None], BeforeValidator(_check_size)]
StyleSize = Annotated[
    Side | tuple[Side, Side | None] | Literal["content"], BeforeValidator(_check_style_size)
]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Steps = Annotated[int, Field(ge=1, le=1_000_000)]
TileSize = Annotated[int, Field(ge=64, le=8192, multiple_of=16)]

# The names of the tables in losses.py, preprocess.py, colors.py, images/, animation.py and
# engines/. They stand here too so that a job is validated without importing TensorFlow; a test
# keeps them equal.
ContentFormula = Literal["coursera", "sum", "mean"]
StyleFormula = Literal["coursera", "keras", "tf_eager", "tf2_blog"]
VariationFormula = Literal["keras", "absolute", "squared"]
EngineName = Literal["graph", "function", "eager"]
InitialImageKind = Literal["blend", "content", "noise", "content_plus_normal", "picture", "run"]
ColorMatch = Literal["none", "histogram", "covariance"]
AnimationKind = Literal["none", "gif", "mp4"]
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
    picture: str | None = Field(
        None,
        min_length=1,
        validate_default=True,
        description="of kind picture: a file, or embedded:NAME, brought to the content's size",
    )
    run: str | None = Field(
        None,
        min_length=1,
        validate_default=True,
        description="of kind run: directory of a finished run, whose result is the first image",
    )

    @field_validator("picture", "run")
    @classmethod
    def _of_its_kind(cls, name: str | None, info: ValidationInfo) -> str | None:
        key, kind = info.field_name, info.data.get("kind")
        if kind == key and name is None:
            raise ValueError(f"kind {key} needs it; {_STARTS[str(key)]}")
        if kind is not None and kind != key and name is not None:
            raise ValueError(f"is for kind {key}, not {kind}; leave it out, or set kind: {key}")
        return name


_STARTS = {"picture": "name a picture", "run": "name the directory of a finished run"}


class StylePicture(Section):
    """One of several style pictures."""

    picture: str = Field(min_length=1, description="a file, or embedded:NAME")
    weight: Annotated[float, Field(gt=0, le=1e9)] = Field(
        1.0,
        description="share of this style, above 0, to 1e9; the job's weights are scaled to sum 1",
    )
    mask: str | None = Field(
        None,
        min_length=1,
        description="grey picture, stretched to the content's size: white where this style goes; "
        "null: everywhere, or what the other styles' masks leave",
    )
    size: StyleSize | None = Field(
        None, description="of this picture, as `style_size`; null: what `style_size` says"
    )


_STYLE_FORMS = (
    "no style; write the name of a picture, or a list of names and of mappings such as "
    "{picture: wave.png, weight: 2}"
)


def _check_style_name(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError(_STYLE_FORMS)
    return value


def _check_style_entry(value: Any) -> Any:
    if not isinstance(value, (str, dict, StylePicture)):
        raise ValueError(_STYLE_FORMS)
    return {"picture": value} if isinstance(value, str) else value


def _not_empty(styles: tuple[StylePicture, ...]) -> tuple[StylePicture, ...]:
    if not styles:
        raise ValueError("no style is in the list; name at least one style picture")
    return styles


def _number_of_styles(value: Any) -> str:
    return "several" if isinstance(value, (list, tuple)) else "one"


_OneStyle = Annotated[str, Field(min_length=1), BeforeValidator(_check_style_name)]
_StyleEntry = Annotated[
    StylePicture,
    BeforeValidator(_check_style_entry, json_schema_input_type=str | StylePicture),
]
_SeveralStyles = Annotated[
    tuple[_StyleEntry, ...],
    Field(strict=False, json_schema_extra={"minItems": 1}),
    AfterValidator(_not_empty),
]
Styles = Annotated[_OneStyle, Tag("one")] | Annotated[_SeveralStyles, Tag("several")]

Clip = Annotated[
    Literal["pixels", "preprocessed"] | None,
    Field(
        description="after every update; pixels: to what pixels of 0..255 become, preprocessed: "
        "to 0..255 after the mean was subtracted; null: none"
    ),
]
Keep = Annotated[
    Literal["last", "best"],
    Field(description="which image is the result: the last, or the one after the lowest loss"),
]


class AdamSettings(Section):
    """Adam as TensorFlow 1 and Keras have it: epsilon is added to the uncorrected square root."""

    name: Literal["adam"] = "adam"
    steps: Steps = Field(200, description="image updates, 1 to 1000000")
    learning_rate: Positive = Field(2.0, description="in pixel values, above 0")
    beta1: Decay = Field(0.9, description="decay of the mean gradient, 0 to below 1")
    beta2: Decay = Field(0.999, description="decay of the mean squared gradient, 0 to below 1")
    epsilon: Positive = Field(1e-8, description="added to the root of the mean square, above 0")
    clip: Clip = None
    keep: Keep = "last"

    #: ``log`` of a job that chooses this optimiser in place of its recipe's.
    log_every: ClassVar[int] = 20

    @property
    def budget(self) -> int:
        """Evaluations of loss and gradient that are planned."""
        return self.steps

    def describe(self) -> str:
        return f"adam, {self.steps} steps"


class SgdSettings(Section):
    """Gradient descent; the rate at step t is learning_rate * decay_rate^(t / decay_steps)."""

    name: Literal["sgd"] = "sgd"
    steps: Steps = Field(4000, description="image updates, 1 to 1000000")
    learning_rate: Positive = Field(
        100.0, description="pixel values per unit of gradient: it belongs to the loss weights"
    )
    decay_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        0.96, description="factor of the rate over decay_steps, above 0, to 1: no decay"
    )
    decay_steps: Steps = Field(100, description="steps for one factor; the decay is continuous")
    clip: Clip = None
    keep: Keep = "last"

    log_every: ClassVar[int] = 100

    @property
    def budget(self) -> int:
        """Evaluations of loss and gradient that are planned."""
        return self.steps

    def describe(self) -> str:
        return f"sgd, {self.steps} steps"


class LbfgsSettings(Section):
    """SciPy's L-BFGS-B in segments, each of them begun with an empty memory."""

    name: Literal["lbfgs"] = "lbfgs"
    segments: Steps = Field(10, description="segments, 1 to 1000000; 1 is one long run")
    evaluations: Steps = Field(
        20, description="function evaluations of a segment; the line search in progress is finished"
    )
    memory: Annotated[int, Field(ge=1, le=1000)] = Field(
        10, description="pairs of vectors remembered, 1 to 1000; 16 bytes a pair and variable"
    )
    loss_tolerance: Weight = Field(
        2.220446049250313e-09, description="relative fall of the loss at which a segment ends"
    )
    gradient_tolerance: Weight = Field(
        0.0, description="largest component of the gradient at which a segment ends"
    )
    form: Literal["one_call", "classic"] = Field(
        "one_call", description="minimize(jac=True), or fmin_l_bfgs_b(func, fprime)"
    )
    stream: Literal["segment", "evaluation"] = Field(
        "segment", description="what an iteration is: a line of metrics.csv, a picture"
    )

    log_every: ClassVar[int] = 1

    @property
    def budget(self) -> int:
        """Evaluations of loss and gradient that are planned."""
        return self.segments * self.evaluations

    def describe(self) -> str:
        return f"lbfgs, {self.segments} segments of {self.evaluations} evaluations"


OptimizerSettings = Annotated[
    AdamSettings | SgdSettings | LbfgsSettings, Field(discriminator="name")
]

_OPTIMIZER_SETTINGS: dict[object, type[AdamSettings | SgdSettings | LbfgsSettings]] = {
    "adam": AdamSettings,
    "sgd": SgdSettings,
    "lbfgs": LbfgsSettings,
}


def optimizer_settings(name: str) -> type[AdamSettings | SgdSettings | LbfgsSettings] | None:
    """The settings of the optimiser of that name; None where there is none."""
    return _OPTIMIZER_SETTINGS.get(name)


class StageSettings(Section):
    """One of the sizes of a job that works from coarse to fine."""

    size: Size = Field(description="as `size` of the job")
    optimizer: AdamSettings | SgdSettings | LbfgsSettings | None = Field(
        None,
        discriminator="name",
        description="of this stage, complete in itself; null: the job's",
    )


def _as_stage(value: Any) -> Any:
    """A size alone stands for a stage of that size."""
    if isinstance(value, (Mapping, StageSettings)):
        return value
    return {"size": value}


def _check_stages(value: Any) -> Any:
    if value is None or isinstance(value, tuple):
        return value
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_STAGES:
        raise ValueError(f"sizes are a list of 1 to {MOST_STAGES}, such as [128, 256, 512]")
    return tuple(value)


Stage = Annotated[
    StageSettings, BeforeValidator(_as_stage, json_schema_input_type=Size | StageSettings)
]
Stages = Annotated[
    tuple[Stage, ...] | None,
    BeforeValidator(
        _check_stages,
        json_schema_input_type=Annotated[list[Stage], Field(min_length=1, max_length=MOST_STAGES)]
        | None,
    ),
]


class LogSettings(Section):
    """How often losses are read and pictures are saved."""

    # An iteration is an update of adam and sgd, and a segment of lbfgs.
    losses_every: Steps = Field(20, description="iterations between two lines of metrics.csv")
    image_every: Annotated[int, Field(ge=0)] = Field(
        20, description="iterations between two saved pictures; 0: only the last"
    )
    read_losses: Literal["before_update", "after_update"] = Field(
        "after_update", description="the assignment prints costs after the update"
    )
    first_iteration: Literal[0, 1] = Field(0, description="number of the first iteration")
    tensorboard: bool = Field(
        False, description="write losses, pictures and the graph for TensorBoard, too"
    )
    animation: AnimationKind = Field(
        "none", description="make one of the saved pictures; mp4 needs nst_graph[video]"
    )

    @field_validator("animation")
    @classmethod
    def _of_pictures(cls, animation: str, info: ValidationInfo) -> str:
        if animation != "none" and info.data.get("image_every") == 0:
            raise ValueError("log.image_every is 0: no pictures to animate; set it above 0")
        return animation


class CheckpointSettings(Section):
    """How often a run writes down where it stands, so that it can be resumed after a crash.

    One is also written when SIGINT or SIGTERM ends the run. L-BFGS writes between segments only.
    """

    every: Annotated[int, Field(ge=0)] = Field(0, description="iterations between two; 0: none")
    seconds: Weight = Field(60.0, description="seconds from one to the next; 0: none")


class PictureSettings(Section):
    """How the result is written."""

    rounding: Literal["truncate", "nearest"] = Field(
        "nearest", description="of pixel values; the assignment truncates"
    )
    format: Literal["png", "jpg", "webp", "tiff"] = "png"


class ColorSettings(Section):
    """Whose colours the picture gets."""

    match: ColorMatch = Field(
        "none",
        description="before the run, give the style pictures the content's colours: by the "
        "histogram of each channel, or by mean and covariance; none: leave them",
    )
    transfer: Literal["all", "luminance"] = Field(
        "all",
        description="what the written pictures take from the optimised image; luminance: only "
        "light and dark, with the chrominance (YIQ) of the content",
    )


#: What only the graph engine can do.
_OF_THE_GRAPH = {
    "precision": ("fast",),
    "memory": ("low", "tiled"),
    "mixed_precision": ("bf16",),
}


class SessionSettings(Section):
    """Where and how TensorFlow runs."""

    device: Literal["auto", "cpu", "gpu"] = Field("auto", description="auto: a GPU if there is one")
    threads: Annotated[int, Field(ge=0, le=1024)] = Field(0, description="0: TensorFlow decides")
    jit_compile: bool = Field(False, description="compile the step by XLA; engine: function only")
    deterministic: bool = Field(
        True,
        description="engine: graph gives the same bits in every run on a CPU; on a GPU the whole "
        "process uses deterministic kernels, slower, and fails where TensorFlow has none; false: "
        "TensorFlow's defaults",
    )
    precision: Literal["exact", "fast"] = Field(
        "exact",
        description="fast: a hand-written step, in bfloat16 on a CPU with AMX or AVX512-BF16 and "
        "on a GPU of compute capability 8 or more, elsewhere in float32; engine: graph only",
    )
    memory: Literal["auto", "full", "low", "tiled"] = Field(
        "auto",
        description="full: all activations at once; low: blocks 1 and 2 in strips, computed twice, "
        "by the hand-written step; tiled: one tile at once, with a second forward pass; auto: the "
        "first of these that fits; low and tiled: engine: graph only",
    )
    tile_size: TileSize | None = Field(
        None,
        description="side of a tile in pixels, 64 to 8192, a multiple of 16; null: by the memory",
    )
    mixed_precision: Literal["none", "bf16"] = Field(
        "none",
        description="bf16: TensorFlow's automatic rewrite to bfloat16 by oneDNN, on a CPU; "
        "engine: graph only",
    )
    tf32: bool | None = Field(
        None,
        description="let a GPU multiply float32 in TF32, with 10 bits; null: for precision: fast",
    )
    memory_growth: bool = Field(
        True, description="take a GPU's memory as it is needed, not all of it at the start"
    )
    memory_fraction: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="most of a GPU's memory that is taken, above 0, to 1; null: no limit"
    )

    @property
    def of_the_graph(self) -> str | None:
        """The first key whose value only the graph engine knows."""
        return next(
            (key for key, values in _OF_THE_GRAPH.items() if getattr(self, key) in values), None
        )


class Job(Section):
    """One style transfer, completely described."""

    recipe: str = Field(description="which published system to follow")
    content: str = Field(min_length=1, description="content picture: a file, or embedded:NAME")
    style: Styles = Field(
        discriminator=Discriminator(_number_of_styles),
        description="style picture: a file, or embedded:NAME; or a list of pictures, each a name "
        "or a mapping with `picture`, `weight`, `mask`, `size`",
    )
    output: str = Field(min_length=1, description="directory of the results")
    size: Size | None = Field(
        None,
        description="longest side, [height, width], or [height, null]: width in proportion, "
        "rounded down; null keeps the picture's own",
    )
    sizes: Stages = Field(
        None,
        description="in place of `size`: sizes from coarse to fine, each a size or {size, "
        "optimizer}; the result of one is the start of the next, the last is the result's",
    )
    style_size: StyleSize | None = Field(
        None,
        description="same for the style, or content: exactly the content's; null: the content's "
        "longest side if `size` is given, in the style's own proportions; with `sizes` it is that "
        "of the last, and smaller in proportion before",
    )
    style_scale: Annotated[float, Field(gt=0, le=100)] = Field(
        1.0,
        description="factor, to 100, on the size that each style picture gets by `style_size`; "
        "above 1 the strokes become coarser, below 1 finer",
    )
    resize_method: ResizeMethod = Field("lanczos", description="resampling filter")
    weights: WeightsSettings = WeightsSettings()
    network: NetworkSettings
    content_layers: dict[str, Weight] = Field(min_length=1, description="layer: coefficient")
    style_layers: dict[str, Weight] = Field(min_length=1, description="layer: coefficient")
    losses: LossSettings
    initial_image: InitialImageSettings
    optimizer: OptimizerSettings
    engine: EngineName = Field(
        "graph", description="a session on a graph, the eager step in tf.function, or eager mode"
    )
    log: LogSettings = LogSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    color: ColorSettings = ColorSettings()
    picture: PictureSettings = PictureSettings()
    session: SessionSettings = SessionSettings()

    @field_validator("sizes")
    @classmethod
    def _one_or_several(
        cls, sizes: tuple[StageSettings, ...] | None, info: ValidationInfo
    ) -> tuple[StageSettings, ...] | None:
        if sizes is not None and info.data.get("size") is not None:
            raise ValueError("`size` and `sizes` exclude each other; remove one, or make it null")
        return sizes

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

    @field_validator("session")
    @classmethod
    def _compiled(cls, session: SessionSettings, info: ValidationInfo) -> SessionSettings:
        if session.jit_compile and info.data.get("engine") != "function":
            raise ValueError("jit_compile is for engine: function; set that, or leave it out")
        return session

    @field_validator("session")
    @classmethod
    def _of_the_graph(cls, session: SessionSettings, info: ValidationInfo) -> SessionSettings:
        key = session.of_the_graph
        if info.data.get("engine", "graph") != "graph" and key is not None:
            raise ValueError(
                f"{key}: {getattr(session, key)} is for engine: graph; set that, or leave it out"
            )
        return session

    @field_validator("session")
    @classmethod
    def _computed_in_one_way(
        cls, session: SessionSettings, info: ValidationInfo
    ) -> SessionSettings:
        by_hand = next(
            (
                f"{key}: {value}"
                for key, value in (("precision", "fast"), ("memory", "low"))
                if getattr(session, key) == value
            ),
            None,
        )
        styles = info.data.get("style")
        if by_hand and isinstance(styles, tuple) and any(style.mask for style in styles):
            raise ValueError(f"{by_hand} has no masks; leave it out, or them")
        if by_hand and session.mixed_precision != "none":
            raise ValueError(f"{by_hand} chooses its own types; leave mixed_precision out")
        if session.precision == "fast" and session.memory == "tiled":
            raise ValueError("tiles are of precision: exact; set that, or memory: low")
        if session.tile_size is not None and session.memory in ("full", "low"):
            raise ValueError(
                f"memory: {session.memory} has no tiles; leave tile_size out, or set memory: tiled"
            )
        return session

    @property
    def styles(self) -> tuple[StylePicture, ...]:
        """The style pictures, one or several, in the job's order."""
        return (StylePicture(picture=self.style),) if isinstance(self.style, str) else self.style

    @property
    def regions(self) -> int:
        """Parts of the picture that have a style of their own; 0 without masks."""
        return len(self.styles) if any(style.mask for style in self.styles) else 0

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the result; ``output``, ``checkpoint`` do not."""
        settings = self.model_dump(mode="json", exclude={"output", "checkpoint"})
        text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def stages(self) -> tuple[Job, ...]:
        """Jobs of one size each, from coarse to fine: this one, where it has no ``sizes``.

        Their ``style_size`` is still that of the last.
        """
        if self.sizes is None:
            return (self,)
        return tuple(
            self.model_copy(
                update={
                    "size": stage.size,
                    "sizes": None,
                    "optimizer": stage.optimizer or self.optimizer,
                }
            )
            for stage in self.sizes
        )

    @property
    def output_directory(self) -> Path:
        return Path(self.output)
