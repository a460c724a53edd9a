"""Small optimisation problems of every recipe, and what the oracle says of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
from networks import seeded_weights

from nst_graph.config import LossSettings, SessionSettings
from nst_graph.objective import Objective
from nst_graph.preprocess import initial_image, to_network
from nst_graph.problem import Problem
from nst_graph.recipes import RECIPES
from nst_graph.session import session_config
from nst_graph.targets import TargetNetwork, compute_targets
from nst_graph.types import FloatArray, VggWeights

CONFIG = session_config(SessionSettings(device="cpu"))

#: Odd on purpose: the poolings of the recipes treat a last row differently.
SHAPE = (37, 45)


def pixels(seed: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """A random picture, uint8 RGB, of blocks of 6 x 6 pixels (noise alone has no structure)."""
    height, width = shape
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 6 + 1, width // 6 + 1, 3))
    return np.kron(blocks, np.ones((6, 6, 1)))[:height, :width].astype(np.uint8)


def objective_of(recipe: str, **losses: Any) -> Objective:
    """A recipe's objective, with some of its loss settings changed."""
    found = RECIPES[recipe]
    settings = LossSettings(**{**found.losses.model_dump(), **losses})
    return Objective(found.network, found.content_layers, found.style_layers, settings)


def network_images(recipe: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Initial, content and style image of a recipe in network space."""
    found = RECIPES[recipe]
    order = found.network.channel_order
    content, style = to_network(pixels(1), order), to_network(pixels(2), order)
    start = found.initial_image
    return initial_image(start.kind, content, start.seed, start.noise_ratio), content, style


def make_problem(
    recipe: str,
    weights: VggWeights | None = None,
    objective: Objective | None = None,
    images: tuple[FloatArray, FloatArray, FloatArray] | None = None,
) -> Problem:
    """The problem of a recipe on a network of few channels; not started."""
    weights = weights or seeded_weights()
    objective = objective or objective_of(recipe)
    initial, content, style = images or network_images(recipe)
    with TargetNetwork(
        weights.in_channel_order(objective.network.channel_order),
        objective.network.pooling,
        objective.network.padding,
        objective.content_layers,
        objective.style_layers,
        CONFIG,
    ) as network:
        targets = compute_targets(network, content, style)
    return Problem(initial, weights, targets, objective, CONFIG)


def oracle_of(recipe: str, image: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Terms and gradient of a recipe at ``image``, in float64, on the network of few channels."""
    weights = seeded_weights().in_channel_order(RECIPES[recipe].network.channel_order)
    _, content, style = network_images(recipe)
    images = (value.astype(np.float64) for value in (image, content, style))
    return oracle.loss_and_gradient(recipe, *images, weights.kernels, weights.biases)


def oracle_gradient(recipe: str) -> Any:
    """The oracle's gradient of a recipe's total as a function of the image."""
    return lambda image: oracle_of(recipe, image)[1]


__all__ = [
    "CONFIG",
    "SHAPE",
    "make_problem",
    "network_images",
    "objective_of",
    "oracle_gradient",
    "oracle_of",
    "pixels",
]
