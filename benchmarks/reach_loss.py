"""Seconds and evaluations to reach the loss of 200 Adam steps, in several ways.

    python benchmarks/reach_loss.py
    python benchmarks/reach_loss.py louvre_small.jpg monet.jpg --weights pretrained/FILE

The Coursera recipe; without arguments on the embedded pictures at 192 pixels. Seconds are of
targets, graphs and steps, of all sizes where there are several, but not of reading the weights,
which all ways share. One Adam step is one evaluation of loss and gradient, so that the counts are
of the same work. What a way has reached is checked by the exact step.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from nst_graph.cache_directory import CACHE_VARIABLE
from nst_graph.config import LogSettings
from nst_graph.engines import Engine, Ingredients, open_engine
from nst_graph.ingredients import ingredients_of
from nst_graph.jobs import make_job
from nst_graph.pictures import read_pictures
from nst_graph.plan import Plan, make_plan
from nst_graph.session import session_config
from nst_graph.stages import resized
from nst_graph.types import FloatArray, VggWeights
from nst_graph.weights import load

EVERY = LogSettings(losses_every=1, image_every=0)
BEFORE = EVERY.model_copy(update={"read_losses": "before_update"})
LAST = LogSettings(losses_every=1_000_000, image_every=0)
MOST_EVALUATIONS = 1000

#: Sizes before the last, as shares of it, with the evaluations spent on each.
COARSE = ((0.25, 60),)

FAST = {"precision": "fast"}
LBFGS = {"name": "lbfgs", "stream": "evaluation"}
LONG_RUN = {**LBFGS, "segments": 1, "evaluations": MOST_EVALUATIONS}
SEGMENTS = {**LBFGS, "segments": MOST_EVALUATIONS // 20, "evaluations": 20}


@dataclass(frozen=True)
class Reached:
    """What one way took.

    Attributes:
        seconds: of everything but the weights.
        evaluations: of loss and gradient at the last size; None: the loss was never reached.
        loss: total at the end, by the exact step.
    """

    seconds: float
    evaluations: int | None
    loss: float


class Problem:
    """A content and a style picture, and the weights."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = dict(settings)
        plan = self.plan()
        self.shape = plan.content.shape
        self._weights: VggWeights = load(plan.weights, read_pictures(plan).for_weights)

    def plan(self, **settings: Any) -> Plan:
        return make_plan(make_job({**self._settings, **settings}))

    def ways(self) -> dict[str, Plan]:
        """Plans by name; each goes on until the loss is reached."""
        height, width = self.shape
        coarse = [
            {
                "size": [round(height * share), round(width * share)],
                "optimizer": {**LBFGS, "segments": 1, "evaluations": evaluations},
            }
            for share, evaluations in COARSE
        ]
        sizes = [*coarse, {"size": [height, width], "optimizer": LONG_RUN}]
        from_coarse = {"size": None, "sizes": sizes}
        return {
            "L-BFGS in segments of 20, exact": self.plan(optimizer=SEGMENTS),
            "L-BFGS in one run, exact": self.plan(optimizer=LONG_RUN),
            "L-BFGS in one run, fast": self.plan(optimizer=LONG_RUN, session=FAST),
            "coarse to fine, exact": self.plan(**from_coarse),
            "coarse to fine, fast": self.plan(**from_coarse, session=FAST),
        }

    def reference(self) -> Reached:
        """200 steps of Adam by the exact step."""
        started = time.perf_counter()
        plan = self.plan()
        with self._engine(plan, self._ingredients(plan, None)) as engine:
            *_, last = engine.optimise(plan.job.optimizer, LAST)
            loss = last.losses["total"]
        return Reached(time.perf_counter() - started, plan.job.optimizer.budget, loss)

    def reach(self, loss: float, plan: Plan) -> Reached:
        """Follow a plan until the total is no larger than ``loss``."""
        started = time.perf_counter()
        image = None
        *coarse, finest = plan.stages
        for stage in coarse:
            with self._engine(stage, self._ingredients(stage, image)) as engine:
                *_, last = engine.optimise(stage.job.optimizer, LAST)
                image = last.fetch_image()
        with self._engine(finest, self._ingredients(finest, image)) as engine:
            for step in engine.optimise(finest.job.optimizer, EVERY):
                if step.evaluations is not None and step.losses["total"] <= loss:
                    seconds, image = time.perf_counter() - started, step.fetch_image()
                    return Reached(seconds, step.evaluations, self._exact_loss(image))
                image = step.fetch_image() if step.final else image
        assert image is not None
        return Reached(time.perf_counter() - started, None, self._exact_loss(image))

    def _ingredients(self, stage: Plan, image: FloatArray | None) -> Ingredients:
        config = session_config(stage.job.session)
        made = ingredients_of(stage, read_pictures(stage), self._weights, config)
        if image is None:
            return made
        return replace(made, initial=resized(image, *stage.content.shape))

    @contextmanager
    def _engine(self, stage: Plan, ingredients: Ingredients) -> Iterator[Engine]:
        with open_engine(stage.job.engine, ingredients, stage.job.session) as engine:
            yield engine

    def _exact_loss(self, image: FloatArray) -> float:
        plan = self.plan()
        with self._engine(plan, self._ingredients(plan, image)) as engine:
            step = next(iter(engine.optimise(plan.job.optimizer, BEFORE)))
        return step.losses["total"]


