"""The work that is timed: layers of the Coursera recipe, kernels and pictures. No TensorFlow."""

from __future__ import annotations

import numpy as np

from nst_graph.layers import CONVOLUTIONS, kernel_shape
from nst_graph.types import VGG_MEAN_RGB, Provenance, VggWeights

STYLE = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
CONTENT = "conv4_2"
LAST = "conv5_1"


def random_weights() -> VggWeights:
    """He-normal kernels: what they hold does not change what they cost."""
    generator = np.random.default_rng(0)
    kernels, biases = {}, {}
    for name in CONVOLUTIONS:
        shape = kernel_shape(name)
        deviation = np.float32(np.sqrt(2 / np.prod(shape[:3])))
        kernels[name] = deviation * generator.standard_normal(shape, dtype=np.float32)
        biases[name] = np.zeros(shape[3], np.float32)
    mean = np.array(VGG_MEAN_RGB, np.float32)
    return VggWeights(kernels, biases, "RGB", mean, Provenance("random", "for timing", "0" * 64))


def random_pictures(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A content and a style image in network space, float32 [1, height, width, 3]."""
    generator = np.random.default_rng(1)
    content, style = generator.uniform(-120, 130, (2, 1, height, width, 3)).astype(np.float32)
    return content, style
