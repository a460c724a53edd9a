"""Adam in a session loop: TensorFlow 1's AdamOptimizer on the image variable."""

from __future__ import annotations

import math
from collections.abc import Iterator

import tensorflow as tf

from nst_graph.config import AdamSettings, LogSettings
from nst_graph.errors import DivergedError
from nst_graph.problem import Problem, as_floats
from nst_graph.types import Step

tf1 = tf.compat.v1


def adam(problem: Problem, settings: AdamSettings, log: LogSettings) -> Iterator[Step]:
    """Minimise the problem's total loss; one Step for each update.

    Kingma & Ba, arXiv:1412.6980, in the form of TensorFlow 1 (their "epsilon hat"):
    ``x -= lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon)``.

    Losses are read on iterations that are multiples of ``log.losses_every`` and on the last one:
    before the update in the very run that makes it, or after it in a run of their own, as
    ``log.read_losses`` says.

    Raises:
        DivergedError: a loss that was read is NaN or infinite.
    """
    with problem.graph.as_default(), tf1.name_scope("optimizer"):
        optimizer = tf1.train.AdamOptimizer(
            settings.learning_rate, settings.beta1, settings.beta2, settings.epsilon
        )
        train = optimizer.apply_gradients([(problem.gradient, problem.image)])
    problem.start()
    update = problem.session.make_callable(train)
    update_and_read = problem.session.make_callable((train, problem.terms))
    before = log.read_losses == "before_update"
    for done in range(settings.steps):
        iteration, final = done + log.first_iteration, done + 1 == settings.steps
        logged = final or iteration % log.losses_every == 0
        losses: dict[str, float] = {}
        if logged and before:
            losses = as_floats(update_and_read()[1])
        else:
            update()
        if logged and not before:
            losses = problem.read_losses()
        check_finite(losses, iteration)
        yield Step(
            iteration=iteration,
            updates=done + 1,
            losses=losses,
            losses_at=done if before else done + 1,
            fetch_image=problem.read_image,
            final=final,
        )


def check_finite(losses: dict[str, float], iteration: int) -> None:
    """Raise DivergedError naming the first term that is NaN or infinite."""
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        # "total" comes first in the mapping, but it is never the cause.
        name = next((name for name in bad if "/" in name or name == "total_variation"), bad[0])
        raise DivergedError(
            f"loss {name} is {losses[name]} at iteration {iteration}",
            remedy="lower optimizer.learning_rate or the loss weights; the last good picture "
            "was kept",
        )
