"""Loss and gradient for an optimiser outside the graph, through a Keras backend function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nst_graph.errors import DivergedError
from nst_graph.optimizers.finite import check_finite
from nst_graph.problem import Problem
from nst_graph.types import FloatArray

#: Named losses and the gradient of their total at an image: float32 [1, height, width, 3].
LossAndGradient = Callable[[FloatArray], tuple[dict[str, float], FloatArray]]

#: A flat image, float64 [height * width * 3], as SciPy wants it.
Vector = npt.NDArray[np.float64]

_REMEDY = "lower the loss weights"


def backend_function(inputs: list[Any], outputs: list[Any]) -> Callable[[list[Any]], list[Any]]:
    """``tf_keras.backend.function`` in the default graph; it runs in the default session.

    Keras 3 has no such function; tf_keras is Keras 2. Each of ``inputs`` must be a tensor that can
    be fed: values for a resource variable would be ignored without a word.
    """
    import tf_keras  # it takes seconds, which only the runs that use it should pay

    function: Callable[[list[Any]], list[Any]] = tf_keras.backend.function(inputs, outputs)
    return function


class BackendEvaluation:
    """A problem's terms and gradient from one session call, by a Keras backend function.

    Args:
        problem: not started yet; start it before the first call.

    Attributes:
        backend: the Keras backend function: [image] to [terms..., gradient].
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._names = list(problem.terms)
        with problem.graph.as_default():
            self.backend = backend_function(
                [problem.network_input], [*problem.terms.values(), problem.gradient]
            )

    def __call__(self, image: FloatArray) -> tuple[dict[str, float], FloatArray]:
        with self._problem.session.as_default():
            *values, gradient = self.backend([image])
        return dict(zip(self._names, map(float, values), strict=True)), gradient


class Evaluator:
    """Loss and gradient at a vector, as SciPy asks for them.

    The vectors fed and returned are made once: a gradient is valid until the next evaluation.

    Args:
        evaluate: of an engine.
        shape: of the image, [1, height, width, 3].

    Attributes:
        evaluate: as given.
        evaluations: made so far; each gives the loss and the gradient.
        updates: points accepted so far (iterations of L-BFGS).
        terms: named losses at the last point evaluated.
        accepted_terms: at the last point accepted; empty before the first.
        listener: called before a point gives way to the next one.
    """

    def __init__(self, evaluate: LossAndGradient, shape: Sequence[int]) -> None:
        self.evaluate = evaluate
        self._fed: FloatArray = np.empty(shape, np.float32)
        self._accepted: FloatArray = np.empty(shape, np.float32)
        self._gradient: Vector = np.empty(self._fed.size)
        self._accept_next = True
        self.evaluations = self.updates = 0
        self.terms: dict[str, float] = {}
        self.accepted_terms: dict[str, float] = {}
        self.listener: Callable[[], None] = lambda: None

    def loss_and_gradient(self, x: Vector) -> tuple[float, Vector]:
        """Total loss and its gradient at ``x``: the function of ``minimize(jac=True)``.

        Raises:
            DivergedError: one of them is NaN or infinite.
        """
        self.listener()
        np.copyto(self._fed, x.reshape(self._fed.shape), casting="same_kind")
        terms, gradient = self.evaluate(self._fed)
        self.evaluations += 1
        self._check(terms, gradient)
        self.terms = terms
        np.copyto(self._gradient, gradient.reshape(-1))
        if self._accept_next:
            self._keep()
        return terms["total"], self._gradient

    def begin_segment(self) -> None:
        """The next point evaluated is where a segment starts: it counts as accepted."""
        self._accept_next = True

    def accept(self, intermediate_result: object = None) -> None:
        """The last point evaluated is the new iterate: the callback of ``minimize``.

        SciPy looks for a parameter of this name; given the result it need not copy the vector.
        """
        self.updates += 1
        self._keep()

    def evaluated_image(self) -> FloatArray:
        """The last point evaluated, float32 [1, height, width, 3]."""
        return np.array(self._fed)

    def accepted_image(self) -> FloatArray:
        """The last point accepted, float32 [1, height, width, 3]."""
        return np.array(self._accepted)

    def _keep(self) -> None:
        np.copyto(self._accepted, self._fed)
        self.accepted_terms = self.terms
        self._accept_next = False

    def _check(self, terms: dict[str, float], gradient: FloatArray) -> None:
        when = f"evaluation {self.evaluations}"
        check_finite(terms, when, _REMEDY)
        if not np.isfinite(gradient).all():
            bad = int(gradient.size - np.count_nonzero(np.isfinite(gradient)))
            raise DivergedError(
                f"the gradient has {bad} values that are NaN or infinite at {when}, the losses "
                "being finite",
                remedy=_REMEDY,
            )


def problem_evaluator(problem: Problem) -> Evaluator:
    """The evaluator of a problem that was not started yet."""
    return Evaluator(BackendEvaluation(problem), problem.image.shape.as_list())


class ClassicEvaluator:
    """The same handed out one by one, as ``fmin_l_bfgs_b(func, fprime)`` asks for them.

    The Keras example's Evaluator: the gradient comes with the loss and is kept until it is asked
    for, so that the two cost one session call.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._last: tuple[Vector, Vector] | None = None

    def loss(self, x: Vector) -> float:
        """Total loss at ``x``."""
        loss, gradient = self._evaluator.loss_and_gradient(x)
        self._last = np.array(x), gradient
        return loss

    def gradient(self, x: Vector) -> Vector:
        """Gradient at the ``x`` whose loss was asked for last.

        Raises:
            RuntimeError: the loss was asked for at another point, or not at all.
        """
        if self._last is None or not np.array_equal(x, self._last[0]):
            raise RuntimeError("the gradient is asked for at a point whose loss was not")
        return self._last[1]
