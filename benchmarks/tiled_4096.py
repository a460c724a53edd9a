"""One step of a picture beyond memory: seconds and peak memory, in a process of its own.

    python benchmarks/tiled_4096.py [--size 4096x4096] [--tile 1024] [--steps 1]

The Coursera objective (VGG-19 down to relu5_1, five Gram matrices, content at relu4_2) on seeded
random kernels, float32, Adam. ``--tile 0`` computes the picture as a whole. Prints one line of JSON
for each stage, with the load of the machine, which the seconds depend on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from nst_graph.config import AdamSettings, SessionSettings
from nst_graph.machine import peak_memory_mb
from nst_graph.objective import Objective
from nst_graph.optimizers import session_updater
from nst_graph.preprocess import to_network
from nst_graph.problem import Problem, build_step
from nst_graph.recipes import RECIPES
from nst_graph.session import session_config
from nst_graph.targets import TargetNetwork, compute_targets
from nst_graph.tiled import tiled_builder
from nst_graph.types import FloatArray, Targets, VggWeights
from nst_graph.weights.random_init import random_weights

RECIPE = RECIPES["coursera"]
OBJECTIVE = Objective(RECIPE.network, RECIPE.content_layers, RECIPE.style_layers, RECIPE.losses)
CONFIG = session_config(SessionSettings(device="cpu"))

#: Pixels of the squares that the picture is made of: noise alone has no structure.
BLOCK = 8


class Stages:
    """Prints what each stage took."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def end(self, name: str, **facts: Any) -> None:
        line = {
            "stage": name,
            "seconds": round(time.perf_counter() - self._started, 1),
            "peak_mb": round(peak_memory_mb()),
            "load": round(os.getloadavg()[0], 1),
            **facts,
        }
        print(json.dumps(line), flush=True)
        self._started = time.perf_counter()


def picture(height: int, width: int) -> np.ndarray:
    """Random squares, uint8 [height, width, 3]."""
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    squares = np.random.default_rng(0).integers(0, 256, (rows, columns, 3), np.uint8)
    return squares.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]


def measure(height: int, width: int, tile: int, steps: int) -> None:
    """Targets, then Adam steps, in this process."""
    stages = Stages()
    pixels = picture(height, width)
    weights = random_weights(0, pixels, pixels)
    content = to_network(pixels, RECIPE.network.channel_order)
    stages.end("start")
    targets = targets_of(weights, content, tile)
    stages.end("targets")
    build = tiled_builder(tile) if tile else build_step
    noise = np.random.default_rng(1).uniform(-20, 20, content.shape).astype(np.float32)
    with Problem(content + noise, weights, targets, OBJECTIVE, CONFIG, build) as problem:
        updater = session_updater(problem, AdamSettings())
        stages.end("build")
        for _ in range(steps):
            losses = updater.update_and_read()
            stages.end("step", height=height, width=width, tile=tile, total=losses["total"])


def targets_of(weights: VggWeights, content: FloatArray, tile: int) -> Targets:
    """The picture is its own style: what targets hold does not change what a step costs."""
    network = RECIPE.network
    with TargetNetwork(
        weights.in_channel_order(network.channel_order),
        network.pooling,
        network.padding,
        RECIPE.content_layers,
        RECIPE.style_layers,
        CONFIG,
        tile or None,
    ) as found:
        return compute_targets(found, content, content[:, :512, :512])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="4096x4096", help="height x width")
    parser.add_argument("--tile", type=int, default=1024, help="pixels; 0: no tiles")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.here:
        command = [sys.executable, __file__, *sys.argv[1:], "--here"]
        raise SystemExit(subprocess.run(command, check=False).returncode)
    height, width = map(int, arguments.size.split("x"))
    measure(height, width, arguments.tile, arguments.steps)


if __name__ == "__main__":
    main()
