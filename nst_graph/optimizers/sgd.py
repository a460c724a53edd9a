"""Gradient descent with an exponentially decaying rate, in a session loop."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from nst_graph.config import LogSettings, SgdSettings
from nst_graph.optimizers.session_loop import session_loop
from nst_graph.problem import Problem
from nst_graph.types import OptimizerState, Step

tf1 = tf.compat.v1


def sgd(
    problem: Problem,
    settings: SgdSettings,
    log: LogSettings,
    state: OptimizerState | None = None,
) -> Iterator[Step]:
    """Minimise the problem's total loss by gradient descent; Steps as of ``session_loop``.

    Raises:
        DivergedError: a loss that was read is NaN or infinite.
    """
    return session_loop(problem, add_sgd, settings, log, state)


def add_sgd(problem: Problem, settings: SgdSettings) -> tf.Operation:
    """Add the op that makes one step of gradient descent to the problem's graph.

    ``x -= learning_rate * decay_rate^(t / decay_steps) * gradient``, t counting updates from 0 and
    the exponent not rounded: the Keras example's SGD(ExponentialDecay(100.0, 100, 0.96)).
    """
    updates = tf1.get_variable(
        "updates", shape=(), dtype=tf.int64, initializer=tf1.zeros_initializer(),
        trainable=False, use_resource=True,
    )  # fmt: skip
    rate = tf1.train.exponential_decay(
        settings.learning_rate, updates, settings.decay_steps, settings.decay_rate
    )
    optimizer = tf1.train.GradientDescentOptimizer(rate)
    return optimizer.apply_gradients([(problem.gradient, problem.image)], global_step=updates)
