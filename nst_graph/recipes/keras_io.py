"""The Keras example "Neural style transfer" as keras.io has it now: SGD with a decaying rate."""

from __future__ import annotations

from nst_graph.config import (
    InitialImageSettings,
    LogSettings,
    LossSettings,
    NetworkSettings,
    PictureSettings,
    SgdSettings,
)
from nst_graph.recipes.base import Recipe

#: The style weight is divided by the number of layers: 1e-6 / 5 each.
STYLE_COEFFICIENT = 1 / 5

KERAS_IO = Recipe(
    name="keras_io",
    title="Keras example with SGD (keras.io, generative/neural_style_transfer)",
    citation="F. Chollet, 'Neural style transfer', keras.io/examples/generative (2016, SGD 2020)",
    # keras.applications.vgg19.VGG19: max pooling, VALID; preprocess_input gives BGR.
    network=NetworkSettings(pooling="max", padding="VALID", channel_order="BGR"),
    content_layers={"relu5_2": 1.0},
    style_layers={f"relu{block}_1": STYLE_COEFFICIENT for block in range(1, 6)},
    losses=LossSettings(
        content="sum",
        style="keras",
        total_variation="keras",
        content_weight=2.5e-8,
        style_weight=1e-6,
        total_variation_weight=1e-6,
    ),
    initial_image=InitialImageSettings(kind="content"),
    # ExponentialDecay(initial_learning_rate=100.0, decay_steps=100, decay_rate=0.96)
    optimizer=SgdSettings(steps=4000, learning_rate=100.0, decay_rate=0.96, decay_steps=100),
    # for i in range(1, 4001): the loss printed is that of the gradient, before the step.
    log=LogSettings(
        losses_every=100, image_every=100, read_losses="before_update", first_iteration=1
    ),
    # deprocess_image: clip to 0..255, then astype("uint8").
    picture=PictureSettings(rounding="truncate", format="png"),
    # img_nrows = 400, columns in proportion; load_img's default filter, for both pictures.
    size=(400, None),
    style_size="content",
    resize_method="nearest",
)
