"""The Keras example in its L-BFGS form, as "Neural Style Transfer In Keras" walks through it."""

from __future__ import annotations

from nst_graph.config import (
    InitialImageSettings,
    LbfgsSettings,
    LogSettings,
    LossSettings,
    NetworkSettings,
    PictureSettings,
)
from nst_graph.recipes.base import Recipe

#: The style weight is divided by the number of layers: 1.0 / 5 each.
STYLE_COEFFICIENT = 1 / 5

#: The book "Deep Learning with Python", which printed the losses of its run, sets this instead.
BOOK_TOTAL_VARIATION_WEIGHT = 1e-4

KERAS_BLOG = Recipe(
    name="keras_blog",
    title="Keras example with L-BFGS, as in 'Neural Style Transfer In Keras' (M. Jerkic)",
    citation=(
        "M. Jerkic, 'Neural Style Transfer In Keras', Learner's Deep Learning Blog; the Keras "
        "example neural_style_transfer.py; F. Chollet, 'Deep Learning with Python' (2017), 8.3"
    ),
    # tf.keras.applications.VGG19: max pooling, VALID; preprocess_input gives BGR.
    network=NetworkSettings(pooling="max", padding="VALID", channel_order="BGR"),
    content_layers={"relu5_2": 1.0},
    style_layers={f"relu{block}_1": STYLE_COEFFICIENT for block in range(1, 6)},
    # The article's three weights; its total variation is the Keras example's, to the 1.25.
    losses=LossSettings(
        content="sum",
        style="keras",
        total_variation="keras",
        content_weight=0.025,
        style_weight=1.0,
        total_variation_weight=1.0,
    ),
    initial_image=InitialImageSettings(kind="content"),
    # fmin_l_bfgs_b(..., maxfun=20), ten times; SciPy's pgtol is 1e-5 unless it is given.
    optimizer=LbfgsSettings(segments=10, evaluations=20, gradient_tolerance=1e-5),
    # Losses and a picture after each round, which the example counts from 0.
    log=LogSettings(losses_every=1, image_every=1, read_losses="after_update", first_iteration=0),
    # deprocess_image: clip to 0..255, then astype('uint8').
    picture=PictureSettings(rounding="truncate", format="png"),
    # img_nrows = 400, columns in proportion; load_img's default filter, for both pictures.
    size=(400, None),
    style_size="content",
    resize_method="nearest",
)
