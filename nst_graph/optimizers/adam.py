"""Adam in a session loop: TensorFlow 1's AdamOptimizer on the image variable."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from nst_graph.config import AdamSettings, LogSettings
from nst_graph.optimizers.session_loop import session_loop
from nst_graph.problem import Problem
from nst_graph.types import OptimizerState, Step

tf1 = tf.compat.v1


def adam(
    problem: Problem,
    settings: AdamSettings,
    log: LogSettings,
    state: OptimizerState | None = None,
) -> Iterator[Step]:
    """Minimise the problem's total loss by Adam; Steps as of ``session_loop``.

    Raises:
        DivergedError: a loss that was read is NaN or infinite.
    """
    return session_loop(problem, add_adam, settings, log, state)


def add_adam(problem: Problem, settings: AdamSettings) -> tf.Operation:
    """Add the op that makes one step of Adam to the problem's graph.

    Kingma & Ba, arXiv:1412.6980, in the form of TensorFlow 1 (their "epsilon hat"):
    ``x -= lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon)``.
    Keras's Adam is the same rule with another default, epsilon = 1e-7.
    """
    optimizer = tf1.train.AdamOptimizer(
        settings.learning_rate, settings.beta1, settings.beta2, settings.epsilon
    )
    return optimizer.apply_gradients([(problem.gradient, problem.image)])
