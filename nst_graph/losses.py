"""Losses: pure functions from tensors to scalars, one for each published normalisation.

The Gram matrix is always passed unnormalised, F^T F with F the activation as [height * width,
channels]; each style loss applies its own normalisation. Sources, by the names of the tables:

* ``coursera``: the assignment of deeplearning.ai's convolutional networks course (TF1 edition).
* ``keras``: the Keras example ``neural_style_transfer`` and Chollet's book.
* ``tf_eager``: TensorFlow's 2018 tutorial with eager execution.
* ``tf2_blog``: the TF2 notebook with Gram matrices divided by the number of channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import tensorflow as tf


@dataclass(frozen=True)
class StyleShape:
    """Sizes that style losses normalise by.

    Attributes:
        channels: C, number of feature maps of the layer.
        positions: height * width of the generated image's feature map.
        style_positions: height * width of the style image's feature map.
        image_positions: height * width of the generated image itself.
    """

    channels: int
    positions: int
    style_positions: float
    image_positions: int


ContentLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
StyleLoss = Callable[[tf.Tensor, tf.Tensor, StyleShape], tf.Tensor]
ImageLoss = Callable[[tf.Tensor], tf.Tensor]


def gram_matrix(activation: tf.Tensor) -> tf.Tensor:
    """Unnormalised Gram matrix F^T F; [1, height, width, C] -> [C, C]."""
    features = tf.reshape(activation, [-1, activation.shape[-1]])
    return tf.matmul(features, features, transpose_a=True)


def coursera_content(generated: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """sum((a_C - a_G)^2) / (4 H W C); both [1, H, W, C]."""
    return squared_error(generated, target) / CONTENT_DIVISORS["coursera"](
        generated.shape.as_list()
    )


def squared_error(generated: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """sum((generated - target)^2): the Keras example's content loss."""
    return tf.reduce_sum(tf.square(generated - target))


def mean_squared_error(generated: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """mean((generated - target)^2): the content loss of ``tf_eager`` and ``tf2_blog``."""
    return tf.reduce_mean(tf.square(generated - target))


def coursera_style(gram: tf.Tensor, target: tf.Tensor, shape: StyleShape) -> tf.Tensor:
    """sum((G_S - G_G)^2) / (4 C^2 (H W)^2), with H W of the generated image.

    The published formula divides both Grams by one H W, the two pictures being of one size. For a
    style image of another size its Gram, a sum over its own positions, is first brought to the
    generated image's number of positions, so that both enter as means over positions; at equal
    sizes the factor is exactly 1 and the formula is the published one.
    """
    matched = target * (shape.positions / shape.style_positions)
    return squared_error(gram, matched) / (4.0 * shape.channels**2 * shape.positions**2)


def keras_style(gram: tf.Tensor, target: tf.Tensor, shape: StyleShape) -> tf.Tensor:
    """sum((S - C)^2) / (4 * 3^2 * (rows * cols)^2): three channels and the size of the *image*.

    The Keras example passes the image's dimensions where Gatys et al. have the layer's. Its two
    pictures always share one size, so a style image of another size is not rescaled here.
    """
    return squared_error(gram, target) / (4.0 * 3**2 * shape.image_positions**2)


def tf_eager_style(gram: tf.Tensor, target: tf.Tensor, shape: StyleShape) -> tf.Tensor:
    """mean((G / (H W) - A / (H W))^2), each Gram divided by its own image's positions."""
    return mean_squared_error(gram / shape.positions, target / shape.style_positions)


def tf2_blog_style(gram: tf.Tensor, target: tf.Tensor, shape: StyleShape) -> tf.Tensor:
    """mean((S / C - G / C)^2 / (2 C C C)^2): channels stand where the formula has positions."""
    channels = shape.channels
    scaled = mean_squared_error(gram / channels, target / channels)
    return scaled / float((2 * channels**3) ** 2)


def keras_total_variation(image: tf.Tensor) -> tf.Tensor:
    """sum((dy^2 + dx^2)^1.25) over all positions but the last row and column; [1, H, W, 3]."""
    corner = image[:, :-1, :-1, :]
    vertical = tf.square(corner - image[:, 1:, :-1, :])
    horizontal = tf.square(corner - image[:, :-1, 1:, :])
    return tf.reduce_sum(tf.pow(vertical + horizontal, 1.25))


def absolute_total_variation(image: tf.Tensor) -> tf.Tensor:
    """sum |dy| + sum |dx| (anisotropic, as tf.image.total_variation); [1, H, W, 3]."""
    return tf.reduce_sum(tf.image.total_variation(image))


def squared_total_variation(image: tf.Tensor) -> tf.Tensor:
    """sum dy^2 + sum dx^2; [1, H, W, 3]."""
    vertical = tf.square(image[:, 1:, :, :] - image[:, :-1, :, :])
    horizontal = tf.square(image[:, :, 1:, :] - image[:, :, :-1, :])
    return tf.reduce_sum(vertical) + tf.reduce_sum(horizontal)


#: By what each content loss divides ``squared_error``: a function of the activation's shape. A sum
#: over parts of an activation is divided once it is complete.
CONTENT_DIVISORS: dict[str, Callable[[Sequence[int]], int]] = {
    "coursera": lambda shape: 4 * prod(shape),
    "sum": lambda shape: 1,
    "mean": prod,
}

CONTENT_LOSSES: dict[str, ContentLoss] = {
    "coursera": coursera_content,
    "sum": squared_error,
    "mean": mean_squared_error,
}

STYLE_LOSSES: dict[str, StyleLoss] = {
    "coursera": coursera_style,
    "keras": keras_style,
    "tf_eager": tf_eager_style,
    "tf2_blog": tf2_blog_style,
}

TOTAL_VARIATIONS: dict[str, ImageLoss] = {
    "keras": keras_total_variation,
    "absolute": absolute_total_variation,
    "squared": squared_total_variation,
}
