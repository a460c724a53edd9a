"""VGG-19 as the eager articles have it: a Keras functional model that returns named activations."""

from __future__ import annotations

from typing import Any

import tf_keras

from nst_graph.layers import block_of, convolution_of, layers_down_to
from nst_graph.objective import Objective
from nst_graph.types import VggWeights

_POOLINGS = {"avg": tf_keras.layers.AveragePooling2D, "max": tf_keras.layers.MaxPooling2D}

#: Not left to keras.json and the global policy, which belong to the user's own models.
_LAYOUT = {"data_format": "channels_last", "dtype": "float32"}


def keras_vgg19(weights: VggWeights, objective: Objective, height: int, width: int) -> Any:
    """The objective's network as a ``tf_keras.Model``, no deeper than its deepest layer.

    Args:
        weights: kernels, in any channel order.
        objective: names layers, pooling, padding and the image's channel order.
        height, width: of the image.

    Returns:
        A model from float32 [1, height, width, 3], mean subtracted, to the objective's layers:
        canonical name to activation [1, height, width, channels]. Nothing in it is trainable.
    """
    settings = objective.network
    matched = weights.in_channel_order(settings.channel_order)
    named = {*objective.content_layers, *objective.style_layers}
    activations: dict[str, Any] = {}
    features = image = tf_keras.Input((height, width, 3), batch_size=1, dtype="float32")
    for name in layers_down_to(objective.deepest):
        if activations and block_of(name) != block_of(next(reversed(activations))):
            pool = _POOLINGS[settings.pooling](
                2, 2, settings.padding.lower(), name=f"pool{block_of(name) - 1}", **_LAYOUT
            )
            features = pool(features)
        activations[name] = features = _convolution(features, matched, convolution_of(name))
    outputs = {name: tensor for name, tensor in activations.items() if name in named}
    model = tf_keras.Model(image, outputs, name="vgg19")
    model.trainable = False
    return model


def _convolution(features: Any, weights: VggWeights, name: str) -> Any:
    """ReLU(conv(features) + bias) as one layer, which holds the kernels."""
    kernel = weights.kernels[name]
    layer = tf_keras.layers.Conv2D(
        kernel.shape[-1],
        kernel.shape[:2],
        padding="same",
        activation="relu",
        # Keras's default draws random numbers, which would cost time and the user's random state.
        kernel_initializer="zeros",
        name=name,
        **_LAYOUT,
    )
    outputs = layer(features)
    layer.set_weights([kernel, weights.biases[name]])
    return outputs
