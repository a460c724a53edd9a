"""What is minimised: the loss terms of a job, as tensors of any engine.

``loss_terms`` is the same function in a graph, under ``tf.function`` and in eager mode.
"""

from __future__ import annotations

from collections.abc import Mapping
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
class TargetTensors:
    """Targets as tensors of the image's dtype, by canonical layer name.

    Attributes:
        content: activations of the content image, [1, height, width, channels].
        grams: unnormalised Gram matrices of the style image, [channels, channels].
        style_positions: height * width of the style image's feature maps.
    """

    content: Mapping[str, tf.Tensor]
    grams: Mapping[str, tf.Tensor]
    style_positions: Mapping[str, int]


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
    with content and style the sums of coefficient * layer loss.

    Args:
        image: the network's input, [1, height, width, 3].
        content: loss of each content layer.
        grams: unnormalised Gram matrix of each style layer, [channels, channels].
        positions: height * width of each style layer's activation.
        targets: for the objective's layers.
        objective: formulas and weights.
    """
    losses = objective.losses
    terms = {f"content/{name}": content[name] for name in objective.content_layers}
    with tf1.name_scope("content_loss/"):
        terms["content"] = _weighted_sum(terms, "content", objective.content_layers)
    with tf1.name_scope("style_loss"):
        for name, gram in grams.items():
            shape = StyleShape(
                channels=gram.shape[-1],
                positions=positions[name],
                style_positions=targets.style_positions[name],
                image_positions=_positions(image),
            )
            terms[f"style/{name}"] = STYLE_LOSSES[losses.style](gram, targets.grams[name], shape)
        terms["style"] = _weighted_sum(terms, "style", objective.style_layers)
    if losses.total_variation is not None:
        with tf1.name_scope("total_variation"):
            terms["total_variation"] = TOTAL_VARIATIONS[losses.total_variation](image)
    with tf1.name_scope("total_loss"):
        total = losses.content_weight * terms["content"] + losses.style_weight * terms["style"]
        if losses.total_variation is not None:
            total += losses.total_variation_weight * terms["total_variation"]
    return {"total": total, **terms}


def _positions(activation: tf.Tensor) -> int:
    _, height, width, _ = activation.shape.as_list()
    positions: int = height * width
    return positions


def _weighted_sum(
    terms: Mapping[str, tf.Tensor], kind: str, coefficients: Mapping[str, float]
) -> tf.Tensor:
    return tf.add_n([weight * terms[f"{kind}/{name}"] for name, weight in coefficients.items()])
