"""A block in strips of rows: only its output and its Gram matrices outlive the forward pass.

The activations of blocks 1 and 2 are two thirds of all to relu5_1. Here they exist for one
strip at a time, and are computed again, strip by strip, when the gradient comes back.

Each of a block's n convolutions looks one row further, so n rows beyond a strip are computed with
it (its halo) and dropped: what is kept is exactly what the whole block would have given. Backward
the gradient needs n rows of halo, and the activations that it passes n more. At the picture's own
borders there is no halo: there the convolutions' zeros are the right ones. Strips begin at even
rows, so that no pooling window is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import tensorflow as tf

from nst_graph.fast.grams import accurate_gram
from nst_graph.fast.passes import Block, Seeds
from nst_graph.objective import Objective


@dataclass(frozen=True)
class Rows:
    """Rows ``start`` to before ``stop``."""

    start: int
    stop: int

    def widened(self, halo: int, height: int) -> Rows:
        """With ``halo`` rows more on both sides, as far as there are rows."""
        return Rows(max(0, self.start - halo), min(height, self.stop + halo))

    def of(self, features: tf.Tensor, offset: int = 0) -> tf.Tensor:
        """These rows of ``features`` [1, height, width, channels], whose first is ``offset``."""
        # A slice along the first dimension shares the tensor's memory; along the second it copies.
        picture = tf.reshape(features, features.shape[1:])
        return picture[self.start - offset : self.stop - offset][tf.newaxis]


def row_strips(height: int, rows: int) -> list[Rows]:
    """Strips of about equal height, all beginning at even rows.

    Args:
        height: of what is cut, at least 2.
        rows: of a strip at most, at least 2; at an odd height the last one may have one more.
    """
    pairs = height // 2
    count = -(-pairs // (rows // 2))
    edges = [2 * (pairs * index // count) for index in range(count)] + [height]
    return [Rows(start, stop) for start, stop in pairwise(edges)]


class StripPass:
    """A block with a pooling and without content layers, in strips.

    Args:
        block: which one.
        features: its input, [1, height, width, channels], of the image's or the network's dtype.
        objective: names the style layers.
        rows: of a strip, at most.
    """

    def __init__(self, block: Block, features: tf.Tensor, objective: Objective, rows: int) -> None:
        self._block, self._features = block, features
        self._height = features.shape[1]
        self.positions = features.shape[1] * features.shape[2]
        self._strips = row_strips(self._height, rows)
        self._halo = len(block.convolutions)
        self.content: dict[str, tf.Tensor] = {}
        outputs: list[tf.Tensor] = []
        grams: dict[str, list[tf.Tensor]] = {
            name: [] for name in block.among(objective.style_layers)
        }
        done: list[tf.Tensor] = []
        for strip in self._strips:
            seen = strip.widened(self._halo, self._height)
            activations = self._activations(seen, after=done)
            kept = {name: strip.of(value, seen.start) for name, value in activations.items()}
            outputs.append(block.output(kept))
            for name, parts in grams.items():
                parts.append(accurate_gram(kept[name]))
            done = [outputs[-1], *(parts[-1] for parts in grams.values())]
        self.output = tf.concat(outputs, axis=1)
        self.grams = {name: tf.add_n(parts) for name, parts in grams.items()}

    def input_gradient(self, gradient: tf.Tensor | None, seeds: Seeds) -> tf.Tensor:
        """As of ``BlockPass``; the activations are computed again."""
        assert gradient is not None, "a block with a pooling has one behind it"
        parts: list[tf.Tensor] = []
        for strip in self._strips:
            needed = strip.widened(self._halo, self._height)
            seen = needed.widened(self._halo, self._height)
            # Not before the gradient is there, and one strip after the other.
            activations = self._activations(seen, after=parts[-1:] or [gradient])
            kept = {name: needed.of(value, seen.start) for name, value in activations.items()}
            arriving = _pooled(needed, gradient.shape[1]).of(gradient)
            part = self._block.input_gradient(kept, arriving, seeds)
            parts.append(strip.of(part, needed.start))
        return tf.concat(parts, axis=1)

    def _activations(self, rows: Rows, after: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        with tf.control_dependencies(after):
            return self._block.activations(tf.identity(rows.of(self._features)))


def _pooled(rows: Rows, height: int) -> Rows:
    """Those of a pooling's ``height`` rows that ``rows`` of its input have a part in."""
    return Rows(rows.start // 2, min(-(-rows.stop // 2), height))
