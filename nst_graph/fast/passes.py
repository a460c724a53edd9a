"""The network in blocks: forward from the image, and backward to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import tensorflow as tf

from nst_graph.fast.convolution import Convolution, Holder
from nst_graph.fast.fused import Fused, masked_sum
from nst_graph.fast.grams import accurate_gram, gram_seed
from nst_graph.fast.pooling import Pooling
from nst_graph.layers import block_of, convolution_of, layers_down_to
from nst_graph.losses import ContentLoss
from nst_graph.objective import Objective

tf1 = tf.compat.v1


@dataclass(frozen=True)
class Block:
    """Convolutions between two poolings.

    Attributes:
        number: 1 to 5.
        convolutions: by the canonical name of the activation they make, in order.
        pooling: after the last of them; None for the block that the network ends in.
    """

    number: int
    convolutions: dict[str, Convolution]
    pooling: Pooling | None

    def among(self, layers: Iterable[str]) -> list[str]:
        """Those of ``layers`` that are in this block."""
        return [name for name in layers if name in self.convolutions]

    def activations(self, features: tf.Tensor) -> dict[str, tf.Tensor]:
        """From the block's input, every activation by name."""
        first, *_ = self.convolutions.values()
        features = tf.cast(features, first.bias.dtype)
        made: dict[str, tf.Tensor] = {}
        for name, convolution in self.convolutions.items():
            made[name] = features = convolution.forward(features)
        return made

    def output(self, activations: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The input of the next block."""
        last = activations[next(reversed(self.convolutions))]
        return last if self.pooling is None else self.pooling.forward(last)

    def input_gradient(
        self, activations: Mapping[str, tf.Tensor], gradient: tf.Tensor | None, seeds: Seeds
    ) -> tf.Tensor:
        """Gradient of the block's input.

        Args:
            activations: as of ``activations``.
            gradient: of ``output``; None where nothing lies behind the block.
            seeds: what the losses add at the block's activations.
        """
        pooling = self.pooling
        for name in reversed(self.convolutions):
            activation = activations[name]
            added = seeds.at(name, activation, gradient)
            if pooling is not None:
                before = pooling.relu_gradient(seeds.fused, activation, gradient, added)
            else:
                arriving = added if gradient is None else [gradient, *added]
                before = seeds.fused(masked_sum, activation, *arriving)
            gradient = self.convolutions[name].input_gradient(before)
            pooling = None
        return gradient


def build_blocks(holder: Holder, objective: Objective, height: int, width: int) -> list[Block]:
    """The blocks of the objective's network, no deeper than its deepest layer.

    Args:
        holder: of the convolutions.
        objective: names layers, pooling and padding.
        height, width: of the image.
    """
    settings = objective.network
    last = block_of(objective.deepest)
    blocks = []
    with tf1.variable_scope("vgg19"):
        for number in range(1, last + 1):
            held = {
                name: holder.hold(convolution_of(name), height, width)
                for name in layers_down_to(objective.deepest)
                if block_of(name) == number
            }
            pooling = Pooling(settings.pooling, settings.padding)
            blocks.append(Block(number, held, pooling if number < last else None))
            height, width = pooling.side_after(height), pooling.side_after(width)
    return blocks


@dataclass(frozen=True)
class Seeds:
    """Gradients that the losses put in at activations, from where they flow back to the image.

    Attributes:
        grams: of each style layer, the gradient of the total with respect to its Gram matrix plus
            its transpose, [channels, channels] of the network's dtype.
        content: of each content layer, the gradient of the total with respect to the layer's loss,
            a float32 scalar, and the target, float32 [1, height, width, channels].
        content_loss: the formula.
        fused: compiles what is elementwise.
    """

    grams: Mapping[str, tf.Tensor]
    content: Mapping[str, tuple[tf.Tensor, tf.Tensor]]
    content_loss: ContentLoss
    fused: Fused

    def at(self, name: str, activation: tf.Tensor, arriving: tf.Tensor | None) -> list[tf.Tensor]:
        """Gradients of a layer's activation, each of its shape and dtype; none for most layers.

        They are computed when the gradient ``arriving`` from behind is there. As soon as a Gram
        is known they could be, but then they would wait in memory through the rest of the pass.
        """
        added = []
        with tf.control_dependencies([] if arriving is None else [arriving]):
            if name in self.grams:
                added.append(gram_seed(activation, tf.identity(self.grams[name])))
            if name in self.content:
                factor, target = self.content[name]
                factor = tf.identity(factor)
                added.append(self.fused(self._content_seed, activation, target, factor))
        return added

    def _content_seed(
        self, activation: tf.Tensor, target: tf.Tensor, factor: tf.Tensor
    ) -> tf.Tensor:
        wide = tf.cast(activation, tf.float32)
        (gradient,) = tf1.gradients(factor * self.content_loss(wide, target), [wide])
        return tf.cast(gradient, activation.dtype)


class BlockPass(Protocol):
    """A block on its way forward and back.

    Attributes:
        output: the next block's input.
        grams: Gram matrices of the block's style layers, float32, by name.
        content: activations of the block's content layers, by name.
        positions: height * width of the block's activations.
    """

    output: tf.Tensor
    grams: dict[str, tf.Tensor]
    content: dict[str, tf.Tensor]
    positions: int

    def input_gradient(self, gradient: tf.Tensor | None, seeds: Seeds) -> tf.Tensor:
        """Gradient of the block's input, of its shape.

        Args:
            gradient: of ``output``; None where nothing lies behind the block.
            seeds: what the losses add at the block's activations.
        """


class WholePass:
    """A block whose activations are kept from the forward pass for the backward one.

    Args:
        block: which one.
        features: its input, [1, height, width, channels], of the image's or the network's dtype.
        objective: names the style and content layers.
    """

    def __init__(self, block: Block, features: tf.Tensor, objective: Objective) -> None:
        self._block = block
        self.positions = features.shape[1] * features.shape[2]
        self._activations = block.activations(features)
        self.output = block.output(self._activations)
        self.grams = {
            name: accurate_gram(self._activations[name])
            for name in block.among(objective.style_layers)
        }
        self.content = {
            name: self._activations[name] for name in block.among(objective.content_layers)
        }

    def input_gradient(self, gradient: tf.Tensor | None, seeds: Seeds) -> tf.Tensor:
        return self._block.input_gradient(self._activations, gradient, seeds)
