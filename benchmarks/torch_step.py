"""The same work in PyTorch: a reference from outside TensorFlow, where PyTorch is installed.

    python benchmarks/torch_step.py torch 300 400

makes a step for each line that it reads, and answers with a line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from work import CONTENT, LAST, STYLE, random_pictures, random_weights

from nst_graph.types import VggWeights


@contextmanager
def torch_step(
    content: np.ndarray, style: np.ndarray, weights: VggWeights, *, bf16: bool = False
) -> Iterator[Callable[[], object]]:
    """One update by torch.optim.Adam, channels last, kernels without gradients.

    Args:
        content, style: float32 [1, height, width, 3], mean subtracted.
        weights: in the pictures' channel order.
        bf16: convolutions and Gram matrices in bfloat16.

    Raises:
        ImportError: there is no PyTorch.
    """
    import torch
    from torch.nn import functional

    def tensor(array: np.ndarray) -> torch.Tensor:
        nchw = torch.from_numpy(np.array(array.transpose(0, 3, 1, 2)))
        return nchw.contiguous(memory_format=torch.channels_last)

    dtype = torch.bfloat16 if bf16 else torch.float32
    layers = {}
    for name, kernel in weights.kernels.items():
        values = torch.from_numpy(np.array(kernel.transpose(3, 2, 0, 1))).to(dtype)
        bias = torch.from_numpy(np.array(weights.biases[name])).to(dtype)
        layers[name] = (values.contiguous(memory_format=torch.channels_last), bias)
        if name == LAST:
            break

    def network(image: torch.Tensor) -> dict[str, torch.Tensor]:
        activations, features = {}, image.to(dtype)
        for name, (kernel, bias) in layers.items():
            if name.endswith("_1") and name != "conv1_1":
                features = functional.avg_pool2d(features, 2, 2, ceil_mode=True)
            features = functional.relu(functional.conv2d(features, kernel, bias, padding=1))
            activations[name] = features
        return activations

    def gram(activation: torch.Tensor) -> torch.Tensor:
        flat = activation.permute(0, 2, 3, 1).reshape(-1, activation.shape[1])
        return (flat.T @ flat).float()

    with torch.no_grad():
        content_target = network(tensor(content))[CONTENT].float()
        style_network = network(tensor(style))
        grams = {name: gram(style_network[name]) for name in STYLE}
        del style_network
    image = tensor(content).requires_grad_(True)
    optimizer = torch.optim.Adam([image], 2.0)

    def update() -> None:
        optimizer.zero_grad()
        activations = network(image)
        loss = 10 * (activations[CONTENT].float() - content_target).square().mean() / 4
        for name in STYLE:
            _, channels, height, width = activations[name].shape
            error = (gram(activations[name]) - grams[name]).square().sum()
            loss = loss + 40 * 0.2 * error / (4 * channels**2 * (height * width) ** 2)
        loss.backward()
        optimizer.step()

    yield update


def main() -> None:
    name, height, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    pictures = random_pictures(height, width)
    with torch_step(*pictures, random_weights(), bf16=name.endswith("bf16")) as step:
        for _ in sys.stdin:
            step()
            print("done", flush=True)


if __name__ == "__main__":
    main()
