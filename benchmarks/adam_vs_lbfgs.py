"""How many evaluations L-BFGS needs to reach the loss of 200 Adam steps.

    python benchmarks/adam_vs_lbfgs.py
    python benchmarks/adam_vs_lbfgs.py louvre_small.jpg monet.jpg --weights pretrained/FILE \\
        [--set KEY=VALUE ...]

The Coursera recipe; without arguments on the embedded pictures at 128 pixels. One Adam step is one
evaluation of loss and gradient too, so that the two counts are of the same work; L-BFGS is run in
segments of 20 and as one long run.
"""

from __future__ import annotations

import argparse
import time

from nst_graph.config import LbfgsSettings, LogSettings, OptimizerSettings
from nst_graph.ingredients import initial_image_of, objective_of, precompute_targets
from nst_graph.jobs import make_job
from nst_graph.optimizers import optimise
from nst_graph.pictures import read_pictures
from nst_graph.plan import Plan, make_plan
from nst_graph.problem import Problem
from nst_graph.session import session_config
from nst_graph.types import FloatArray, Targets, VggWeights
from nst_graph.weights import load

EVERY = LogSettings(losses_every=1, image_every=0)
LAST = LogSettings(losses_every=1_000_000, image_every=0)
MOST_EVALUATIONS = 1000


class Comparison:
    """One problem, minimised afresh by each optimiser."""

    def __init__(self, plan: Plan) -> None:
        pictures = read_pictures(plan)
        self._config = session_config(plan.job.session)
        self._weights: VggWeights = load(plan.weights, pictures.for_weights)
        self._targets: Targets = precompute_targets(plan, pictures, self._weights, self._config)
        self._initial: FloatArray = initial_image_of(plan, pictures)
        self._objective = objective_of(plan)

    def problem(self) -> Problem:
        return Problem(self._initial, self._weights, self._targets, self._objective, self._config)

    def loss_after(self, settings: OptimizerSettings) -> float:
        with self.problem() as problem:
            *_, last = optimise(problem, settings, LAST)
            return last.losses["total"]

    def evaluations_to(self, loss: float, settings: LbfgsSettings) -> tuple[int, float] | None:
        """Evaluations until the loss is reached, and the loss then; None if it never is."""
        with self.problem() as problem:
            for step in optimise(problem, settings, EVERY):
                if step.evaluations is not None and step.losses["total"] <= loss:
                    return step.evaluations, step.losses["total"]
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("content", nargs="?", default="embedded:landscape")
    parser.add_argument("style", nargs="?", default="embedded:painting")
    parser.add_argument("--weights", help="a .mat or .h5 file; by default what is in pretrained/")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings")
    arguments = parser.parse_args()
    pictures = {"content": arguments.content, "style": arguments.style, "output": "unused"}
    settings = {"recipe": "coursera", **pictures, "weights": {"path": arguments.weights}}
    if arguments.content.startswith("embedded:"):
        settings["size"] = 128
    plan = make_plan(make_job(settings, arguments.settings))
    comparison = Comparison(plan)

    start = time.perf_counter()
    reached = comparison.loss_after(plan.job.optimizer)
    seconds = time.perf_counter() - start
    height, width = plan.content.shape
    print(f"{width}x{height}, {plan.job.optimizer.describe()}: loss {reached:.6g}, {seconds:.0f} s")
    for name, segments, evaluations in (
        ("segments of 20", MOST_EVALUATIONS // 20, 20),
        ("one long run", 1, MOST_EVALUATIONS),
    ):
        lbfgs = LbfgsSettings(segments=segments, evaluations=evaluations, stream="evaluation")
        start = time.perf_counter()
        found = comparison.evaluations_to(reached, lbfgs)
        seconds = time.perf_counter() - start
        if found is None:
            print(f"L-BFGS, {name}: not reached")
        else:
            print(f"L-BFGS, {name}: {found[0]} evaluations, loss {found[1]:.6g}, {seconds:.0f} s")


if __name__ == "__main__":
    main()
