"""L-BFGS: SciPy's L-BFGS-B around a function of the image, in segments.

A segment is one call of SciPy, begun with an empty memory, as each round of the Keras example is.
What goes from one segment to the next is the image alone (SciPy has no way to hand on the memory).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import numpy as np
from scipy.optimize import fmin_l_bfgs_b, minimize
from threadpoolctl import threadpool_limits

from nst_graph.config import LbfgsSettings, LogSettings
from nst_graph.errors import DivergedError
from nst_graph.optimizers.evaluator import (
    ClassicEvaluator,
    Evaluator,
    Vector,
    problem_evaluator,
)
from nst_graph.optimizers.lockstep import lockstep
from nst_graph.problem import Problem
from nst_graph.types import EndStatus, FloatArray, OptimizerState, Step


def lbfgs(
    problem: Problem,
    settings: LbfgsSettings,
    log: LogSettings,
    state: OptimizerState | None = None,
) -> Iterator[Step]:
    """Minimise the problem's total loss through a Keras backend function.

    Steps as of ``minimise_in_segments``. The image variable keeps the initial image.

    Args:
        problem: not started yet.
        settings: segments, evaluations, tolerances.
        log: an iteration is a segment, or an evaluation if ``settings.stream`` says so.
        state: of an earlier optimisation that this one continues; None: from the beginning.

    Raises:
        DivergedError: a loss or the gradient is NaN or infinite.
    """
    evaluator = problem_evaluator(problem)
    problem.start()
    yield from minimise_in_segments(evaluator, problem.read_image(), settings, log, state)


def minimise_in_segments(
    evaluator: Evaluator,
    start: FloatArray,
    settings: LbfgsSettings,
    log: LogSettings,
    state: OptimizerState | None = None,
) -> Iterator[Step]:
    """Minimise the total loss; one Step for each segment, or for each evaluation.

    Counts are of function evaluations: calls that give the loss and the gradient. SciPy looks at
    the limit between iterations, so that a segment of 20 makes 21 or a few more.

    Every segment restarts where the one before it ended, however that was: the limit, convergence
    or an abnormal line search, which an empty memory can cure. A segment that leaves the image
    where it was ends the run, for the next one would repeat it.

    A segment works on float64 values and hands on the image that the network saw, which is float32
    (the Keras example keeps the bits below that): a Step's image is all that the next one needs,
    and an optimisation can be taken up again wherever a segment begins.

    Args:
        evaluator: not asked yet.
        start: initial image, float32 [1, height, width, 3].
        settings: segments, evaluations, tolerances.
        log: an iteration is a segment, or an evaluation if ``settings.stream`` says so.
        state: of an earlier optimisation that this one continues, to the bit, in place of
            ``start``; None: from the beginning.

    Raises:
        DivergedError: a loss or the gradient is NaN or infinite; the last Step before it has the
            last image accepted.
    """
    if state is None:
        state = OptimizerState(log.first_iteration, 0, {"image": start}, evaluations=0)
    evaluator.updates, evaluator.evaluations = state.updates, state.evaluations or 0
    if settings.stream == "segment":
        yield from _segments(evaluator, state, settings, log)
        return

    def work(emit: Callable[[Step], None]) -> None:
        def emit_evaluation() -> None:
            if evaluator.terms:
                emit(_evaluation_step(evaluator, log))

        evaluator.listener = emit_evaluation
        for step in _segments(evaluator, state, settings, log):
            # It stands for the segment's last evaluation too.
            evaluator.terms = {}
            emit(step)

    yield from lockstep(work)


def _segments(
    evaluator: Evaluator, state: OptimizerState, settings: LbfgsSettings, log: LogSettings
) -> Iterator[Step]:
    minimise = _FORMS[settings.form]
    image: FloatArray = state.variables["image"]
    for segment in range(state.segments, settings.segments):
        evaluator.begin_segment()
        failure: DivergedError | None = None
        try:
            with one_blas_thread():
                message = minimise(evaluator, image.astype(np.float64).reshape(-1), settings)
        except DivergedError as error:
            if not evaluator.accepted_terms:
                raise
            failure, message = error, error.what
        first, image = image, evaluator.accepted_image()
        stands_still = np.array_equal(image, first)
        final = failure is not None or stands_still or segment + 1 == settings.segments
        count = segment if settings.stream == "segment" else evaluator.evaluations - 1
        after = OptimizerState(
            next_iteration=count + log.first_iteration + 1,
            updates=evaluator.updates,
            variables={"image": image},
            evaluations=evaluator.evaluations,
            segments=segment + 1,
        )
        yield _segment_step(evaluator, after, message, log, final=final)
        if failure is not None:
            raise failure
        if final:
            return


def one_blas_thread() -> AbstractContextManager[object]:
    """Limit BLAS to one thread, as long as SciPy works.

    Its operations are sums and products of long vectors, bound by memory: at 3x300x400 variables
    an evaluation spent 32-38 ms in SciPy with one thread and 72-192 ms with two. TensorFlow has
    threads of its own.
    """
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def named_status(message: str) -> EndStatus:
    """Name of one of L-BFGS-B's termination messages, whose wording differs between versions.

    What is none of them, such as the message of a ``DivergedError``, is an "error".
    """
    text = message.upper()
    if "ABNORMAL" in text:
        return "abnormal_line_search"
    if text.startswith("CONVERGENCE"):
        return "converged"
    if text.startswith("STOP"):
        return "limit" if "LIMIT" in text else "stopped"
    return "error"


def minimise_in_one_call(evaluator: Evaluator, x: Vector, settings: LbfgsSettings) -> str:
    """A segment by ``minimize(jac=True)``, which gets loss and gradient together.

    Args:
        evaluator: keeps the last iterate, which is the result.
        x: where to start, flat float64.
        settings: limits and tolerances.

    Returns:
        SciPy's termination message.
    """
    result = minimize(
        evaluator.loss_and_gradient,
        x,
        jac=True,
        method="L-BFGS-B",
        callback=evaluator.accept,
        options={
            "maxfun": settings.evaluations,
            "maxiter": settings.evaluations,
            "maxcor": settings.memory,
            "ftol": settings.loss_tolerance,
            "gtol": settings.gradient_tolerance,
        },
    )
    return str(result.message)


def minimise_classic(evaluator: Evaluator, x: Vector, settings: LbfgsSettings) -> str:
    """The same by ``fmin_l_bfgs_b(func, fprime)``, which asks for them one by one."""
    classic = ClassicEvaluator(evaluator)
    _, _, facts = fmin_l_bfgs_b(
        classic.loss,
        x,
        fprime=classic.gradient,
        m=settings.memory,
        factr=settings.loss_tolerance / np.finfo(np.float64).eps,
        pgtol=settings.gradient_tolerance,
        maxfun=settings.evaluations,
        maxiter=settings.evaluations,
        callback=evaluator.accept,
    )
    return str(facts["task"])


_FORMS: dict[str, Callable[[Evaluator, Vector, LbfgsSettings], str]] = {
    "one_call": minimise_in_one_call,
    "classic": minimise_classic,
}


def _segment_step(
    evaluator: Evaluator, after: OptimizerState, message: str, log: LogSettings, *, final: bool
) -> Step:
    """What a segment ends with: the image accepted last, not a probe of its line search."""
    iteration = after.next_iteration - 1
    logged = final or iteration % log.losses_every == 0
    return Step(
        iteration=iteration,
        updates=evaluator.updates,
        losses=evaluator.accepted_terms if logged else {},
        losses_at=evaluator.updates,
        fetch_image=evaluator.accepted_image,
        fetch_state=lambda: after,
        final=final,
        evaluations=evaluator.evaluations,
        status=named_status(message),
        message=message,
    )


def _evaluation_step(evaluator: Evaluator, log: LogSettings) -> Step:
    iteration = evaluator.evaluations - 1 + log.first_iteration
    return Step(
        iteration=iteration,
        updates=evaluator.updates,
        losses=evaluator.terms if iteration % log.losses_every == 0 else {},
        losses_at=evaluator.updates,
        fetch_image=evaluator.evaluated_image,
        fetch_state=None,
        evaluations=evaluator.evaluations,
    )
