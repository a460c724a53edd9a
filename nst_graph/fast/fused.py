"""Elementwise work compiled by XLA: one pass over the memory instead of one for each operation."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import tensorflow as tf

Made = TypeVar("Made")


class Fused:
    """Calls functions of tensors as XLA clusters of the default graph.

    A function is compiled once for each combination of shapes, at the first run. One object serves
    one graph: a ``tf.function`` keeps the graph that it was traced for alive.
    """

    def __init__(self) -> None:
        self._compiled: dict[Hashable, Any] = {}

    def __call__(self, function: Callable[..., Made], *tensors: tf.Tensor) -> Made:
        """``function(*tensors)``, a tensor or a list; the shapes of the tensors must be static."""
        signature = tuple((tuple(tensor.shape), tensor.dtype) for tensor in tensors)
        key = (function, signature)
        if key not in self._compiled:
            # A function of its own for each signature: TensorFlow warns of retracing when it meets
            # one function with many shapes, which here is what is meant.
            def traced(*arguments: tf.Tensor) -> Made:
                return function(*arguments)

            self._compiled[key] = tf.function(traced, autograph=False, jit_compile=True)
        made: Made = self._compiled[key](*tensors)
        return made


def masked_sum(activation: tf.Tensor, *gradients: tf.Tensor) -> tf.Tensor:
    """Gradient of a ReLU's input: the sum of its output's gradients where the output is positive.

    Args:
        activation: the ReLU's output.
        gradients: at least one, each of its shape and dtype.
    """
    total = gradients[0]
    for gradient in gradients[1:]:
        total += gradient
    return tf.where(activation > 0, total, tf.zeros([], total.dtype))
