"""The small job of the lessons: two drawn pictures, a narrow VGG-19, the Coursera recipe.

Nothing is read or downloaded. The network has VGG-19's layers with few channels and random kernels:
enough for every lesson to hold exactly as with the real ones, in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from nst_graph.config import Job
from nst_graph.embedded import draw
from nst_graph.jobs import make_job
from nst_graph.layers import CONVOLUTIONS, block_of
from nst_graph.objective import Objective
from nst_graph.preprocess import Pixels, initial_image, to_network, to_pixels
from nst_graph.problem import Problem
from nst_graph.session import session_config
from nst_graph.targets import TargetNetwork, compute_targets
from nst_graph.types import (
    VGG_MEAN_RGB,
    FloatArray,
    Provenance,
    Targets,
    VggWeights,
    digest_of_kernels,
)

HEIGHT, WIDTH = 48, 64

#: Channels of blocks 1..5; VGG-19 has 64, 128, 256, 512, 512.
CHANNELS = (8, 12, 16, 16, 16)


def small_weights(seed: int = 0) -> VggWeights:
    """VGG-19 with ``CHANNELS`` channels and seeded random kernels (He et al., arXiv:1502.01852)."""
    generator = np.random.default_rng(seed)
    kernels, biases, inputs = {}, {}, 3
    for name in CONVOLUTIONS:
        outputs = CHANNELS[block_of(name) - 1]
        kernel = generator.standard_normal((3, 3, inputs, outputs)) * np.sqrt(2 / (9 * inputs))
        kernels[name] = kernel.astype(np.float32)
        biases[name] = np.zeros(outputs, np.float32)
        inputs = outputs
    digest = digest_of_kernels(kernels, biases)
    provenance = Provenance("random", "narrow VGG-19 of the lessons", digest, pretrained=False)
    return VggWeights(kernels, biases, "RGB", np.array(VGG_MEAN_RGB, np.float32), provenance)


@dataclass(frozen=True)
class SmallJob:
    """What an optimisation needs; images are float32 [1, height, width, 3], mean subtracted, RGB.

    Attributes:
        job: the settings.
        content, style: the two pictures.
        initial: where the optimisation starts.
        weights: kernels.
        targets: content activations and style Gram matrices, computed once, NumPy.
        objective: what is minimised.
    """

    job: Job
    content: FloatArray
    style: FloatArray
    initial: FloatArray
    weights: VggWeights
    targets: Targets
    objective: Objective

    def problem(self) -> Problem:
        """Graph, loss terms and gradient of this job, not started."""
        config = session_config(self.job.session)
        return Problem(self.initial, self.weights, self.targets, self.objective, config)


def small_job(
    settings: Mapping[str, Any] | None = None,
    weights: VggWeights | None = None,
    shape: tuple[int, int] = (HEIGHT, WIDTH),
) -> SmallJob:
    """The Coursera recipe on the two drawn pictures.

    Args:
        settings: keys of a job file, over the recipe's.
        weights: other kernels than ``small_weights()``.
        shape: height and width of both pictures.
    """
    base = {"recipe": "coursera", "content": "embedded:landscape", "style": "embedded:painting"}
    job = make_job({**base, "output": "runs/lesson", **(settings or {})}).job
    weights = (weights or small_weights()).in_channel_order(job.network.channel_order)
    content = to_network(draw("landscape", *shape), "RGB")
    style = to_network(draw("painting", *shape), "RGB")
    network = job.network
    with TargetNetwork(
        weights, network.pooling, network.padding, job.content_layers, job.style_layers
    ) as target_network:
        targets = compute_targets(target_network, content, style)
    start = job.initial_image
    initial = initial_image(start.kind, content, start.seed, start.noise_ratio)
    objective = Objective(network, job.content_layers, job.style_layers, job.losses)
    return SmallJob(job, content, style, initial, weights, targets, objective)


def show_picture(axis: Axes, picture: FloatArray | Pixels, title: str) -> None:
    """Draw uint8 pixels, or an image in network space (RGB), on a matplotlib axis."""
    pixels = picture if picture.dtype == np.uint8 else to_pixels(picture, "RGB")
    axis.imshow(pixels, interpolation="nearest")
    axis.set_title(title, fontsize=9)
    axis.axis("off")


def show_row(pictures: Mapping[str, FloatArray | Pixels]) -> None:
    """Draw titled pictures side by side."""
    figure, axes = plt.subplots(1, len(pictures), figsize=(2.2 * len(pictures), 2.1))
    for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
        show_picture(axis, picture, title)
    figure.tight_layout()
    plt.show()
