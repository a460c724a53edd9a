"""The eager step under ``tf.function``: Python runs once, to trace it into a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from nst_graph.config import SessionSettings
from nst_graph.engines.base import Ingredients
from nst_graph.engines.eager import EagerEngine


class FunctionEngine(EagerEngine):
    """``EagerEngine`` with each of its functions traced, and compiled by XLA where asked for."""

    def __init__(self, ingredients: Ingredients, settings: SessionSettings) -> None:
        self._jit_compile = settings.jit_compile
        super().__init__(ingredients, settings)

    def compiled(self, function: Callable[..., Any]) -> Any:
        """The ``tf.function`` of it; traced when it is first called."""

        # A new function for each engine. TensorFlow counts tracings by function, and would warn of
        # frequent retracing when a process opens its fifth engine, which traces once like the rest.
        def traced(*arguments: Any) -> Any:
            return function(*arguments)

        # False would switch off a compilation that the user's environment asks for; None does not.
        return tf.function(traced, autograph=False, jit_compile=self._jit_compile or None)

    @property
    def graph(self) -> Any:
        with self.device():
            if self._updater is not None:
                return self._updater.step.get_concrete_function().graph
            image = tf.TensorSpec(self.image.shape, self.image.dtype)
            return self._evaluate.get_concrete_function(image).graph
