"""The pictures of a plan as they enter the optimisation: read, in one colour space, matched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from nst_graph.colors import COLOR_MATCHES
from nst_graph.images import Picture, convert_profile, is_readable, profile_name
from nst_graph.plan import Plan
from nst_graph.preprocess import Pixels
from nst_graph.regions import region_masks
from nst_graph.types import FloatArray


@dataclass(frozen=True)
class Pictures:
    """What a plan's pictures are when they are read.

    Attributes:
        content: its values as the file has them; its profile is that of all.
        styles: in the job's order, their colours in the content's space, and matched to the
            content's where the job asks for it.
        regions: of each style, float32 [height, width] at the content's size, 0..1; none: every
            style goes everywhere.
        initial: to start from, in the content's space and of its size; None: something else.
        by_name: all of them, and the masks, under the names of ``Plan.sources``.
    """

    content: Picture
    styles: tuple[Picture, ...]
    regions: tuple[FloatArray, ...]
    initial: Picture | None
    by_name: Mapping[str, Picture]

    @property
    def for_weights(self) -> tuple[Pixels, ...]:
        """The pixels that random kernels are scaled on."""
        return (self.content.pixels, *(style.pixels for style in self.styles))


def read_pictures(plan: Plan) -> Pictures:
    """Read every picture of a plan, at the sizes of the plan.

    Raises:
        PictureError: one turned out bad when it was read.
    """
    found = {name: source.read() for name, source in plan.sources.items()}
    content = found["content"] = _with_sound_profile(found["content"])
    for name in found:
        if name.startswith(("style", "initial")):
            found[name] = _in_space_of(content, found[name])
        if name.startswith("style"):
            found[name] = _matched(found[name], content, plan.job.color.match)
    numbered = ["" if number == 1 else f"_{number}" for number in range(1, len(plan.styles) + 1)]
    masks = [found.get(f"mask{suffix}") for suffix in numbered]
    return Pictures(
        content,
        tuple(found[f"style{suffix}"] for suffix in numbered),
        region_masks([None if mask is None else mask.pixels for mask in masks]),
        found.get("initial"),
        found,
    )


def _with_sound_profile(content: Picture) -> Picture:
    """Without a profile that cannot be read: viewers would not agree on the result's colours."""
    if content.icc_profile is None or is_readable(content.icc_profile):
        return content
    notes = (*content.notes, "ICC profile dropped (cannot be read)")
    return replace(content, icc_profile=None, notes=notes)


def _in_space_of(content: Picture, picture: Picture) -> Picture:
    source, destination = picture.icc_profile, content.icc_profile
    pixels = convert_profile(picture.pixels, source, destination)
    if pixels is picture.pixels:
        return picture
    note = f"converted from {profile_name(source)} to {profile_name(destination)}"
    return replace(picture, pixels=pixels, notes=(*picture.notes, note), icc_profile=destination)


def _matched(style: Picture, content: Picture, way: str) -> Picture:
    if way == "none":
        return style
    pixels = COLOR_MATCHES[way](style.pixels, content.pixels)
    notes = (*style.notes, f"colours matched to the content ({way})")
    return replace(style, pixels=pixels, notes=notes)
