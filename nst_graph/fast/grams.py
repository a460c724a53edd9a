"""Gram matrices summed in float32, and the gradient of features that follows from one."""

from __future__ import annotations

import tensorflow as tf

from nst_graph.losses import gram_matrix

#: Positions whose products are summed in the precision of the features before float32 takes over.
CHUNK = 8192


def accurate_gram(activation: tf.Tensor) -> tf.Tensor:
    """``losses.gram_matrix`` in float32, whatever the dtype of the activation.

    A product of bfloat16 matrices is rounded to bfloat16, 8 bits. Over a whole picture that would
    be all the Gram keeps; here it is made in chunks, whose rounded sums are added in float32.
    """
    if activation.dtype == tf.float32:
        return gram_matrix(activation)
    channels = activation.shape[-1]
    features = tf.reshape(activation, [-1, channels])
    whole = features.shape[0] // CHUNK * CHUNK
    sums = [tf.cast(gram_matrix(features[whole:]), tf.float32)]
    if whole:
        chunks = tf.reshape(features[:whole], [-1, CHUNK, channels])
        products = tf.matmul(chunks, chunks, transpose_a=True)
        sums.append(tf.reduce_sum(tf.cast(products, tf.float32), axis=0))
    return tf.add_n(sums)


def gram_seed(activation: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Gradient of the activation F through its Gram F^T F: F (D + D^T).

    Args:
        activation: [1, height, width, channels].
        matrix: D + D^T with D the gradient of the Gram matrix, [channels, channels], of the
            activation's dtype.
    """
    features = tf.reshape(activation, [-1, activation.shape[-1]])
    return tf.reshape(tf.matmul(features, matrix), activation.shape)
