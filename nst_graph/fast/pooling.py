"""2x2 pooling with stride 2, and the gradient through it and the ReLU before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from nst_graph.fast.fused import Fused, masked_sum
from nst_graph.vgg19 import Padding
from nst_graph.vgg19 import Pooling as PoolingName


@dataclass(frozen=True)
class Pooling:
    """Average or maximum, with TensorFlow's "SAME" or "VALID" at odd sizes."""

    name: PoolingName
    padding: Padding

    def side_after(self, side: int) -> int:
        """Height or width of what comes of that height or width."""
        return (side + (self.padding == "SAME")) // 2

    def forward(self, features: tf.Tensor) -> tf.Tensor:
        pool = {"avg": tf.nn.avg_pool2d, "max": tf.nn.max_pool2d}[self.name]
        return pool(features, 2, 2, self.padding)

    def relu_gradient(
        self, fused: Fused, activation: tf.Tensor, gradient: tf.Tensor, seeds: list[tf.Tensor]
    ) -> tf.Tensor:
        """Gradient of the input of the ReLU before the pooling.

        Args:
            fused: compiles it.
            activation: the ReLU's output and the pooling's input, [1, height, width, channels].
            gradient: of the pooling's output.
            seeds: gradients of ``activation`` that do not come through the pooling.
        """
        if self.name == "avg":
            return fused(_average_relu_gradient, activation, gradient, *seeds)
        # Which of four equal maxima gets the gradient is TensorFlow's rule, and stays its affair.
        spread = tf.raw_ops.MaxPoolGrad(
            orig_input=activation,
            orig_output=self.forward(activation),
            grad=gradient,
            ksize=[1, 2, 2, 1],
            strides=[1, 2, 2, 1],
            padding=self.padding,
        )
        return fused(masked_sum, activation, spread, *seeds)


def _average_relu_gradient(
    activation: tf.Tensor, gradient: tf.Tensor, *seeds: tf.Tensor
) -> tf.Tensor:
    _, height, width, _ = activation.shape
    return masked_sum(activation, spread_average(gradient, height, width), *seeds)


def spread_average(gradient: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Gradient of the input of an average pooling: each cell gets its share of its window's.

    Whether a last odd row was kept ("SAME") or dropped ("VALID") shows in the shapes: a window that
    reaches over the border averages its real cells only, and cells without a window get 0.

    Args:
        gradient: of the output, [1, rows, columns, channels].
        height, width: of the input.

    Returns:
        [1, height, width, channels].
    """
    _, rows, columns, channels = gradient.shape
    shares = np.outer(_shares(rows, height), _shares(columns, width))
    windows = gradient * tf.constant(shares[None, :, :, None], gradient.dtype)
    cells = tf.broadcast_to(windows[:, :, None, :, None, :], [1, rows, 2, columns, 2, channels])
    cells = tf.reshape(cells, [1, 2 * rows, 2 * columns, channels])[:, :height, :width]
    missing = [[0, 0], [0, max(height - 2 * rows, 0)], [0, max(width - 2 * columns, 0)], [0, 0]]
    return tf.pad(cells, missing)


def _shares(windows: int, size: int) -> np.ndarray:
    """1 / number of real cells of each window along one side."""
    return np.where(np.arange(windows) * 2 + 1 < size, 0.5, 1.0)
