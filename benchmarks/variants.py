"""The ways to make one step of the Coursera recipe that the benchmarks compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
from plain_v1 import plain_v1_step
from torch_step import torch_step

from nst_graph.config import AdamSettings, SessionSettings
from nst_graph.engines import Ingredients, open_engine
from nst_graph.layers import CONVOLUTIONS, kernel_shape
from nst_graph.objective import Objective
from nst_graph.recipes import RECIPES
from nst_graph.session import session_config
from nst_graph.targets import TargetNetwork, compute_targets
from nst_graph.types import VGG_MEAN_RGB, Provenance, VggWeights

Step = Callable[[], object]
OpenStep = Callable[[np.ndarray, np.ndarray, VggWeights], AbstractContextManager[Step]]


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


@contextmanager
def own_step(
    content: np.ndarray, style: np.ndarray, weights: VggWeights, **session: Any
) -> Iterator[Step]:
    """The package's step, in the graph engine.

    Args:
        content, style: float32 [1, height, width, 3], mean subtracted.
        weights: in the pictures' channel order.
        session: settings of the job's ``session`` section.
    """
    recipe, settings = RECIPES["coursera"], SessionSettings(device="cpu", **session)
    layers = (recipe.content_layers, recipe.style_layers)
    objective = Objective(recipe.network, *layers, recipe.losses)
    network = recipe.network
    with TargetNetwork(
        weights, network.pooling, network.padding, *layers, session_config(settings)
    ) as targets:
        wanted = compute_targets(targets, content, style)
    ingredients = Ingredients(content, weights, wanted, objective)
    with open_engine("graph", ingredients, settings) as engine:
        yield engine.updater(AdamSettings()).update


def _own(**session: Any) -> OpenStep:
    return lambda content, style, weights: own_step(content, style, weights, **session)


def _plain(*, mixed_bf16: bool) -> OpenStep:
    return lambda content, style, weights: plain_v1_step(
        content, style, weights, mixed_bf16=mixed_bf16
    )


def _torch(*, bf16: bool) -> OpenStep:
    return lambda content, style, weights: torch_step(content, style, weights, bf16=bf16)


#: By name; those in float32 first.
VARIANTS: Mapping[str, OpenStep] = {
    "plain v1": _plain(mixed_bf16=False),
    "exact": _own(),
    "fast": _own(precision="fast"),
    "fast, memory low": _own(precision="fast", memory="low"),
    "torch": _torch(bf16=False),
    "plain v1, auto mixed bf16": _plain(mixed_bf16=True),
    "torch bf16": _torch(bf16=True),
}

#: Those that compute in bfloat16 whatever the processor is; without units for it they take minutes.
NEED_BF16 = ("plain v1, auto mixed bf16", "torch bf16")
