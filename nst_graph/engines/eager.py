"""The eager engines: the articles' way, and the same step under ``tf.function``.

A Keras model returns the named activations, a ``GradientTape`` the gradient, and a Keras optimiser
applies it. ``EagerEngine`` calls that step as it is, ``FunctionEngine`` traces it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_graph.config import (
    AdamSettings,
    LbfgsSettings,
    LogSettings,
    OptimizerSettings,
    SessionSettings,
    SgdSettings,
)
from nst_graph.engines.base import Engine, Ingredients
from nst_graph.engines.keras_model import keras_vgg19
from nst_graph.engines.keras_optimizers import keras_optimizer
from nst_graph.errors import DeviceError
from nst_graph.objective import held_targets, loss_terms
from nst_graph.optimizers.session_loop import clip_bounds
from nst_graph.optimizers.update_loop import Updater, update_loop
from nst_graph.problem import as_floats
from nst_graph.session import choose_device, make_deterministic, use_tf32
from nst_graph.types import FloatArray, OptimizerState, Step

Terms = dict[str, tf.Tensor]


class EagerEngine(Engine):
    """Every operation is called from Python, in every step.

    Args:
        ingredients: what to optimise.
        settings: device; threads are of the whole process in eager mode and can be set only before
            TensorFlow has begun to compute.

    Raises:
        DeviceError: eager execution is switched off, the device is not there, or the threads
            cannot be had any more.
    """

    def __init__(self, ingredients: Ingredients, settings: SessionSettings) -> None:
        begin_eager_mode(settings.threads)
        make_deterministic(settings)
        use_tf32(settings)
        self._place = f"/{choose_device(settings.device).upper()}:0"
        self._objective = ingredients.objective
        self._updater: TapeUpdater | None = None
        _, height, width, _ = ingredients.initial.shape
        with self.device():
            self.image = tf.Variable(ingredients.initial, name="image")
            self._model = keras_vgg19(ingredients.weights, self._objective, height, width)
            self._targets = held_targets(
                ingredients.targets, self._objective, lambda name, value: tf.constant(value)
            )
        self._evaluate = self.compiled(self._terms_and_gradient)

    def compiled(self, function: Callable[..., Any]) -> Any:
        """What this engine makes of a function of tensors: itself."""
        return function

    def device(self) -> AbstractContextManager[object]:
        """Scope of the operations; entered anew in every call, for a caller may use others."""
        scope: AbstractContextManager[object] = tf.device(self._place)
        return scope

    def terms(self, pixels: tf.Tensor) -> Terms:
        """The named losses of an image, as tensors."""
        return loss_terms(pixels, self._model(pixels), self._targets, self._objective)

    def clip_bounds(self, clip: str) -> tuple[Any, Any]:
        """As of ``session_loop``, for the channel order of the image."""
        return clip_bounds(clip, self._objective.network.channel_order)

    def close(self) -> None:
        del self._model, self._targets, self._evaluate, self._updater

    def optimise(
        self, settings: OptimizerSettings, log: LogSettings, state: OptimizerState | None = None
    ) -> Iterator[Step]:
        if isinstance(settings, LbfgsSettings):
            # SciPy is for those who use it.
            from nst_graph.optimizers.evaluator import Evaluator
            from nst_graph.optimizers.lbfgs import minimise_in_segments

            evaluator = Evaluator(self.loss_and_gradient, self.image.shape.as_list())
            return minimise_in_segments(evaluator, self.image.numpy(), settings, log, state)
        return update_loop(self.updater(settings), settings, log, state)

    def updater(self, settings: AdamSettings | SgdSettings) -> Updater:
        self._updater = TapeUpdater(self, settings)
        return self._updater

    def loss_and_gradient(self, image: FloatArray) -> tuple[dict[str, float], FloatArray]:
        with self.device():
            terms, gradient = self._evaluate(tf.constant(image))
        return as_floats(terms), gradient.numpy()

    @property
    def graph(self) -> Any:
        return None

    def _terms_and_gradient(self, pixels: tf.Tensor) -> tuple[Terms, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            terms = self.terms(pixels)
        return terms, tape.gradient(terms["total"], pixels)


class TapeUpdater:
    """A step of the articles: tape, gradient, ``apply_gradients``, clip."""

    def __init__(self, engine: EagerEngine, settings: AdamSettings | SgdSettings) -> None:
        self._engine = engine
        self._bounds = None if settings.clip is None else engine.clip_bounds(settings.clip)
        with engine.device():
            self._optimizer = keras_optimizer(settings, engine.image)
        own = {variable.name: variable for variable in self._optimizer.variables}
        self._variables = {"image": engine.image, **own}
        self.step = engine.compiled(self._tape_step)
        self._read = engine.compiled(self._read_terms)

    def update(self) -> None:
        with self._engine.device():
            self.step()

    def update_and_read(self) -> dict[str, float]:
        with self._engine.device():
            return as_floats(self.step())

    def read_losses(self) -> dict[str, float]:
        with self._engine.device():
            return as_floats(self._read())

    def read_image(self) -> FloatArray:
        image: FloatArray = self._engine.image.numpy()
        return image

    def read_variables(self) -> dict[str, npt.NDArray[Any]]:
        return {name: np.asarray(variable.numpy()) for name, variable in self._variables.items()}

    def restore_variables(self, values: Mapping[str, npt.NDArray[Any]]) -> None:
        for name, variable in self._variables.items():
            variable.assign(values[name])

    def _tape_step(self) -> Terms:
        image = self._engine.image
        with tf.GradientTape() as tape:
            terms = self._engine.terms(image.read_value())
        gradient = tape.gradient(terms["total"], image)
        with tf.name_scope("optimizer"):
            # There is one replica; Keras's sum over them would keep a tf.function's graph alive.
            self._optimizer.apply_gradients([(gradient, image)], skip_gradients_aggregation=True)
            if self._bounds is not None:
                image.assign(tf.clip_by_value(image, *self._bounds))
        return terms

    def _read_terms(self) -> Terms:
        return self._engine.terms(self._engine.image.read_value())


def begin_eager_mode(threads: int) -> None:
    """Start eager mode in this process, or see that it has been started in the same way.

    Args:
        threads: for an operation, and for operations side by side; 0 leaves them as they are.

    Raises:
        DeviceError: eager execution is switched off, or was begun with another number.
    """
    if not tf.executing_eagerly():
        raise DeviceError(
            "eager execution is switched off here, by disable_eager_execution() or a default graph",
            remedy="open the engine outside of it, or use engine: graph",
        )
    if threads:
        _set_threads(threads)
    tf.constant(0)  # whatever is first starts it


def _set_threads(threads: int) -> None:
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        current = tf.config.threading.get_intra_op_parallelism_threads()
        raise DeviceError(
            f"session.threads is {threads}, but eager mode has begun in this process with "
            f"{current or 'as many as TensorFlow likes'}",
            remedy="give the eager jobs of one process the same number, or use engine: graph, "
            "whose sessions have their own",
        ) from None
