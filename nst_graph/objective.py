"""What is minimised: the loss terms of a job, as tensors of any engine.

``loss_terms`` is the same function in a graph, under ``tf.function`` and in eager mode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from nst_graph.config import LossSettings, NetworkSettings
from nst_graph.layers import deepest_of
from nst_graph.losses import (
    CONTENT_LOSSES,
    STYLE_LOSSES,
    TOTAL_VARIATIONS,
    StyleShape,
    gram_matrix,
)
from nst_graph.types import FloatArray, StyleTarget, Targets

tf1 = tf.compat.v1


@dataclass(frozen=True)
class Objective:
    """The part of a job that decides the loss.

    Attributes:
        network: pooling, padding and the image's channel order.
        content_layers, style_layers: canonical layer name to coefficient.
        losses: formulas and weights.
    """

    network: NetworkSettings
    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    losses: LossSettings

    @property
    def deepest(self) -> str:
        """Canonical name of the deepest layer that the loss needs."""
        return deepest_of([*self.content_layers, *self.style_layers])


@dataclass(frozen=True)
class RegionTensors:
    """A ``Region`` as tensors of the image's dtype.

    Attributes:
        name, share: as of the ``Region``.
        guides: by style layer, [1, height, width, 1].
        grams, style_positions: as of ``TargetTensors``.
    """

    name: str
    share: float
    guides: Mapping[str, tf.Tensor]
    grams: Mapping[str, tf.Tensor]
    style_positions: Mapping[str, float]


@dataclass(frozen=True)
class TargetTensors:
    """Targets as tensors of the image's dtype, by canonical layer name.

    Attributes:
        content: activations of the content image, [1, height, width, channels].
        grams: unnormalised Gram matrices of the style image, [channels, channels].
        style_positions: height * width of the style image's feature maps.
        regions: in place of ``grams`` and ``style_positions``, where there are any.
    """

    content: Mapping[str, tf.Tensor]
    grams: Mapping[str, tf.Tensor]
    style_positions: Mapping[str, float]
    regions: Sequence[RegionTensors] = ()


def held_targets(
    targets: Targets, objective: Objective, hold: Callable[[str, FloatArray], tf.Tensor]
) -> TargetTensors:
    """Targets of the objective's layers as an engine holds them.

    Args:
        targets: by canonical layer name.
        objective: names the layers.
        hold: makes a tensor of a name, such as "gram/relu1_1", and a value.
    """

    def held(kind: str, values: Mapping[str, FloatArray]) -> dict[str, tf.Tensor]:
        return {name: hold(f"{kind}/{name}", value) for name, value in values.items()}

    def of_style(
        prefix: str, style: Mapping[str, StyleTarget]
    ) -> tuple[dict[str, tf.Tensor], dict[str, float]]:
        grams = {name: style[name].gram for name in objective.style_layers}
        positions = {name: style[name].positions for name in objective.style_layers}
        return held(f"{prefix}gram", grams), positions

    content = held("content", {name: targets.content[name] for name in objective.content_layers})
    if not targets.regions:
        return TargetTensors(content, *of_style("", targets.style))
    regions = []
    for number, region in enumerate(targets.regions, start=1):
        guides = {name: region.guides[name] for name in objective.style_layers}
        channels = held(f"region_{number}/guide", guides)
        grams, positions = of_style(f"region_{number}/", region.style)
        regions.append(RegionTensors(region.name, region.share, channels, grams, positions))
    return TargetTensors(content, {}, {}, regions)


def loss_terms(
    image: tf.Tensor,
    activations: Mapping[str, tf.Tensor],
    targets: TargetTensors,
    objective: Objective,
) -> dict[str, tf.Tensor]:
    """The terms of ``combined_terms``, from activations.

    Args:
        image: the network's input, [1, height, width, 3].
        activations: of ``image``, by canonical layer name.
        targets: for the objective's layers.
        objective: formulas and weights.
    """
    content_loss = CONTENT_LOSSES[objective.losses.content]
    with tf1.name_scope("content_loss"):
        content = {
            name: content_loss(activations[name], targets.content[name])
            for name in objective.content_layers
        }
    with tf1.name_scope("gram_matrices"):
        if targets.regions:
            grams = {
                f"{name}/{region.name}": gram_matrix(activations[name] * region.guides[name])
                for name in objective.style_layers
                for region in targets.regions
            }
        else:
            grams = {name: gram_matrix(activations[name]) for name in objective.style_layers}
    positions = {name: _positions(activations[name]) for name in objective.style_layers}
    return combined_terms(image, content, grams, positions, targets, objective)


def combined_terms(
    image: tf.Tensor,
    content: Mapping[str, tf.Tensor],
    grams: Mapping[str, tf.Tensor],
    positions: Mapping[str, int],
    targets: TargetTensors,
    objective: Objective,
) -> dict[str, tf.Tensor]:
    """Named scalars: "total", "content", "style", "total_variation" where there is one, and each
    layer's own loss before its coefficient, as "content/relu4_2" or "style/relu1_1".

    total = content_weight * content + style_weight * style + total_variation_weight * variation,
    with content and style the sums of coefficient * layer loss. Where there are regions, a layer's
    style loss is the sum of share * the region's, which is named "style/relu1_1/REGION".

    Args:
        image: the network's input, [1, height, width, 3].
        content: loss of each content layer.
        grams: unnormalised Gram matrix of each style layer, [channels, channels]; where there are
            regions, of the guided activation, by "relu1_1/REGION".
        positions: height * width of each style layer's activation.
        targets: for the objective's layers.
        objective: formulas and weights.
    """
    losses = objective.losses
    terms = {f"content/{name}": content[name] for name in objective.content_layers}
    with tf1.name_scope("content_loss/"):
        terms["content"] = _weighted_sum(terms, "content", objective.content_layers)
    with tf1.name_scope("style_loss"):
        for name in objective.style_layers:
            size = (positions[name], _positions(image))
            if targets.regions:
                terms |= _region_terms(name, grams, size, targets.regions, losses.style)
            else:
                terms[f"style/{name}"] = _style_loss(losses.style, name, grams[name], targets, size)
        terms["style"] = _weighted_sum(terms, "style", objective.style_layers)
    if losses.total_variation is not None:
        with tf1.name_scope("total_variation"):
            terms["total_variation"] = TOTAL_VARIATIONS[losses.total_variation](image)
    with tf1.name_scope("total_loss"):
        total = losses.content_weight * terms["content"] + losses.style_weight * terms["style"]
        if losses.total_variation is not None:
            total += losses.total_variation_weight * terms["total_variation"]
    return {"total": total, **terms}


def _region_terms(
    layer: str,
    grams: Mapping[str, tf.Tensor],
    size: tuple[int, int],
    regions: Sequence[RegionTensors],
    formula: str,
) -> dict[str, tf.Tensor]:
    """A layer's style loss, region by region and their weighted sum."""
    terms = {
        f"style/{layer}/{region.name}": _style_loss(
            formula, layer, grams[f"{layer}/{region.name}"], region, size
        )
        for region in regions
    }
    shares = [region.share for region in regions]
    parts = [share * loss for share, loss in zip(shares, terms.values(), strict=True)]
    return {f"style/{layer}": tf.add_n(parts), **terms}


def _style_loss(
    formula: str,
    layer: str,
    gram: tf.Tensor,
    target: TargetTensors | RegionTensors,
    size: tuple[int, int],
) -> tf.Tensor:
    """Style loss of a layer; ``size``: positions of its activation and of the image."""
    shape = StyleShape(
        channels=gram.shape[-1],
        positions=size[0],
        style_positions=target.style_positions[layer],
        image_positions=size[1],
    )
    return STYLE_LOSSES[formula](gram, target.grams[layer], shape)


def _positions(activation: tf.Tensor) -> int:
    _, height, width, _ = activation.shape.as_list()
    positions: int = height * width
    return positions


def _weighted_sum(
    terms: Mapping[str, tf.Tensor], kind: str, coefficients: Mapping[str, float]
) -> tf.Tensor:
    return tf.add_n([weight * terms[f"{kind}/{name}"] for name, weight in coefficients.items()])
