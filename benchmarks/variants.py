"""The ways to make one step of the Coursera recipe that the benchmarks compare."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from plain_v1 import plain_v1_step
from work import random_pictures, random_weights

from nst_graph.config import AdamSettings, SessionSettings
from nst_graph.engines import Ingredients, open_engine
from nst_graph.objective import Objective
from nst_graph.recipes import RECIPES
from nst_graph.session import session_config
from nst_graph.targets import TargetNetwork, compute_targets
from nst_graph.types import VggWeights

Step = Callable[[], object]
OpenStep = Callable[[int, int], AbstractContextManager[Step]]


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
    return lambda height, width: own_step(
        *random_pictures(height, width), random_weights(), **session
    )


def _plain(*, mixed_bf16: bool) -> OpenStep:
    return lambda height, width: plain_v1_step(
        *random_pictures(height, width), random_weights(), mixed_bf16=mixed_bf16
    )


@contextmanager
def _in_process(name: str, height: int, width: int) -> Iterator[Step]:
    """A step of ``torch_step`` in a process of its own: PyTorch and TensorFlow each bring an LLVM,
    and one process does not take two.
    """
    script = Path(__file__).with_name("torch_step.py")
    command = [sys.executable, str(script), name, str(height), str(width)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def step() -> None:
            print("step", file=requests, flush=True)
            if answers.readline() != "done\n":
                raise RuntimeError(f"{name} has ended")

        yield step
        requests.close()


def _torch(name: str) -> OpenStep:
    return lambda height, width: _in_process(name, height, width)


#: By name; those in float32 first.
VARIANTS: Mapping[str, OpenStep] = {
    "plain v1": _plain(mixed_bf16=False),
    "exact": _own(),
    "fast": _own(precision="fast"),
    "fast, memory low": _own(precision="fast", memory="low"),
    "torch": _torch("torch"),
    "plain v1, auto mixed bf16": _plain(mixed_bf16=True),
    "torch bf16": _torch("torch bf16"),
}

#: Those that compute in bfloat16 whatever the processor is; without units for it they take minutes.
NEED_BF16 = ("plain v1, auto mixed bf16", "torch bf16")
