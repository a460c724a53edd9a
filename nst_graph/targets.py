"""Content activations and style Gram matrices, precomputed by session runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from nst_graph.layers import deepest_of
from nst_graph.losses import gram_matrix
from nst_graph.types import FloatArray, StyleTarget, Targets, VggWeights
from nst_graph.vgg19 import Padding, Pooling, build_vgg19

tf1 = tf.compat.v1


class TargetNetwork:
    """A graph and an open session that turn images of any size into targets.

    Use as a context manager; the session and the graph go when it is left.

    Args:
        weights: kernels; images come in their channel order.
        pooling, padding: as for ``build_vgg19``.
        content_layers, style_layers: canonical names; nothing deeper is built.
        config: ConfigProto of the session.
    """

    def __init__(
        self,
        weights: VggWeights,
        pooling: Pooling,
        padding: Padding,
        content_layers: Iterable[str],
        style_layers: Iterable[str],
        config: Any = None,
    ) -> None:
        content_layers, style_layers = list(content_layers), list(style_layers)
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._image = tf1.placeholder(tf.float32, [1, None, None, 3], name="image")
            deepest = deepest_of([*content_layers, *style_layers])
            network = build_vgg19(self._image, weights, pooling, padding, deepest)
            self._content = {name: network[name] for name in content_layers}
            self._style = {name: network[name] for name in style_layers}
            self._grams = {name: gram_matrix(tensor) for name, tensor in self._style.items()}
            self._positions = {
                name: tf.size(tensor[..., 0]) for name, tensor in self._style.items()
            }
            initializer = tf1.global_variables_initializer()
        self._graph.finalize()
        self._session = tf1.Session(graph=self._graph, config=config)
        self._session.run(initializer, network.initial_values)

    def __enter__(self) -> TargetNetwork:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the session."""
        self._session.close()

    def content(self, image: FloatArray) -> dict[str, FloatArray]:
        """Activations of the content layers; image [1, height, width, 3], mean subtracted."""
        activations: dict[str, FloatArray] = self._session.run(self._content, {self._image: image})
        return activations

    def style(self, image: FloatArray) -> dict[str, StyleTarget]:
        """Gram matrices of the style layers; image [1, height, width, 3], mean subtracted."""
        grams, positions = self._session.run((self._grams, self._positions), {self._image: image})
        return {name: StyleTarget(grams[name], int(positions[name])) for name in grams}


def compute_targets(network: TargetNetwork, content: FloatArray, style: FloatArray) -> Targets:
    """Targets of one content and one style image, each run once through the network."""
    return Targets(content=network.content(content), style=network.style(style))
