"""The part of a plan that is about pictures: styles, their masks, and the picture to start from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from nst_graph.artifacts import read_manifest
from nst_graph.config import Job, Size, StylePicture
from nst_graph.errors import ConfigError, NstGraphError, PictureError
from nst_graph.faults import value_at
from nst_graph.images import WRITE_FORMATS
from nst_graph.jobs import InvalidJobError, LoadedJob
from nst_graph.regions import guides, region_masks
from nst_graph.sources import PictureSource, check_picture
from nst_graph.yamlfile import KeyPath

Value = TypeVar("Value")

#: Of masks: averages when shrinking, and does not overshoot at edges.
MASK_RESIZE_METHOD = "bilinear"


@dataclass(frozen=True)
class StyleSource:
    """One style of a plan.

    Attributes:
        picture: found and measured.
        share: its weight; those of a plan sum to 1.
        mask: its region, at the content's size; None: everywhere, or what other masks leave.
    """

    picture: PictureSource
    share: float
    mask: PictureSource | None = None


class Faults:
    """What is found wrong with a job."""

    def __init__(self) -> None:
        self._found: list[NstGraphError] = []

    def attempt(self, make: Callable[[], Value]) -> Value | None:
        """What ``make`` returns; None if it raises."""
        try:
            return make()
        except NstGraphError as error:
            self._found.append(error)
            return None

    def raise_any(self) -> None:
        """Raise what there is: the one fault, or an ``InvalidJobError`` of several."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise InvalidJobError(self._found)


def key_of_style(job: Job, index: int, key: str) -> KeyPath:
    """Where a job says something of a style: its one name stands for everything."""
    return ("style",) if isinstance(job.style, str) else ("style", index, key)


def named_pictures(job: Job) -> dict[str, tuple[KeyPath, str]]:
    """The key and the value by which a job names each picture, by the names of ``Plan.sources``."""
    found: dict[str, tuple[KeyPath, str]] = {"content": (("content",), job.content)}
    for index, style in enumerate(job.styles):
        suffix = "" if index == 0 else f"_{index + 1}"
        found[f"style{suffix}"] = key_of_style(job, index, "picture"), style.picture
        if style.mask is not None:
            found[f"mask{suffix}"] = key_of_style(job, index, "mask"), style.mask
    start = job.initial_image
    first = start.picture or start.run
    if first is not None:
        found["initial"] = ("initial_image", start.kind), first
    return found


def bind_styles(
    loaded: LoadedJob, content: PictureSource | None, faults: Faults
) -> tuple[StyleSource, ...]:
    """The job's styles, without those at fault.

    Args:
        loaded: the job.
        content: None where it is at fault itself: masks are not looked at then, whose size it is.
        faults: gains what is wrong.
    """
    job = loaded.job
    total = math.fsum(style.weight for style in job.styles)
    found, complete = [], content is not None
    for index, style in enumerate(job.styles):
        where = loaded.where(*key_of_style(job, index, "picture"))
        picture = faults.attempt(partial(style_source, job, style, content, where))
        mask = None
        if style.mask is not None and content is not None:
            where = loaded.where(*key_of_style(job, index, "mask"))
            mask = faults.attempt(
                partial(check_picture, style.mask, content.shape, MASK_RESIZE_METHOD, where)
            )
            complete = complete and mask is not None
        if picture is not None:
            found.append(StyleSource(picture, style.weight / total, mask))
    if complete and len(found) == len(job.styles):
        faults.attempt(lambda: _check_regions(loaded, found))
    return tuple(found)


def style_source(
    job: Job, style: StylePicture, content: PictureSource | None, where: str
) -> PictureSource:
    """One of a job's style pictures, found and measured.

    Args:
        job: whose ``size`` and ``style_size`` count.
        style: of the job.
        content: None where it is at fault itself.
        where: of the job's key, for messages.

    Raises:
        ConfigError, PictureError: as ``check_picture``.
    """
    size = _style_size(job, style, content)
    return check_picture(style.picture, size, job.resize_method, where, job.style_scale)


def has_own_size(job: Job, style: StylePicture) -> bool:
    """A style's size is given in pixels: it does not follow the content's."""
    size = job.style_size if style.size is None else style.size
    return size is not None and size != "content"


def _style_size(job: Job, style: StylePicture, content: PictureSource | None) -> Size | None:
    """The style's size; None keeps its own, as does a content picture that is at fault itself."""
    size = job.style_size if style.size is None else style.size
    if size is not None and size != "content":
        return size
    if content is None:
        return None
    if size == "content":
        return content.shape
    return None if job.size is None else max(content.shape)


def _check_regions(loaded: LoadedJob, styles: Sequence[StyleSource]) -> None:
    """Read the masks, and see that each region reaches every style layer.

    Raises:
        PictureError: a mask cannot be read, or a region is empty.
    """
    job = loaded.job

    def at_key(index: int, make: Callable[[], Value]) -> Value:
        try:
            return make()
        except PictureError as error:
            mask = job.styles[index].mask
            whose = "the part that the other masks leave" if mask is None else mask
            error.what = f"{whose}: {error.what}"
            error.where = loaded.where(*key_of_style(job, index, "mask"))
            raise

    masks = [
        None if style.mask is None else at_key(index, style.mask.read).pixels
        for index, style in enumerate(styles)
    ]
    layers, padding = job.style_layers, job.network.padding
    for index, region in enumerate(region_masks(masks)):
        at_key(index, partial(guides, region, layers, padding))


def bind_initial(loaded: LoadedJob, content: PictureSource | None) -> PictureSource | None:
    """The picture that the job starts from; None where it starts from something else.

    Raises:
        ConfigError: the directory that is named holds no finished run.
        PictureError: not there, or not a picture.
    """
    start = loaded.job.initial_image
    where = loaded.where("initial_image", start.kind)
    if start.run is not None:
        name = str(_result_of(Path(start.run), where))
    elif start.picture is not None:
        name = start.picture
    else:
        return None
    shape = None if content is None else content.shape
    return check_picture(name, shape, loaded.job.resize_method, where)


def _result_of(directory: Path, where: str) -> Path:
    """The result picture of a finished run, by its manifest."""
    manifest = read_manifest(directory)
    extension = value_at(value_at(value_at(manifest, "job"), "picture"), "format")
    if manifest is None or f".{extension}" not in WRITE_FORMATS:
        raise ConfigError(
            f"{directory} holds no run of nst_graph",
            where=where,
            remedy="name the directory of a finished run, the one with manifest.json",
        )
    if manifest.get("status") != "finished":
        raise ConfigError(
            f"the run in {directory} is not finished (status: {manifest.get('status')})",
            where=where,
            remedy="finish it first, or start from another",
        )
    return directory / f"result.{extension}"
