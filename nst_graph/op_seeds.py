"""Random ops seeded as TensorFlow 1 seeded them: by the graph's op counter.

A random op has two seeds: that of the graph (``tf.set_random_seed``) and its own. Where its own
was not given, TensorFlow 1 took the number of ops that the graph held at that moment. In
TensorFlow 2, ``compat.v1`` counts the graph's random ops from 0 instead, so that the same lines
draw other numbers (docs/op_seeds.md). Only public ops are used here: the seed is given, not
patched in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import tensorflow as tf


class Tf1Random:
    """Random ops of one graph. Each makes the ops that TensorFlow 1 made, in its order.

    The numbers drawn depend on *every* op in the graph so far, as they did in TensorFlow 1. They
    equal TensorFlow 1's as long as the ops made in between are as many as they were there.

    Args:
        graph: the graph to count ops of and to add ops to.
        seed: the graph's seed, 0..2**31 - 1.
    """

    def __init__(self, graph: tf.Graph, seed: int) -> None:
        self._graph = graph
        self._seed = seed

    def normal(self, shape: Sequence[int], mean: float = 0.0, stddev: float = 1.0) -> tf.Tensor:
        """``tf.random_normal(shape, mean, stddev)`` of TensorFlow 1, float32."""
        dimensions = tf.constant(shape)
        center, scale = tf.constant(mean, tf.float32), tf.constant(stddev, tf.float32)
        draws = tf.raw_ops.RandomStandardNormal(
            shape=dimensions, dtype=tf.float32, seed=self._seed, seed2=self._op_seed()
        )
        return tf.add(tf.multiply(draws, scale), center)

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> tf.Tensor:
        """``tf.random_uniform(shape, low, high)`` of TensorFlow 1, float32 in [low, high)."""
        dimensions, low_end, high_end = (
            tf.constant(shape),
            tf.constant(low, tf.float32),
            tf.constant(high, tf.float32),
        )
        draws = tf.raw_ops.RandomUniform(
            shape=dimensions, dtype=tf.float32, seed=self._seed, seed2=self._op_seed()
        )
        width = tf.subtract(high_end, low_end)
        return tf.add(tf.multiply(draws, width), low_end)

    def _op_seed(self) -> int:
        """What TensorFlow 1 called ``graph._last_id``: the number of ops made so far."""
        return len(self._graph.get_operations())


@contextmanager
def tf1_op_seeds(seed: int) -> Iterator[Tf1Random]:
    """A new graph, made the default, whose random ops are numbered as TensorFlow 1 numbered them.

    It stands for these lines of 2017::

        tf.reset_default_graph()
        with tf.Session() as session:
            tf.set_random_seed(seed)
            a = tf.random_normal([1, 4, 4, 3], mean=1, stddev=4)   # op seed 3
            b = tf.random_normal([1, 4, 4, 3], mean=1, stddev=4)   # op seed 9

    which become::

        with tf1_op_seeds(seed) as random, tf.compat.v1.Session() as session:
            a = random.normal([1, 4, 4, 3], mean=1, stddev=4)
            b = random.normal([1, 4, 4, 3], mean=1, stddev=4)

    Args:
        seed: what the notebook gave to ``tf.set_random_seed``, 0..2**31 - 1.

    Yields:
        The random ops.

    Raises:
        ValueError: ``seed`` is out of range.
    """
    if not 0 <= seed < 2**31:
        raise ValueError(f"graph seed {seed} is not in 0..2**31 - 1")
    with tf.Graph().as_default() as graph:
        yield Tf1Random(graph, seed)
