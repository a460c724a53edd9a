"""The hand-written step behind the interface of ``problem.build_step``."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from nst_graph.errors import ConfigError
from nst_graph.fast.convolution import Choice, Holder
from nst_graph.fast.fused import Fused
from nst_graph.fast.passes import Block, BlockPass, Seeds, WholePass, build_blocks
from nst_graph.fast.strips import StripPass
from nst_graph.losses import CONTENT_LOSSES
from nst_graph.objective import Objective, TargetTensors, combined_terms
from nst_graph.problem import BuiltStep, StepBuilder, target_tensors
from nst_graph.types import Targets, VggWeights
from nst_graph.variables import InitialValues

tf1 = tf.compat.v1

Dtype = Literal["float32", "bfloat16"]

#: Blocks worth cutting: each one further holds half as much, and has a deeper halo.
STRIPPED_BLOCKS = (1, 2)


def never(height: int, width: int, inputs: int, outputs: int) -> bool:
    """No convolution is by Winograd's method."""
    return False


def fast_step(
    dtype: Dtype = "float32",
    strip_rows: int | None = None,
    by_winograd: Choice = never,
) -> StepBuilder:
    """A builder of hand-written steps.

    Args:
        dtype: of activations and kernels. Image, gradient, losses and Gram matrices are float32.
        strip_rows: compute blocks 1 and 2 in strips of at most that many rows, and again in the
            backward pass. A block with a content layer is kept whole. None: nothing is computed
            twice.
        by_winograd: float32 only: whether a convolution of that height, width, inputs and outputs
            is by Winograd's method. Its kernels take four times the memory then, and its rounding
            error is some seven times as large.

    Raises:
        ConfigError: by the builder: the targets have regions.
    """

    def build(
        image: tf.Tensor, weights: VggWeights, targets: Targets, objective: Objective
    ) -> BuiltStep:
        if targets.regions:
            raise ConfigError(
                "the hand-written step has no regions", remedy="use session.precision: exact"
            )
        initial_values: InitialValues = {}
        matched = weights.in_channel_order(objective.network.channel_order)
        holder = Holder(matched, tf.as_dtype(dtype), by_winograd, Fused(), initial_values)
        blocks = build_blocks(holder, objective, *image.shape[1:3])
        held = target_tensors(targets, tf.float32, objective, initial_values)
        with tf1.name_scope("forward"):
            passes = _forward(image, blocks, objective, strip_rows)
        grams, content = _cut_off(passes, held, objective)
        positions = {name: each.positions for each in passes for name in each.grams}
        terms = combined_terms(image, content, grams, positions, held, objective)
        with tf1.name_scope("gradient"):
            seeds = _seeds(terms["total"], grams, content, held, objective, holder)
            gradient = _backward(passes, seeds)
            if objective.losses.total_variation is not None:
                gradient += tf1.gradients(terms["total"], [image])[0]
        return BuiltStep(terms, gradient, initial_values)

    return build


def _forward(
    image: tf.Tensor, blocks: list[Block], objective: Objective, strip_rows: int | None
) -> list[BlockPass]:
    passes: list[BlockPass] = []
    features = image
    for block in blocks:
        cut = block.number in STRIPPED_BLOCKS and block.pooling is not None
        if strip_rows is None or not cut or block.among(objective.content_layers):
            passes.append(WholePass(block, features, objective))
        else:
            passes.append(StripPass(block, features, objective, strip_rows))
        features = passes[-1].output
    return passes


def _cut_off(
    passes: list[BlockPass], targets: TargetTensors, objective: Objective
) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Gram matrices and content losses as if they were constants.

    What is made of them is then a small graph, whose gradients TensorFlow may derive.
    """
    grams = {name: gram for each in passes for name, gram in each.grams.items()}
    activations = {name: value for each in passes for name, value in each.content.items()}
    content_loss = CONTENT_LOSSES[objective.losses.content]
    with tf1.name_scope("content_loss"):
        content = {
            name: content_loss(tf.cast(activations[name], tf.float32), targets.content[name])
            for name in objective.content_layers
        }
    return (
        {name: tf.stop_gradient(grams[name]) for name in objective.style_layers},
        {name: tf.stop_gradient(loss) for name, loss in content.items()},
    )


def _seeds(
    total: tf.Tensor,
    grams: dict[str, tf.Tensor],
    content: dict[str, tf.Tensor],
    targets: TargetTensors,
    objective: Objective,
    holder: Holder,
) -> Seeds:
    """What the total passes back to the network, in which the losses were cut off from it."""
    of_grams = tf1.gradients(total, list(grams.values()))
    of_content = tf1.gradients(total, list(content.values()))
    return Seeds(
        {
            name: tf.cast(gradient + tf.transpose(gradient), holder.dtype)
            for name, gradient in zip(grams, of_grams, strict=True)
        },
        {
            name: (gradient, targets.content[name])
            for name, gradient in zip(content, of_content, strict=True)
        },
        CONTENT_LOSSES[objective.losses.content],
        holder.fused,
    )


def _backward(passes: list[BlockPass], seeds: Seeds) -> tf.Tensor:
    """Gradient of the network's part of the total, float32 [1, height, width, 3]."""
    gradient = None
    for each in reversed(passes):
        gradient = each.input_gradient(gradient, seeds)
    return tf.cast(gradient, tf.float32)
