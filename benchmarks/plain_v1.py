"""The step as a plain TensorFlow 1 script has it: what every other one is compared with.

Kernels are constants, the gradient is TensorFlow's, the session has default settings, and nothing
of the package is used but the record of the weights. Coursera recipe: five style layers, content at
relu4_2, average pooling, Adam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import rewriter_config_pb2
from work import CONTENT, LAST, STYLE

from nst_graph.types import VggWeights

tf1 = tf.compat.v1


def _network(image: tf.Tensor, weights: VggWeights) -> dict[str, tf.Tensor]:
    activations = {}
    features = image
    for name, kernel in weights.kernels.items():
        if name.endswith("_1") and name != "conv1_1":
            features = tf.nn.avg_pool2d(features, 2, 2, "SAME")
        sums = tf.nn.conv2d(features, tf.constant(kernel), 1, "SAME")
        features = tf.nn.relu(tf.nn.bias_add(sums, tf.constant(weights.biases[name])))
        activations[name] = features
        if name == LAST:
            break
    return activations


def _gram(activation: tf.Tensor) -> tf.Tensor:
    flat = tf.transpose(tf.reshape(activation, [-1, activation.shape[-1]]))
    return tf.matmul(flat, flat, transpose_b=True)


@contextmanager
def plain_v1_step(
    content: np.ndarray, style: np.ndarray, weights: VggWeights, *, mixed_bf16: bool = False
) -> Iterator[Callable[[], object]]:
    """One update by AdamOptimizer, as a function to call.

    Args:
        content, style: float32 [1, height, width, 3], mean subtracted.
        weights: in the pictures' channel order.
        mixed_bf16: let oneDNN's graph rewrite compute convolutions in bfloat16.
    """
    config = tf1.ConfigProto(device_count={"GPU": 0})
    if mixed_bf16:
        rewrites = config.graph_options.rewrite_options
        rewrites.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    with tf.Graph().as_default(), tf1.Session(config=config) as session:
        image = tf1.get_variable("image", initializer=content, use_resource=True)
        session.run(image.initializer)
        network = _network(image, weights)
        content_target = session.run(network[CONTENT])
        session.run(image.assign(style))
        grams = session.run({name: _gram(network[name]) for name in STYLE})
        session.run(image.assign(content))
        loss = 10 * tf.reduce_mean(tf.square(network[CONTENT] - content_target)) / 4
        for name in STYLE:
            _, height, width, channels = network[name].shape.as_list()
            error = tf.reduce_sum(tf.square(_gram(network[name]) - grams[name]))
            loss += 40 * 0.2 * error / (4 * channels**2 * (height * width) ** 2)
        update = tf1.train.AdamOptimizer(2.0).minimize(loss, var_list=[image])
        session.run(tf1.global_variables_initializer())
        yield lambda: session.run(update)
