"""Small and partial networks for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nst_graph.layers import BLOCK_CHANNELS, CONVOLUTIONS, block_of
from nst_graph.types import VGG_MEAN_RGB, Provenance, VggWeights, digest_of_kernels

TINY_CHANNELS = (4, 5, 6, 7, 8)

#: The real kernels are in Keras's input order.
REFERENCE_KERNELS = Path("vgg19", "vgg19_conv1_1_to_conv3_4.npz")


def seeded_weights(seed: int = 0, channels: tuple[int, ...] = TINY_CHANNELS) -> VggWeights:
    """VGG-19 with few channels, He-normal kernels and small biases."""
    generator = np.random.default_rng(seed)
    kernels, biases = {}, {}
    inputs = 3
    for name in CONVOLUTIONS:
        outputs = channels[block_of(name) - 1]
        kernel = generator.standard_normal((3, 3, inputs, outputs)) * np.sqrt(2 / (9 * inputs))
        kernels[name] = kernel.astype(np.float32)
        biases[name] = (0.1 * generator.standard_normal(outputs)).astype(np.float32)
        inputs = outputs
    return _record(kernels, biases)


def real_weights(reference: Path, seed: int = 0) -> VggWeights:
    """The real kernels of blocks 1-3, in RGB order; seeded ones of full size beyond."""
    weights = seeded_weights(seed, BLOCK_CHANNELS)
    kernels, biases = dict(weights.kernels), dict(weights.biases)
    with np.load(reference / REFERENCE_KERNELS) as stored:
        for key in stored:
            name, part = key.split("/")
            (kernels if part == "kernel" else biases)[name] = stored[key]
    kernels["conv1_1"] = np.ascontiguousarray(kernels["conv1_1"][:, :, ::-1])
    return _record(kernels, biases)


def _record(kernels: dict[str, np.ndarray], biases: dict[str, np.ndarray]) -> VggWeights:
    digest = digest_of_kernels(kernels, biases)
    provenance = Provenance(source="test", description="made by a test", sha256=digest)
    return VggWeights(kernels, biases, "RGB", np.array(VGG_MEAN_RGB, np.float32), provenance)
