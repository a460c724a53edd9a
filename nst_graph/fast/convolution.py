"""A 3x3 convolution with bias and ReLU, and the gradient of its input as another convolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_graph.fast.fused import Fused
from nst_graph.fast.winograd import WinogradFilter
from nst_graph.types import VggWeights
from nst_graph.variables import InitialValues, fed_variable

tf1 = tf.compat.v1

Choice = Callable[[int, int, int, int], bool]


class Filter(Protocol):
    """Correlation with a 3x3 kernel, zeros beyond the borders."""

    def __call__(self, features: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
        """[1, height, width, in] -> [1, height, width, out]; with a bias ReLU(sums + bias)."""


@dataclass(frozen=True)
class DirectFilter:
    """TensorFlow's own.

    Attributes:
        kernel: [3, 3, in, out] (HWIO).
    """

    kernel: tf.Tensor

    def __call__(self, features: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
        sums = tf.nn.conv2d(features, self.kernel, 1, "SAME")
        return sums if bias is None else tf.nn.relu(tf.nn.bias_add(sums, bias))


@dataclass(frozen=True)
class Convolution:
    """Kernels in variables of the network's dtype, so that no step casts or flips them.

    Attributes:
        kernel: from inputs to outputs.
        flipped: the kernel turned by 180 degrees, from outputs to inputs.
        bias: [out].
    """

    kernel: Filter
    flipped: Filter
    bias: tf.Tensor

    def forward(self, features: tf.Tensor) -> tf.Tensor:
        """ReLU(conv(features) + bias); [1, height, width, in] -> [1, height, width, out]."""
        return self.kernel(features, self.bias)

    def input_gradient(self, gradient: tf.Tensor) -> tf.Tensor:
        """From the gradient before the ReLU to that of ``features``, of its shape."""
        return self.flipped(gradient)


@dataclass(frozen=True)
class Holder:
    """Puts convolutions into the default graph.

    Attributes:
        weights: kernels, in the image's channel order.
        dtype: of the network.
        by_winograd: float32 only: from height, width, inputs and outputs, whether a convolution is
            by Winograd's method.
        fused: compiles what is elementwise.
        initial_values: gains what to feed to the run of the variables' initializer.
    """

    weights: VggWeights
    dtype: tf.DType
    by_winograd: Choice
    fused: Fused
    initial_values: InitialValues

    def hold(self, name: str, height: int, width: int) -> Convolution:
        """Convolution ``name`` (conv1_1 ...) of that size, in a variable scope of its name."""
        kernel, bias = self.weights.kernels[name], self.weights.biases[name]
        by_winograd = self.dtype == tf.float32 and self.by_winograd(
            height, width, *kernel.shape[2:]
        )

        def held_filter(part: str, values: npt.NDArray[np.floating]) -> Filter:
            if by_winograd:
                return WinogradFilter(part, values, self.fused, self.initial_values)
            return DirectFilter(self._held(part, values))

        with tf1.variable_scope(name):
            return Convolution(
                held_filter("kernel", kernel),
                held_filter("flipped", kernel[::-1, ::-1].transpose(0, 1, 3, 2)),
                self._held("bias", bias),
            )

    def _held(self, part: str, values: npt.NDArray[np.floating]) -> tf.Tensor:
        return fed_variable(part, values, self.dtype, self.initial_values).read_value()
