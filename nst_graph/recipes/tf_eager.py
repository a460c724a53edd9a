"""TensorFlow's 2018 tutorial "Neural Style Transfer ... using tf.keras and eager execution"."""

from __future__ import annotations

from nst_graph.config import (
    AdamSettings,
    InitialImageSettings,
    LogSettings,
    LossSettings,
    NetworkSettings,
    PictureSettings,
)
from nst_graph.recipes.base import Recipe

#: weight_per_style_layer = 1 / number of style layers.
STYLE_COEFFICIENT = 1 / 5

TF_EAGER = Recipe(
    name="tf_eager",
    title="TensorFlow tutorial with eager execution (R. Yuan, 2018)",
    citation=(
        "R. Yuan, 'Neural Style Transfer: Creating Art with Deep Learning using tf.keras and eager "
        "execution', TensorFlow blog (2018)"
    ),
    # tf.keras.applications.VGG19: max pooling, VALID; preprocess_input gives BGR.
    network=NetworkSettings(pooling="max", padding="VALID", channel_order="BGR"),
    content_layers={"relu5_2": 1.0},
    style_layers={f"relu{block}_1": STYLE_COEFFICIENT for block in range(1, 6)},
    losses=LossSettings(content="mean", style="tf_eager", content_weight=1e3, style_weight=1e-2),
    initial_image=InitialImageSettings(kind="content"),
    # AdamOptimizer(learning_rate=5, beta1=0.99, epsilon=1e-1); after each step the image is clipped
    # to what 0..255 becomes. The best image is the one *after* the step from the lowest loss.
    optimizer=AdamSettings(
        steps=1000, learning_rate=5.0, beta1=0.99, epsilon=0.1, clip="pixels", keep="best"
    ),
    # The loss compared and printed is that of the gradient, before the step.
    log=LogSettings(
        losses_every=100, image_every=100, read_losses="before_update", first_iteration=0
    ),
    # deprocess_img: clip to 0..255, then astype('uint8').
    picture=PictureSettings(rounding="truncate", format="png"),
    # load_img: max_dim = 512, Image.ANTIALIAS, each picture in its own proportions.
    size=512,
    style_size=512,
    resize_method="lanczos",
)
