"""The step of pictures beyond memory: the same losses and gradient, computed tile by tile.

The losses depend on the activations through sums over positions alone: Gram matrices, and squared
errors of the content layers. So a first pass over the tiles adds up these sums; the losses follow,
and the derivative D of their total with respect to each sum; a second pass takes D back through
every tile to the pixels that it looked at, and adds up what neighbours share. Every position is
owned by one tile, and each tile sees all that its own positions depend on (``tiles``): losses and
gradient are those of the whole picture, up to the order of additions. docs/memory.md derives it.

One session run makes both passes: each is a loop in the graph. Held at one time are one window's
activations and, of the whole picture, the image, its gradient and the content targets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import tensorflow as tf

from nst_graph.layers import reach_of, stride_of
from nst_graph.losses import CONTENT_DIVISORS, gram_matrix, squared_error
from nst_graph.objective import Objective, TargetTensors, combined_terms
from nst_graph.problem import BuiltStep, StepBuilder, target_tensors
from nst_graph.tiles import Span, Tile, cut, in_picture, owned_part, positions, window_of
from nst_graph.types import Targets, VggWeights
from nst_graph.variables import InitialValues
from nst_graph.vgg19 import KernelReader, activations_of, held_kernels, kernel_reader

tf1 = tf.compat.v1

#: Side of a tile where none is given, in pixels.
TILE_SIZE = 512


def tiled_builder(side: int) -> StepBuilder:
    """A builder of steps that are computed in tiles.

    Args:
        side: of a tile in pixels, a multiple of ``tiles.ALIGNMENT``.
    """

    def build(
        image: tf.Tensor, weights: VggWeights, targets: Targets, objective: Objective
    ) -> BuiltStep:
        return build_tiled_step(image, weights, targets, objective, side)

    return build


def build_tiled_step(
    image: tf.Tensor, weights: VggWeights, targets: Targets, objective: Objective, side: int
) -> BuiltStep:
    """Loss and gradient as of ``problem.build_step``; ``side`` as of ``tiled_builder``."""
    initial_values: InitialValues = {}
    matched = weights.in_channel_order(objective.network.channel_order)
    kernels = held_kernels(kernel_reader(matched, image.dtype, initial_values), objective.deepest)
    held = target_tensors(targets, image.dtype, objective, initial_values)
    picture = _TiledPicture(image, kernels, held, objective)
    _, height, width, _ = image.shape
    tiles = cut(height, width, side, reach_of(objective.deepest))
    with tf1.name_scope("sums"):
        sums = _fold(tiles, picture.add_sums, picture.no_sums())
    terms, of_image, of_sums = picture.terms_and_derivatives(sums)
    with tf1.name_scope("gradient"):
        (gradient,) = _fold(
            tiles, lambda tile, so_far: [picture.add_gradient(tile, of_sums, so_far)], [of_image]
        )
    return BuiltStep(terms, gradient, initial_values)


class _Styled(NamedTuple):
    """An activation, or its part in a region, that a Gram matrix is made of.

    Attributes:
        name: of the Gram matrix.
        layer: of the activation.
        target: the style's Gram matrix.
        guide: of the region, [1, height, width, 1]; None where there is none.
    """

    name: str
    layer: str
    target: tf.Tensor
    guide: tf.Tensor | None = None


@dataclass(frozen=True)
class _TiledPicture:
    """What the losses of a picture are made of, tile by tile.

    "Sums" are a list: a Gram matrix for each style layer, or for each of its regions, then a
    squared error for each content layer.

    Attributes:
        image: the whole one, [1, height, width, 3].
        kernels: of the network.
        targets: for the objective's layers.
        objective: names the layers.
    """

    image: tf.Tensor
    kernels: KernelReader
    targets: TargetTensors
    objective: Objective

    def no_sums(self) -> list[tf.Tensor]:
        """What the sums start from."""
        grams = [tf.zeros_like(styled.target) for styled in self._styled()]
        return [*grams, *(tf.zeros([], self.image.dtype) for _ in self.objective.content_layers)]

    def add_sums(self, tile: Tile, *so_far: tf.Tensor) -> list[tf.Tensor]:
        """The first pass: sums so far and those over the positions that the tile owns."""
        own = self._sums_of(tile, self.image[window_of(tile)])
        return [total + part for total, part in zip(so_far, own, strict=True)]

    def add_gradient(
        self, tile: Tile, of_sums: Sequence[tf.Tensor], so_far: tf.Tensor
    ) -> tf.Tensor:
        """The second pass: the gradient so far and what reaches the image through the tile's sums.

        TensorFlow derives it: F (D + D^T) for a Gram matrix and 2 D (F - P) for a squared error, at
        the positions that the tile owns, from there down to the pixels of its window.
        """
        window = self.image[window_of(tile)]
        (part,) = tf1.gradients(self._sums_of(tile, window), [window], grad_ys=list(of_sums))
        rows, columns = tile
        return tf.raw_ops.TensorStridedSliceUpdate(
            input=so_far,
            begin=[0, rows.window_start, columns.window_start, 0],
            end=[1, rows.window_stop, columns.window_stop, 3],
            strides=[1, 1, 1, 1],
            value=so_far[window_of(tile)] + part,
        )

    def terms_and_derivatives(
        self, sums: Sequence[tf.Tensor]
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor, list[tf.Tensor]]:
        """Named terms; the gradient of their total where only terms of the image itself, such as
        total variation, count; and its derivatives with respect to the sums."""
        # The sums are given here: what they owe to the image is the second pass.
        sums = [tf.stop_gradient(value) for value in sums]
        names = [styled.name for styled in self._styled()]
        grams = dict(zip(names, sums, strict=False))
        errors = dict(zip(self.objective.content_layers, sums[len(grams) :], strict=True))
        divisor = CONTENT_DIVISORS[self.objective.losses.content]
        content = {
            name: error / divisor(self.targets.content[name].shape.as_list())
            for name, error in errors.items()
        }
        counts = {name: self._positions_of(name) for name in self.objective.style_layers}
        terms = combined_terms(self.image, content, grams, counts, self.targets, self.objective)
        with tf1.name_scope("derivatives"):
            of_image, *of_sums = tf1.gradients(terms["total"], [self.image, *sums])
            if of_image is None:  # no such term
                of_image = tf.zeros_like(self.image)
        return terms, of_image, of_sums

    def _sums_of(self, tile: Tile, window: tf.Tensor) -> list[tf.Tensor]:
        """The tile's sums, as functions of the pixels of its window."""
        objective, network = self.objective, self.objective.network
        activations = activations_of(
            window, self.kernels, network.pooling, network.padding, objective.deepest
        )

        def owned(layer: str, values: tf.Tensor, tile: Tile) -> tf.Tensor:
            return values[owned_part(tile, stride_of(layer), network.padding)]

        grams = []
        for styled in self._styled():
            features = owned(styled.layer, activations[styled.layer], tile)
            if styled.guide is not None:
                features *= owned(styled.layer, styled.guide, in_picture(tile))
            grams.append(gram_matrix(features))
        errors = (
            squared_error(
                owned(name, activations[name], tile),
                owned(name, self.targets.content[name], in_picture(tile)),
            )
            for name in objective.content_layers
        )
        return [*grams, *errors]

    def _styled(self) -> list[_Styled]:
        """What there is a Gram matrix of, named as ``combined_terms`` wants it."""
        layers, targets = self.objective.style_layers, self.targets
        if not targets.regions:
            return [_Styled(name, name, targets.grams[name]) for name in layers]
        return [
            _Styled(f"{name}/{region.name}", name, region.grams[name], region.guides[name])
            for name in layers
            for region in targets.regions
        ]

    def _positions_of(self, name: str) -> int:
        """Height times width of an activation of the whole picture."""
        _, *sides, _ = self.image.shape
        padding = self.objective.network.padding
        return prod(positions(side, stride_of(name), padding) for side in sides)


def _fold(
    tiles: Sequence[Tile],
    body: Callable[..., list[tf.Tensor]],
    start: Sequence[tf.Tensor],
) -> list[tf.Tensor]:
    """``values = body(tile, *values)`` for one tile after another: a loop in the graph."""
    table = tf.constant([[*tile.rows, *tile.columns] for tile in tiles], tf.int32)

    def step(index: tf.Tensor, *values: tf.Tensor) -> tuple[tf.Tensor, ...]:
        numbers = tf.unstack(table[index])
        tile = Tile(Span(*numbers[:4]), Span(*numbers[4:]))
        return (index + 1, *body(tile, *values))

    folded: tuple[tf.Tensor, ...] = tf.while_loop(
        lambda index, *_: index < len(tiles), step, (0, *start), parallel_iterations=1
    )
    return list(folded[1:])
