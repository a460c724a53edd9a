"""Content activations and style Gram matrices, precomputed by session runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np
import tensorflow as tf

from nst_graph.layers import deepest_of, reach_of, stride_of
from nst_graph.losses import gram_matrix
from nst_graph.tiles import Span, Tile, cut, in_picture, owned_part, positions, whole, window_of
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
        side: of the tiles in which images are looked at, a multiple of ``tiles.ALIGNMENT``; None:
            each as a whole.
    """

    def __init__(
        self,
        weights: VggWeights,
        pooling: Pooling,
        padding: Padding,
        content_layers: Iterable[str],
        style_layers: Iterable[str],
        config: Any = None,
        side: int | None = None,
    ) -> None:
        content_layers, style_layers = list(content_layers), list(style_layers)
        self._side, self._padding = side, padding
        deepest = deepest_of([*content_layers, *style_layers])
        self._reach = reach_of(deepest)
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._window = tf1.placeholder(tf.float32, [1, None, None, 3], name="window")
            self._spans = tf1.placeholder(tf.int32, [2, 4], name="spans")
            network = build_vgg19(self._window, weights, pooling, padding, deepest)
            tile = Tile(*(Span(*tf.unstack(span)) for span in tf.unstack(self._spans)))
            owned = {
                name: network[name][owned_part(tile, stride_of(name), padding)]
                for name in (*content_layers, *style_layers)
            }
            self._content = {name: owned[name] for name in content_layers}
            self._grams = {name: gram_matrix(owned[name]) for name in style_layers}
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
        activations = {
            name: np.empty((1, *self._size_of(name, image), tensor.shape[-1]), np.float32)
            for name, tensor in self._content.items()
        }
        for tile in self._tiles(image):
            for name, values in self._run(self._content, image, tile).items():
                where = owned_part(in_picture(tile), stride_of(name), self._padding)
                activations[name][where] = values
        return activations

    def style(self, image: FloatArray) -> dict[str, StyleTarget]:
        """Gram matrices of the style layers; image [1, height, width, 3], mean subtracted."""
        grams: dict[str, FloatArray] = {}
        for tile in self._tiles(image):
            for name, part in self._run(self._grams, image, tile).items():
                grams[name] = grams[name] + part if name in grams else part
        return {
            name: StyleTarget(gram, prod(self._size_of(name, image)))
            for name, gram in grams.items()
        }

    def _run(self, fetches: dict[str, Any], image: FloatArray, tile: Tile) -> dict[str, FloatArray]:
        fed = {self._window: image[window_of(tile)], self._spans: tile}
        values: dict[str, FloatArray] = self._session.run(fetches, fed)
        return values

    def _tiles(self, image: FloatArray) -> Sequence[Tile]:
        _, height, width, _ = image.shape
        if self._side is None:
            return [whole(height, width)]
        return cut(height, width, self._side, self._reach)

    def _size_of(self, name: str, image: FloatArray) -> tuple[int, int]:
        """Height and width of a layer's activation."""
        _, height, width, _ = image.shape
        stride = stride_of(name)
        return positions(height, stride, self._padding), positions(width, stride, self._padding)


def compute_targets(network: TargetNetwork, content: FloatArray, style: FloatArray) -> Targets:
    """Targets of one content and one style image, each run once through the network."""
    return Targets(content=network.content(content), style=network.style(style))
