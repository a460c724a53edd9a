"""A 3x3 convolution with bias and ReLU, and the gradient of its input as another convolution."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from nst_graph.types import VggWeights
from nst_graph.variables import InitialValues, fed_variable

tf1 = tf.compat.v1


@dataclass(frozen=True)
class Convolution:
    """Kernels in variables of the network's dtype, so that no step casts or flips them.

    Attributes:
        kernel: [height, width, in, out] (HWIO).
        flipped: the same turned by 180 degrees, inputs and outputs exchanged:
            [height, width, out, in].
        bias: [out].
    """

    kernel: tf.Tensor
    flipped: tf.Tensor
    bias: tf.Tensor

    def forward(self, features: tf.Tensor) -> tf.Tensor:
        """ReLU(conv(features) + bias); [1, height, width, in] -> [1, height, width, out]."""
        sums = tf.nn.bias_add(tf.nn.conv2d(features, self.kernel, 1, "SAME"), self.bias)
        return tf.nn.relu(sums)

    def input_gradient(self, gradient: tf.Tensor) -> tf.Tensor:
        """From the gradient before the ReLU to that of ``features``, of its shape."""
        return tf.nn.conv2d(gradient, self.flipped, 1, "SAME")


def hold_convolution(
    name: str, weights: VggWeights, dtype: tf.DType, initial_values: InitialValues
) -> Convolution:
    """A convolution in the default graph, in variable scope ``name``.

    Args:
        name: ``conv1_1`` ...
        weights: kernels, in the image's channel order.
        dtype: of the network.
        initial_values: gains what to feed to the run of the variables' initializer.
    """
    kernel = weights.kernels[name]
    values = {
        "kernel": kernel,
        "flipped": kernel[::-1, ::-1].transpose(0, 1, 3, 2),
        "bias": weights.biases[name],
    }
    with tf1.variable_scope(name):
        held = {
            part: fed_variable(part, value, dtype, initial_values).read_value()
            for part, value in values.items()
        }
    return Convolution(**held)
