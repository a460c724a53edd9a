"""The real kernels of blocks 1-3 give the published costs and mean activations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import real_weights

from nst_graph.config import LossSettings, NetworkSettings, SessionSettings
from nst_graph.images import read_picture
from nst_graph.objective import Objective
from nst_graph.preprocess import initial_image, to_network
from nst_graph.problem import Problem
from nst_graph.session import session_config
from nst_graph.targets import TargetNetwork, compute_targets

pytestmark = pytest.mark.tensorflow

STYLE_COSTS = {"relu1_1": 292614.9, "relu2_1": 1.971335e7, "relu3_1": 1.075871e7}
CONTENT_COST = 17206.22  # relu3_4
#: Mean activation of the style and of the content picture.
MEANS = {
    "relu1_1": (18.979162, 25.599733),
    "relu1_2": (95.2089, 108.914749),
    "relu2_1": (87.251419, 97.702583),
    "relu2_2": (92.170692, 86.877357),
    "relu3_1": (63.076336, 63.715946),
    "relu3_4": (250.554138, 219.481796),
}
CONFIG = session_config(SessionSettings(device="cpu"))


def network_input(reference: Path, name: str) -> np.ndarray:
    return to_network(read_picture(reference / "coursera" / name).pixels, "RGB")


def test_published_numbers_of_blocks_1_to_3(reference: Path) -> None:
    weights = real_weights(reference)
    content = network_input(reference, "louvre_small.jpg")
    style = network_input(reference, "monet.jpg")
    with TargetNetwork(weights, "avg", "SAME", MEANS, STYLE_COSTS, CONFIG) as network:
        targets = compute_targets(network, content, style)
        style_activations = network.content(style)
    for name, (style_mean, content_mean) in MEANS.items():
        assert style_activations[name].mean(dtype=np.float64) == pytest.approx(style_mean, rel=1e-5)
        assert targets.content[name].mean(dtype=np.float64) == pytest.approx(content_mean, rel=1e-5)
    objective = Objective(
        NetworkSettings(pooling="avg", padding="SAME", channel_order="RGB"),
        {"relu3_4": 1.0},
        dict.fromkeys(STYLE_COSTS, 0.2),
        LossSettings(content="coursera", style="coursera", content_weight=10.0, style_weight=40.0),
    )
    start = initial_image("blend", content, seed=3, noise_ratio=0.6)
    with Problem(start, weights, targets, objective, CONFIG) as problem:
        problem.start()
        losses = problem.read_losses()
    assert losses["content"] == pytest.approx(CONTENT_COST, rel=1e-5)
    for name, cost in STYLE_COSTS.items():
        assert losses[f"style/{name}"] == pytest.approx(cost, rel=1e-5)
