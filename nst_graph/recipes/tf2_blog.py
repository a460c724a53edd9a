"""The article "neural style transfer using tensorflow 2" and its notebook."""

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

#: The layers' losses are added up, not averaged.
STYLE_COEFFICIENT = 1.0

TF2_BLOG = Recipe(
    name="tf2_blog",
    title="Neural style transfer using TensorFlow 2 (blog article and notebook)",
    citation="'neural style transfer using tensorflow 2', blog article with a Colab notebook",
    # The article says average pooling, but VGG19(pooling='avg') only adds a global pool behind
    # block 5: its activations are max-pooled. `network.pooling: avg` gives what the article means.
    network=NetworkSettings(pooling="max", padding="VALID", channel_order="BGR"),
    content_layers={"relu4_2": 1.0},
    style_layers={f"relu{block}_1": STYLE_COEFFICIENT for block in range(1, 6)},
    losses=LossSettings(content="mean", style="tf2_blog", content_weight=0.001, style_weight=1.0),
    # The notebook does not seed its N(0, 1).
    initial_image=InitialImageSettings(kind="content_plus_normal", seed=0),
    # Keras's Adam(learning_rate=5.0), hence its epsilon. The preprocessed image is clipped to
    # 0..255 after each step, which cuts every pixel below the mean: the notebook does that.
    # The number of steps is not on record; 1000 is tf_eager's.
    optimizer=AdamSettings(
        steps=1000, learning_rate=5.0, epsilon=1e-7, clip="preprocessed", keep="best"
    ),
    log=LogSettings(
        losses_every=100, image_every=100, read_losses="before_update", first_iteration=0
    ),
    picture=PictureSettings(rounding="truncate", format="png"),
    # 1024 x 720, both pictures.
    size=(720, 1024),
    style_size="content",
    resize_method="lanczos",
)
