"""The Coursera assignment "Art Generation with Neural Style Transfer", TF1 edition."""

from __future__ import annotations

from nst_graph.config import (
    AdamSettings,
    InitialImageSettings,
    LogSettings,
    LossSettings,
    NetworkSettings,
    PictureSettings,
)
from nst_graph.preprocess import NOISE_RATIO
from nst_graph.recipes.base import Recipe

#: The assignment's STYLE_LAYERS: five layers, 0.2 each.
STYLE_COEFFICIENT = 0.2

COURSERA = Recipe(
    name="coursera",
    title="Coursera assignment (deeplearning.ai, Convolutional Neural Networks, week 4), TF1",
    citation=(
        "deeplearning.ai, Convolutional Neural Networks, programming assignment 'Art Generation "
        "with Neural Style Transfer' (2017); L. Gatys, A. Ecker, M. Bethge, 'A Neural Algorithm "
        "of Artistic Style', arXiv:1508.06576"
    ),
    # The assignment's load_vgg_model: average pooling, SAME, RGB as MatConvNet has it.
    network=NetworkSettings(pooling="avg", padding="SAME", channel_order="RGB"),
    # The assignment's conv4_2 is taken after its ReLU.
    content_layers={"relu4_2": 1.0},
    style_layers={f"relu{block}_1": STYLE_COEFFICIENT for block in range(1, 6)},
    # total_cost(J_content, J_style, alpha = 10, beta = 40)
    losses=LossSettings(
        content="coursera", style="coursera", content_weight=10.0, style_weight=40.0
    ),
    # generate_noise_image after np.random.seed(3) and two normal draws in an earlier cell.
    initial_image=InitialImageSettings(kind="blend", noise_ratio=NOISE_RATIO, seed=3),
    # tf.train.AdamOptimizer(2.0) with TF1's defaults; model_nn(num_iterations = 200).
    optimizer=AdamSettings(steps=200, learning_rate=2.0, beta1=0.9, beta2=0.999, epsilon=1e-8),
    # Costs are printed, and pictures saved, at i % 20 == 0, after the update.
    log=LogSettings(losses_every=20, image_every=20, read_losses="after_update", first_iteration=0),
    # save_image: clip to 0..255, then astype('uint8').
    picture=PictureSettings(rounding="truncate", format="png"),
)
