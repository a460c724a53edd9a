"""VGG-19 as a TensorFlow graph: one builder for targets and for the optimised image alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from nst_graph.layers import block_of, canonical_name, convolution_of, layers_down_to
from nst_graph.types import VggWeights
from nst_graph.variables import InitialValues, fed_variable

tf1 = tf.compat.v1

Pooling = Literal["avg", "max"]
Padding = Literal["SAME", "VALID"]

#: Kernel and bias of a convolution, by its name.
KernelReader = Callable[[str], tuple[tf.Tensor, tf.Tensor]]


@dataclass(frozen=True)
class Vgg19:
    """A built network.

    Attributes:
        activations: by canonical name (``relu1_1`` ...), [batch, height, width, channels] (NHWC).
        initial_values: what to feed, once, to the run of the variables' initializer: placeholder
            to kernel or bias.
    """

    activations: Mapping[str, tf.Tensor]
    initial_values: InitialValues

    def __getitem__(self, name: str) -> tf.Tensor:
        """Activation under any of its names; KeyError where the network was not built so deep."""
        return self.activations[canonical_name(name)]


def build_vgg19(
    image: tf.Tensor,
    weights: VggWeights,
    pooling: Pooling = "avg",
    padding: Padding = "SAME",
    deepest: str = "relu5_4",
) -> Vgg19:
    """Build VGG-19 up to ``deepest`` in the default graph, in variable scope ``vgg19``.

    Kernels and biases become non-trainable variables fed at initialisation, not constants: a
    constant is copied with every copy of the GraphDef, 80 MB each time.

    Args:
        image: float [batch, height, width, 3], mean subtracted, channels in
            ``weights.channel_order``. Its dtype is the network's.
        weights: kernels, used exactly as stored; any channel counts.
        pooling: 2x2, stride 2, after blocks 1-4: "avg" (Gatys et al. and the Coursera
            assignment) or "max" (the network as trained, and Keras).
        padding: of the pooling. "SAME" keeps a last odd row or column, and its average counts
            real cells only; "VALID" drops it. Convolutions are always zero-padded.
        deepest: last activation wanted, under any of its names; nothing is built past it.

    Raises:
        ConfigError: ``deepest`` names no activation.
    """
    initial_values: InitialValues = {}
    read = kernel_reader(weights, image.dtype, initial_values)
    return Vgg19(activations_of(image, read, pooling, padding, deepest), initial_values)


def kernel_reader(
    weights: VggWeights, dtype: tf.DType, initial_values: InitialValues
) -> KernelReader:
    """Makes the variables of a convolution in the current variable scope, and reads them.

    Args:
        weights: kernels, used exactly as stored.
        dtype: of the variables.
        initial_values: gains what to feed to the initializer's run.
    """

    def read(name: str) -> tuple[tf.Tensor, tf.Tensor]:
        kernel = fed_variable("kernel", weights.kernels[name], dtype, initial_values)
        bias = fed_variable("bias", weights.biases[name], dtype, initial_values)
        return kernel.read_value(), bias.read_value()

    return read


def held_kernels(read: KernelReader, deepest: str) -> KernelReader:
    """The kernels read once, in variable scope ``vgg19``, for networks that share them.

    A network in the body of a loop cannot make variables of its own.
    """
    held = {}
    with tf1.variable_scope("vgg19"):
        for name in map(convolution_of, layers_down_to(deepest)):
            with tf1.variable_scope(name):
                held[name] = read(name)
    return held.__getitem__


def activations_of(
    image: tf.Tensor, read: KernelReader, pooling: Pooling, padding: Padding, deepest: str
) -> dict[str, tf.Tensor]:
    """The network's activations by canonical name; arguments as of ``build_vgg19``."""
    pool = {"avg": tf.nn.avg_pool2d, "max": tf.nn.max_pool2d}[pooling]
    activations: dict[str, tf.Tensor] = {}
    features = image
    with tf1.variable_scope("vgg19"):
        for name in layers_down_to(deepest):
            if activations and block_of(name) != block_of(next(reversed(activations))):
                features = pool(features, 2, 2, padding, name=f"pool{block_of(name) - 1}")
            with tf1.variable_scope(convolution_of(name)):
                features = _convolution(features, *read(convolution_of(name)))
            activations[name] = features
    return activations


def _convolution(features: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """ReLU(conv(features) + bias); [batch, height, width, in] -> [batch, height, width, out]."""
    sums = tf.nn.bias_add(tf.nn.conv2d(features, kernel, 1, "SAME", name="conv"), bias)
    return tf.nn.relu(sums, name="relu")
