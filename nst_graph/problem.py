"""The optimisation problem: one graph, one session, the image as a variable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
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
from nst_graph.types import FloatArray, StyleTarget, Targets, VggWeights
from nst_graph.variables import InitialValues, fed_variable
from nst_graph.vgg19 import Vgg19, build_vgg19

tf1 = tf.compat.v1


@dataclass(frozen=True)
class Objective:
    """What is minimised: the part of a job that decides the loss.

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
        return deepest_of([*self.content_layers, *self.style_layers])


def build_network(image: tf.Tensor, weights: VggWeights, objective: Objective) -> Vgg19:
    """VGG-19 as the objective wants it, no deeper than its deepest layer."""
    settings = objective.network
    matched = weights.in_channel_order(settings.channel_order)
    return build_vgg19(image, matched, settings.pooling, settings.padding, objective.deepest)


def build_terms(
    image: tf.Tensor, network: Vgg19, targets: Targets, objective: Objective
) -> dict[str, tf.Tensor]:
    """Named scalars: "total", "content", "style", "total_variation" where there is one, and each
    layer's own loss before its coefficient, as "content/relu4_2" or "style/relu1_1".

    total = content_weight * content + style_weight * style + total_variation_weight * variation,
    with content and style the sums of coefficient * layer loss.

    Args:
        image: the network's input, [1, height, width, 3].
        network: built on ``image``.
        targets: by canonical layer name.
        objective: formulas and weights.
    """
    losses = objective.losses
    terms: dict[str, tf.Tensor] = {}
    with tf1.name_scope("content_loss"):
        for name in objective.content_layers:
            target = fed_variable(
                f"target_{name}", targets.content[name], image.dtype, network.initial_values
            )
            terms[f"content/{name}"] = CONTENT_LOSSES[losses.content](
                network[name], target.read_value()
            )
        terms["content"] = _weighted_sum(terms, "content", objective.content_layers)
    with tf1.name_scope("style_loss"):
        for name in objective.style_layers:
            terms[f"style/{name}"] = _style_term(
                image, network[name], targets.style[name], losses.style
            )
        terms["style"] = _weighted_sum(terms, "style", objective.style_layers)
    total = losses.content_weight * terms["content"] + losses.style_weight * terms["style"]
    if losses.total_variation is not None:
        with tf1.name_scope("total_variation"):
            terms["total_variation"] = TOTAL_VARIATIONS[losses.total_variation](image)
        total += losses.total_variation_weight * terms["total_variation"]
    return {"total": tf.identity(total, name="total"), **terms}


def _style_term(
    image: tf.Tensor, activation: tf.Tensor, target: StyleTarget, formula: str
) -> tf.Tensor:
    _, height, width, channels = activation.shape.as_list()
    _, rows, columns, _ = image.shape.as_list()
    shape = StyleShape(channels, height * width, target.positions, rows * columns)
    gram = tf.cast(tf.constant(target.gram), image.dtype)
    return STYLE_LOSSES[formula](gram_matrix(activation), gram, shape)


def _weighted_sum(
    terms: Mapping[str, tf.Tensor], kind: str, coefficients: Mapping[str, float]
) -> tf.Tensor:
    return tf.add_n([weight * terms[f"{kind}/{name}"] for name, weight in coefficients.items()])


class Problem:
    """Image, loss terms and gradient in a graph of their own, with an open session.

    The network stands on ``network_input``, a placeholder that defaults to the image variable: an
    optimiser in the graph updates the variable, one outside feeds the placeholder. (Fed in place of
    a resource variable, a value would be ignored without a word.)

    Use as a context manager. Optimisers add their ops to ``graph`` before ``start`` is called.

    Attributes:
        graph: the graph.
        image: the variable, float32 [1, height, width, 3].
        network_input: the tensor to feed, of the same shape.
        terms: named scalars, "total" among them.
        gradient: of "total" with respect to the image, of its shape.
        session: open once ``start`` was called.
    """

    def __init__(
        self,
        initial: FloatArray,
        weights: VggWeights,
        targets: Targets,
        objective: Objective,
        config: Any = None,
    ) -> None:
        self._config = config
        self._session: Any = None
        self.graph = tf.Graph()
        with self.graph.as_default():
            own_values: InitialValues = {}
            self.image = fed_variable("image", initial, tf.float32, own_values, trainable=True)
            self.network_input = tf1.placeholder_with_default(
                self.image.read_value(), initial.shape, name="network_input"
            )
            network = build_network(self.network_input, weights, objective)
            self.terms = build_terms(self.network_input, network, targets, objective)
            with tf1.name_scope("gradient"):
                (self.gradient,) = tf1.gradients(self.terms["total"], [self.network_input])
        self._initial_values: InitialValues = {**own_values, **network.initial_values}

    def __enter__(self) -> Problem:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._session is not None:
            self._session.close()

    def start(self) -> None:
        """Finalize the graph, open the session and initialise every variable."""
        with self.graph.as_default():
            initializer = tf1.global_variables_initializer()
        self.graph.finalize()
        self._session = tf1.Session(graph=self.graph, config=self._config)
        self._session.run(initializer, self._initial_values)
        self._initial_values.clear()

    @property
    def session(self) -> Any:
        if self._session is None:
            raise RuntimeError("the problem has no session yet: call start() first")
        return self._session

    def read_image(self) -> FloatArray:
        """The image as it is now, float32 [1, height, width, 3]."""
        image: FloatArray = self.session.run(self.image)
        return image

    def read_losses(self) -> dict[str, float]:
        """Every named term for the image as it is now, in one session run."""
        return as_floats(self.session.run(self.terms))

    def loss_and_gradient(
        self, image: FloatArray
    ) -> tuple[dict[str, float], npt.NDArray[np.float32]]:
        """Terms and gradient for an image fed from outside; the variable stays as it is."""
        terms, gradient = self.session.run((self.terms, self.gradient), {self.network_input: image})
        return as_floats(terms), gradient


def as_floats(terms: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in terms.items()}