@contextmanager
def empty_cache() -> Iterator[None]:
    """No way finds the targets that another has computed."""
    before = os.environ.get(CACHE_VARIABLE)
    with tempfile.TemporaryDirectory(prefix="nst_graph_bench_") as folder:
        os.environ[CACHE_VARIABLE] = folder
        try:
            yield
        finally:
            os.environ.pop(CACHE_VARIABLE)
            if before is not None:
                os.environ[CACHE_VARIABLE] = before


def measure(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What every way took, beside the reference: also printed as it comes."""
    problem = Problem(settings)
    height, width = problem.shape
    with empty_cache():
        reference = problem.reference()
    name = f"Adam, {reference.evaluations} steps, exact"
    found = {name: reference}
    print(f"{width}x{height}, loss of {name}: {reference.loss:.6g} in {reference.seconds:.1f} s")
    print("ratio of its seconds; seconds; evaluations at the last size; loss by the exact step")
    for name, plan in problem.ways().items():
        with empty_cache():
            found[name] = reached = problem.reach(reference.loss, plan)
        print(
            f"  {reached.seconds / reference.seconds:6.3f}  {reached.seconds:7.1f} s"
            f"  {reached.evaluations or 'never':>5}  {reached.loss:.6g}  {name}",
            flush=True,
        )
    return {
        "size": f"{height}x{width}",
        "ways": {
            name: {
                "ratio": round(reached.seconds / reference.seconds, 4),
                "seconds": round(reached.seconds, 2),
                "evaluations": reached.evaluations,
                "loss": reached.loss,
            }
            for name, reached in found.items()
        },
    }


def settings_of(content: str | None, style: str | None, weights: str | None) -> dict[str, Any]:
    """The job: the Coursera recipe on these pictures, by default the embedded ones at 192."""
    settings: dict[str, Any] = {
        "recipe": "coursera",
        "content": content or "embedded:landscape",
        "style": style or "embedded:painting",
        "output": "unused",
        "weights": {"path": weights},
    }
    return settings if content else {**settings, "size": 192}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("content", nargs="?")
    parser.add_argument("style", nargs="?")
    parser.add_argument("--weights", help="a .mat or .h5 file; by default what is in pretrained/")
    arguments = parser.parse_args()
    measure(settings_of(arguments.content, arguments.style, arguments.weights))


if __name__ == "__main__":
    main()
