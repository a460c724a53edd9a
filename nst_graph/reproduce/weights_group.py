"""What the kernels and pictures give before any optimisation: kernel values, activations, costs.

Always on the CPU, in float32: the published values are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nst_graph.config import SessionSettings
from nst_graph.images import UInt8Array, read_picture, resize
from nst_graph.objective import Objective
from nst_graph.preprocess import initial_image, noise_image, to_network
from nst_graph.problem import Problem
from nst_graph.recipes import Recipe, find_recipe
from nst_graph.reproduce.expected import Need
from nst_graph.reproduce.inputs import Inputs
from nst_graph.session import session_config
from nst_graph.targets import TargetNetwork, compute_targets
from nst_graph.types import FloatArray, VggWeights

Measured = Mapping[str, npt.ArrayLike]

_CPU = SessionSettings(device="cpu")


def measure(target: str, inputs: Inputs, wanted: Iterable[str]) -> Measured:
    """Values by the name of their row.

    Args:
        target: a key of ``MEASUREMENTS``.
        inputs: with everything that the wanted rows need.
        wanted: names of rows.
    """
    return MEASUREMENTS[target](inputs, list(wanted))


def coursera(inputs: Inputs, wanted: Sequence[str]) -> Measured:
    """Rows of the TF1 edition: kernels as stored, noise, mean activations, costs of the start."""
    recipe = find_recipe("coursera")
    start = recipe.initial_image
    measured: dict[str, npt.ArrayLike] = {"noise": noise_image((3,), start.seed)}
    images = {
        role: to_network(read_picture(str(path)).pixels, recipe.network.channel_order)
        for role, path in inputs.pictures.items()
    }
    if "content" in images:
        first = initial_image(start.kind, images["content"], start.seed, start.noise_ratio)
        measured["initial_image"] = first.reshape(-1)[:3]
    if inputs.weights is not None:
        measured |= _kernel_values(inputs.weights)
        measured |= _means(inputs.weights, recipe, images, wanted)
        costs = [name for name in wanted if name.startswith(("style/", "content/"))]
        if costs:
            measured |= _costs(inputs.weights, recipe, images, costs)
    return {name: measured[name] for name in wanted}


def coursera_tf2(inputs: Inputs, wanted: Sequence[str]) -> Measured:
    """Rows of the newer edition: corners of Keras's VGG-19 on a 400x400 picture.

    The edition feeds RGB pixels, divided by 255 and without subtracting a mean, to kernels that
    Keras keeps in BGR order; pooling is Keras's. Both are kept.
    """
    if inputs.weights is None:
        return {}
    pixels = _resized(inputs.pictures["content"])
    image = (pixels / 255).astype(np.float32)[np.newaxis]
    layers = [name.removeprefix("corner/") for name in wanted]
    kernels = inputs.weights.in_channel_order("BGR")
    with TargetNetwork(kernels, "max", "VALID", layers, (), session_config(_CPU)) as network:
        activations = network.content(image)
    ends = [0, 1, 2, -3, -2, -1]
    return {
        name: activations[layer][0][np.ix_(ends, ends, ends)].reshape(-1)
        for name, layer in zip(wanted, layers, strict=True)
    }


MEASUREMENTS: dict[str, Callable[[Inputs, Sequence[str]], Measured]] = {
    "coursera": coursera,
    "coursera-tf2": coursera_tf2,
}


def _resized(path: Path) -> UInt8Array:
    """The newer edition's picture: 400x400, Pillow's bicubic filter."""
    return resize(read_picture(str(path)).pixels, (400, 400), "bicubic")


def _kernel_values(weights: VggWeights) -> Measured:
    rgb = weights.in_channel_order("RGB")
    kernel = rgb.kernels["conv1_1"]
    return {
        "kernel_row": kernel[0, 0, 0, :3],
        "kernel_right": kernel[0, 1, 0, 0],
        "kernel_below": kernel[1, 0, 0, 0],
        "bias": rgb.biases["conv1_1"][:3],
    }


def _means(
    weights: VggWeights, recipe: Recipe, images: Mapping[Need, FloatArray], wanted: Sequence[str]
) -> Measured:
    """ "mean_style/relu1_1" ...: means over all positions and channels, in float64."""
    means: dict[str, npt.ArrayLike] = {}
    for role, image in images.items():
        layers = [
            name.removeprefix(f"mean_{role}/")
            for name in wanted
            if name.startswith(f"mean_{role}/")
        ]
        if not layers:
            continue
        with _network(weights, recipe, layers, ()) as network:
            activations = network.content(image)
        for layer in layers:
            means[f"mean_{role}/{layer}"] = activations[layer].mean(dtype=np.float64)
    return means


def _costs(
    weights: VggWeights, recipe: Recipe, images: Mapping[Need, FloatArray], names: Sequence[str]
) -> Measured:
    """Costs of the initial image by layer, such as "style/relu1_1"."""
    layers = {
        kind: {name.removeprefix(f"{kind}/"): 1.0 for name in names if name.startswith(f"{kind}/")}
        for kind in ("content", "style")
    }
    with _network(weights, recipe, layers["content"], layers["style"]) as network:
        targets = compute_targets(network, images["content"], images["style"])
    objective = Objective(recipe.network, layers["content"], layers["style"], recipe.losses)
    start = recipe.initial_image
    first = initial_image(start.kind, images["content"], start.seed, start.noise_ratio)
    with Problem(first, weights, targets, objective, session_config(_CPU)) as problem:
        problem.start()
        losses = problem.read_losses()
    return {name: losses[name] for name in names}


def _network(
    weights: VggWeights,
    recipe: Recipe,
    content_layers: Iterable[str],
    style_layers: Iterable[str],
) -> TargetNetwork:
    settings = recipe.network
    return TargetNetwork(
        weights.in_channel_order(settings.channel_order),
        settings.pooling,
        settings.padding,
        content_layers,
        style_layers,
        session_config(_CPU),
    )
