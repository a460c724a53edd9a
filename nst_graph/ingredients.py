"""What an engine starts from: initial image, kernels, targets and objective of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nst_graph.capacity import target_tile_of
from nst_graph.engines import Ingredients
from nst_graph.machine import cpu_model
from nst_graph.objective import Objective
from nst_graph.pictures import Pictures, read_pictures
from nst_graph.plan import Plan
from nst_graph.preprocess import initial_image, to_network
from nst_graph.regions import blended, guides, region_names
from nst_graph.session import allows_tf32, environment, session_config
from nst_graph.target_cache import CachedTargets
from nst_graph.targets import TargetNetwork
from nst_graph.types import (
    FloatArray,
    Region,
    StyleTarget,
    Targets,
    VggWeights,
)
from nst_graph.weights import load


@dataclass(frozen=True)
class Reusable:
    """What one run can take over from another, so that it is read and computed once.

    Attributes:
        weights: as loaded; None: to be loaded.
        style: targets of the styles, for the plan's style layers, network and weights; those of the
            content are left out. None: to be computed.
        tile_size: of the tiles in which ``style`` was computed, which decide its last bits.
    """

    weights: VggWeights | None = None
    style: Targets | None = None
    tile_size: int | None = None

    def style_in(self, tile_size: int | None) -> Targets | None:
        """``style``, if that is how it was computed."""
        return self.style if tile_size == self.tile_size else None


def prepare(plan: Plan) -> Ingredients:
    """What an engine starts from, for those who make no run directory.

    Raises:
        WeightsError, PictureError, DeviceError: an input turned out bad when it was read.
    """
    pictures = read_pictures(plan)
    weights = load(plan.weights, pictures.for_weights)
    return ingredients_of(plan, pictures, weights, session_config(plan.job.session))


def ingredients_of(
    plan: Plan,
    pictures: Pictures,
    weights: VggWeights,
    config: Any = None,
    style: Targets | None = None,
) -> Ingredients:
    """Initial image, kernels, targets and objective; targets that are not given are computed."""
    targets = precompute_targets(plan, pictures, weights, config, style)
    return Ingredients(initial_image_of(plan, pictures), weights, targets, objective_of(plan))


def precompute_targets(
    plan: Plan,
    pictures: Pictures,
    weights: VggWeights,
    config: Any = None,
    style: Targets | None = None,
) -> Targets:
    """Targets of the plan's pictures, by session runs on a network of their own.

    Args:
        plan: whose network, layers and shares of the styles count.
        pictures: of the plan.
        weights: kernels.
        config: ConfigProto of the session.
        style: targets of another content picture with the same styles, which are taken over.
    """
    job, order = plan.job, plan.job.network.channel_order

    def open_network() -> TargetNetwork:
        return TargetNetwork(
            weights.in_channel_order(order),
            job.network.pooling,
            job.network.padding,
            job.content_layers,
            job.style_layers,
            config,
            target_tile_of(plan),
        )

    with CachedTargets(open_network, _what_decides_targets(plan, weights)) as network:
        content = network.content(to_network(pictures.content.pixels, order))
        if style is not None:
            return replace(style, content=content)
        found = [network.style(to_network(picture.pixels, order)) for picture in pictures.styles]
    return _of_styles(plan, pictures, content, found)


def _of_styles(
    plan: Plan,
    pictures: Pictures,
    content: Mapping[str, FloatArray],
    found: Sequence[Mapping[str, StyleTarget]],
) -> Targets:
    """Targets of a content picture and of several styles, blended or each in its region."""
    job = plan.job
    shares = [source.share for source in plan.styles]
    if not pictures.regions:
        return Targets(content, blended(found, shares))
    names = region_names(source.picture.name for source in plan.styles)
    channels = [guides(mask, job.style_layers, job.network.padding) for mask in pictures.regions]
    return Targets(content, {}, tuple(map(Region, names, shares, channels, found)))


def _what_decides_targets(plan: Plan, weights: VggWeights) -> dict[str, Any]:
    """All that a target depends on beside its picture, to the last bit."""
    job = plan.job
    machine = environment(job.session)
    return {
        "kernels": weights.provenance.sha256,
        "network": job.network.model_dump(mode="json"),
        "content_layers": sorted(job.content_layers),
        "style_layers": sorted(job.style_layers),
        "tile_size": target_tile_of(plan),
        "tensorflow": machine["tensorflow"],
        "onednn": machine["onednn"],
        "threads": machine["threads"],
        "deterministic": job.session.deterministic,
        "mixed_precision": job.session.mixed_precision,
        "tf32": allows_tf32(job.session),
        "device": [machine["device"], *machine["device_names"], cpu_model()],
    }


def objective_of(plan: Plan) -> Objective:
    job = plan.job
    return Objective(job.network, job.content_layers, job.style_layers, job.losses)


def initial_image_of(plan: Plan, pictures: Pictures) -> FloatArray:
    """The image the plan starts from, float32 [1, height, width, 3]."""
    start, order = plan.job.initial_image, plan.job.network.channel_order
    if pictures.initial is not None:
        return to_network(pictures.initial.pixels, order)
    image = to_network(pictures.content.pixels, order)
    return initial_image(start.kind, image, start.seed, start.noise_ratio)
