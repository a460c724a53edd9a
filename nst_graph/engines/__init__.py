"""One problem, three ways to run it: ``ENGINES`` is the table that names them.

``graph`` is TensorFlow 1's way, a session on a graph; ``eager`` is that of the TF2 articles;
``function`` is the eager step traced by ``tf.function``. Recipe, losses, preprocessing, initial
image, kernels and targets are the same, and so, to rounding, are the losses of every step.
"""

from __future__ import annotations

from collections.abc import Callable

from nst_graph.config import SessionSettings
from nst_graph.engines.base import Engine, Ingredients


def _graph(ingredients: Ingredients, settings: SessionSettings) -> Engine:
    from nst_graph.engines.graph import GraphEngine

    return GraphEngine(ingredients, settings)


def _function(ingredients: Ingredients, settings: SessionSettings) -> Engine:
    # Keras takes seconds to import, which only the runs that use it should pay.
    from nst_graph.engines.function import FunctionEngine

    return FunctionEngine(ingredients, settings)


def _eager(ingredients: Ingredients, settings: SessionSettings) -> Engine:
    from nst_graph.engines.eager import EagerEngine

    return EagerEngine(ingredients, settings)


ENGINES: dict[str, Callable[[Ingredients, SessionSettings], Engine]] = {
    "graph": _graph,
    "function": _function,
    "eager": _eager,
}


def open_engine(name: str, ingredients: Ingredients, settings: SessionSettings) -> Engine:
    """The engine of that name, its graph or model built; use it as a context manager.

    Raises:
        DeviceError: the device or the threads asked for cannot be had.
    """
    return ENGINES[name](ingredients, settings)


__all__ = ["ENGINES", "Engine", "Ingredients", "open_engine"]
