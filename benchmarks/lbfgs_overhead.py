"""What an evaluation of L-BFGS costs beside the session call, at two sizes.

    python benchmarks/lbfgs_overhead.py [--sizes 300x400 1024x1024] [--evaluations 20]

The Keras recipe on random kernels of VGG-19's shapes, one segment for each size. Everything is
timed in the same run: the session call (through the Keras backend function), the copies and checks
of the evaluator around it, and SciPy with the copies that it makes itself.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from nst_graph.config import LbfgsSettings, SessionSettings
from nst_graph.layers import CONVOLUTIONS, kernel_shape
from nst_graph.objective import Objective
from nst_graph.optimizers.evaluator import problem_evaluator
from nst_graph.optimizers.lbfgs import minimise_in_one_call, one_blas_thread
from nst_graph.problem import Problem
from nst_graph.recipes import RECIPES
from nst_graph.session import session_config
from nst_graph.targets import TargetNetwork, compute_targets
from nst_graph.types import VGG_MEAN_RGB, Provenance, VggWeights


def random_weights() -> VggWeights:
    """He-normal kernels: what they hold does not change what they cost."""
    generator = np.random.default_rng(0)
    kernels, biases = {}, {}
    for name in CONVOLUTIONS:
        shape = kernel_shape(name)
        deviation = np.float32(np.sqrt(2 / np.prod(shape[:3])))
        kernels[name] = deviation * generator.standard_normal(shape, dtype=np.float32)
        biases[name] = np.zeros(shape[3], np.float32)
    mean = np.array(VGG_MEAN_RGB[::-1], np.float32)
    return VggWeights(kernels, biases, "BGR", mean, Provenance("random", "for timing", "0" * 64))


class Timer:
    """Calls a function and keeps the seconds of every call."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.seconds: list[float] = []

    def __call__(self, *arguments: Any) -> Any:
        start = time.perf_counter()
        result = self._function(*arguments)
        self.seconds.append(time.perf_counter() - start)
        return result


def measure(weights: VggWeights, height: int, width: int, evaluations: int) -> tuple[float, ...]:
    """Seconds an evaluation: session call, evaluator without it, SciPy without both."""
    recipe, config = RECIPES["keras_blog"], session_config(SessionSettings())
    objective = Objective(recipe.network, recipe.content_layers, recipe.style_layers, recipe.losses)
    generator = np.random.default_rng(1)
    content, style = generator.uniform(-120, 130, (2, 1, height, width, 3)).astype(np.float32)
    network = recipe.network
    layers = (recipe.content_layers, recipe.style_layers)
    with TargetNetwork(weights, network.pooling, network.padding, *layers, config) as targets:
        wanted = compute_targets(targets, content, style)
    with Problem(content, weights, wanted, objective, config) as problem:
        evaluator = problem_evaluator(problem)
        problem.start()
        x = content.astype(np.float64).reshape(-1)
        evaluator.loss_and_gradient(x)  # the first call builds and optimises the graph
        evaluator.evaluate = backend = Timer(evaluator.evaluate)
        evaluator.loss_and_gradient = whole = Timer(evaluator.loss_and_gradient)  # type: ignore
        start = time.perf_counter()
        with one_blas_thread():
            minimise_in_one_call(evaluator, x, LbfgsSettings(evaluations=evaluations))
        total = time.perf_counter() - start
    made = len(whole.seconds)
    session, evaluator_all = sum(backend.seconds), sum(whole.seconds)
    return session / made, (evaluator_all - session) / made, (total - evaluator_all) / made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["300x400", "1024x1024"])
    parser.add_argument("--evaluations", type=int, default=20)
    arguments = parser.parse_args()
    weights = random_weights()
    print("size        session call   evaluator       SciPy   both, of the session call")
    for size in arguments.sizes:
        height, width = map(int, size.split("x"))
        session, copies, scipy = measure(weights, height, width, arguments.evaluations)
        share = (copies + scipy) / session
        print(
            f"{size:10s} {1e3 * session:10.1f} ms {1e3 * copies:8.1f} ms {1e3 * scipy:8.1f} ms "
            f"{share:10.1%}"
        )


if __name__ == "__main__":
    main()
