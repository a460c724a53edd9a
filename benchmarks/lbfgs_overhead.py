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
from work import random_pictures, random_weights

from nst_graph.config import LbfgsSettings, SessionSettings
from nst_graph.objective import Objective
from nst_graph.optimizers.evaluator import problem_evaluator
from nst_graph.optimizers.lbfgs import minimise_in_one_call, one_blas_thread
from nst_graph.problem import Problem
from nst_graph.recipes import RECIPES
from nst_graph.session import session_config
from nst_graph.targets import TargetNetwork, compute_targets
from nst_graph.types import VggWeights


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
    content, style = random_pictures(height, width)
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
