"""The loop of the optimisers that live in the graph: one session run for each image update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from nst_graph.config import AdamSettings, LogSettings, SgdSettings
from nst_graph.optimizers.finite import check_finite
from nst_graph.preprocess import channel_means
from nst_graph.problem import Problem, as_floats
from nst_graph.types import BestImage, ChannelOrder, Step

tf1 = tf.compat.v1

_REMEDY = "lower optimizer.learning_rate or the loss weights"


def session_loop(
    problem: Problem,
    build_update: Callable[[], tf.Operation],
    settings: AdamSettings | SgdSettings,
    log: LogSettings,
) -> Iterator[Step]:
    """Minimise the problem's total loss; one Step for each update.

    Losses are read on iterations that are multiples of ``log.losses_every`` and on the last one:
    before the update in the very run that makes it, or after it in a run of their own, as
    ``log.read_losses`` says.

    Args:
        problem: not started yet.
        build_update: adds the op that applies ``problem.gradient`` to ``problem.image``.
        settings: number of steps, clipping, and which image to keep.
        log: when to read losses.

    Raises:
        DivergedError: a loss that was read is NaN or infinite.
    """
    with problem.graph.as_default(), tf1.name_scope("optimizer"):
        update = _clipped(build_update(), problem, settings.clip)
    problem.start()
    run = problem.session.make_callable(update)
    run_and_read = problem.session.make_callable((update, problem.terms))
    before, keep_best = log.read_losses == "before_update", settings.keep == "best"
    best: BestImage | None = None
    for done in range(settings.steps):
        iteration, final = done + log.first_iteration, done + 1 == settings.steps
        logged = final or iteration % log.losses_every == 0
        losses: dict[str, float] = {}
        if keep_best or (logged and before):
            losses = as_floats(run_and_read()[1])
            check_finite(losses, f"iteration {iteration}", _REMEDY)
        else:
            run()
        if keep_best:
            best = _better(best, iteration, losses["total"], problem)
        if logged and not before:
            losses = problem.read_losses()
            check_finite(losses, f"iteration {iteration}", _REMEDY)
        yield Step(
            iteration=iteration,
            updates=done + 1,
            losses=losses if logged else {},
            losses_at=done if before else done + 1,
            fetch_image=problem.read_image,
            final=final,
            best=best,
        )


def _better(best: BestImage | None, iteration: int, loss: float, problem: Problem) -> BestImage:
    """The best-image rule, as the eager tutorial's loop has it.

    The loss compared is that of the image before the update, the image kept is the one after it.
    """
    if best is not None and best.loss <= loss:
        return best
    return BestImage(iteration, loss, problem.read_image())


def clip_bounds(clip: str, order: ChannelOrder) -> tuple[Any, Any]:
    """Lowest and highest values that clipping leaves, each a number or one for each channel.

    Args:
        clip: "pixels": [-mean, 255 - mean], what pixels of 0..255 become (``tf_eager``);
            "preprocessed": [0, 255] with the mean already subtracted, which cuts every pixel below
            the mean (``tf2_blog``).
        order: of the image's channels.
    """
    if clip == "pixels":
        means = channel_means(order)
        return -means, 255 - means
    return 0.0, 255.0


def _clipped(update: tf.Operation, problem: Problem, clip: str | None) -> tf.Operation:
    if clip is None:
        return update
    low, high = clip_bounds(clip, problem.channel_order)
    with tf.control_dependencies([update]):
        # A read of its own, made after the update: the one that the network uses came before it.
        updated = problem.image.read_value()
    return problem.image.assign(tf.clip_by_value(updated, low, high), read_value=False)
