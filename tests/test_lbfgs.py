"""L-BFGS: the Keras backend function, the evaluator's two forms, segments, and how they end."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import oracle
import pytest
import tensorflow as tf
from networks import real_weights
from PIL import Image
from problems import CONFIG, make_problem, network_images, objective_of, oracle_of, pixels
from scipy.optimize import fmin_l_bfgs_b, minimize
from threadpoolctl import threadpool_info

from nst_graph.artifacts import read_manifest
from nst_graph.config import LbfgsSettings, LogSettings
from nst_graph.errors import DivergedError
from nst_graph.images import read_picture
from nst_graph.jobs import make_job
from nst_graph.objective import Objective
from nst_graph.optimizers import optimise
from nst_graph.optimizers.evaluator import (
    ClassicEvaluator,
    Evaluator,
    backend_function,
    problem_evaluator,
)
from nst_graph.optimizers.lbfgs import named_status
from nst_graph.pipeline import run
from nst_graph.plan import make_plan
from nst_graph.preprocess import to_network
from nst_graph.problem import Problem
from nst_graph.recipes import RECIPES
from nst_graph.types import Step

pytestmark = pytest.mark.tensorflow

RECIPE = "keras_blog"
EVERY = LogSettings(losses_every=1, image_every=1)


def vector(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float64).reshape(-1)


def steps_of(problem: Problem, settings: LbfgsSettings, log: LogSettings = EVERY) -> list[Step]:
    with problem:
        return list(optimise(problem, settings, log))


# --- the backend function ---------------------------------------------------------------------


def test_two_different_feeds_give_two_different_losses() -> None:
    """Fed in place of a resource variable, an image would be ignored without a word."""
    first, second = (vector(image) for image in network_images(RECIPE)[1:])
    with make_problem(RECIPE) as problem:
        evaluator = problem_evaluator(problem)
        problem.start()
        losses, gradients = zip(
            *((loss, gradient.copy()) for loss, gradient in map(evaluator.loss_and_gradient,
                                                                (first, second, first))),
            strict=True,
        )  # fmt: skip
        np.testing.assert_array_equal(problem.read_image(), network_images(RECIPE)[0])
    assert losses[0] == losses[2]
    assert abs(losses[0] - losses[1]) > 0.01 * losses[0]
    np.testing.assert_array_equal(gradients[0], gradients[2])
    assert not np.allclose(gradients[0], gradients[1])


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_backend_function_session_run_and_oracle_agree(recipe: str) -> None:
    image = to_network(pixels(3), RECIPES[recipe].network.channel_order)
    with make_problem(recipe) as problem:
        evaluator = problem_evaluator(problem)
        problem.start()
        loss, gradient = evaluator.loss_and_gradient(vector(image))
        terms, from_run = problem.loss_and_gradient(image)
    assert evaluator.terms == terms
    np.testing.assert_array_equal(gradient, vector(from_run))
    expected, expected_gradient = oracle_of(recipe, image)
    assert loss == pytest.approx(expected["total"], rel=1e-5)
    for name, value in expected.items():
        assert terms[name] == pytest.approx(value, rel=1e-4, abs=1e-6 * expected["total"])
    scale = np.abs(expected_gradient).max()
    np.testing.assert_allclose(gradient, vector(expected_gradient), atol=1e-4 * scale)


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_gradient_against_central_differences(recipe: str) -> None:
    """Along random directions, the differences taken of the oracle's loss in float64."""
    generator = np.random.default_rng(0)
    # Noise, so that no two cells of a pooling tie and few ReLUs stand at their kink.
    image = generator.uniform(-120, 130, network_images(recipe)[0].shape)
    directions = [generator.standard_normal(image.shape) for _ in range(3)]
    slopes = oracle.central_differences(
        lambda at: oracle_of(recipe, at)[0]["total"], image, directions, step=1e-6
    )
    with make_problem(recipe) as problem:
        evaluator = problem_evaluator(problem)
        problem.start()
        _, gradient = evaluator.loss_and_gradient(vector(image))
    measured = [float(gradient @ vector(direction)) for direction in directions]
    norm = float(np.linalg.norm(gradient))
    np.testing.assert_allclose(measured, slopes, atol=1e-4 * norm)
    assert max(map(abs, measured)) > 0.1 * norm


def test_the_vectors_are_made_once() -> None:
    first, second = (vector(image) for image in network_images(RECIPE)[1:])
    with make_problem(RECIPE) as problem:
        evaluator = problem_evaluator(problem)
        problem.start()
        gradients = [evaluator.loss_and_gradient(x)[1] for x in (first, second)]
    assert gradients[0] is gradients[1]
    assert gradients[0].dtype == np.float64


def test_the_backend_function_runs_in_the_default_session() -> None:
    with tf.Graph().as_default():
        number = tf.compat.v1.placeholder(tf.float32, ())
        double = backend_function([number], [2 * number])
        with tf.compat.v1.Session(config=CONFIG):
            assert double([np.float32(4)]) == [8.0]


# --- the two forms ----------------------------------------------------------------------------


def reference_iterates(form: str, evaluations: int) -> tuple[np.ndarray, int]:
    """SciPy on a plain session.run with new arrays each time: nothing shared, nothing kept."""
    with make_problem(RECIPE) as problem:
        problem.start()
        shape = problem.read_image().shape

        def both(x: np.ndarray) -> tuple[float, np.ndarray]:
            terms, gradient = problem.loss_and_gradient(x.reshape(shape).astype(np.float32))
            return terms["total"], vector(gradient)

        start = vector(problem.read_image())
        if form == "one_call":
            options = {"maxfun": evaluations, "gtol": 0.0}
            found = minimize(both, start, jac=True, method="L-BFGS-B", options=options)
            return found.x, found.nfev
        x, _, facts = fmin_l_bfgs_b(
            lambda x: both(x)[0], start, fprime=lambda x: both(x)[1], maxfun=evaluations, pgtol=0.0
        )
        return x, facts["funcalls"]


def test_both_forms_give_the_same_iterates_as_a_plain_loop() -> None:
    images, counts = [], []
    for form in ("one_call", "classic"):
        with make_problem(RECIPE) as problem:
            settings = LbfgsSettings(segments=1, evaluations=30, form=form)
            (step,) = optimise(problem, settings, EVERY)
            images.append(vector(step.fetch_image()))
            counts.append(step.evaluations)
        x, evaluations = reference_iterates(form, 30)
        images.append(x.astype(np.float32).astype(np.float64))
        counts.append(evaluations)
    assert len(set(counts)) == 1
    for image in images[1:]:
        np.testing.assert_array_equal(image, images[0])


def test_the_classic_form_wants_the_gradient_where_the_loss_was() -> None:
    first, second = (vector(image) for image in network_images(RECIPE)[1:])
    with make_problem(RECIPE) as problem:
        evaluator = problem_evaluator(problem)
        classic = ClassicEvaluator(evaluator)
        problem.start()
        with pytest.raises(RuntimeError, match="whose loss was not"):
            classic.gradient(first)
        classic.loss(first)
        assert np.any(classic.gradient(first))
        with pytest.raises(RuntimeError, match="whose loss was not"):
            classic.gradient(second)
    assert evaluator.evaluations == 1


# --- segments ---------------------------------------------------------------------------------


def test_segments_count_function_evaluations_and_restart() -> None:
    settings = LbfgsSettings(segments=4, evaluations=6)
    steps = steps_of(make_problem(RECIPE), settings)
    assert [step.iteration for step in steps] == [0, 1, 2, 3]
    assert [step.final for step in steps] == [False, False, False, True]
    evaluations = [step.evaluations for step in steps]
    made = np.diff([0, *evaluations])
    # SciPy looks at the limit between iterations: 6 is passed by the line search in progress.
    assert all(7 <= count <= 6 + 20 for count in made)
    totals = [step.losses["total"] for step in steps]
    assert totals == sorted(totals, reverse=True)
    assert {step.status for step in steps} == {"limit"}
    assert all("LIMIT" in step.message for step in steps)
    long_run = steps_of(
        make_problem(RECIPE), LbfgsSettings(segments=1, evaluations=evaluations[-1] - 1)
    )
    assert len(long_run) == 1
    assert long_run[0].losses["total"] != pytest.approx(totals[-1], rel=1e-6)


def test_a_segment_depends_on_its_first_image_alone() -> None:
    """What resuming rests on: nothing but the image goes from one segment to the next."""
    settings = LbfgsSettings(segments=2, evaluations=5)
    with make_problem(RECIPE) as problem:
        images = [step.fetch_image() for step in optimise(problem, settings, EVERY)]
    _, content, style = network_images(RECIPE)
    again = make_problem(RECIPE, images=(images[0], content, style))
    with again:
        (step,) = optimise(again, LbfgsSettings(segments=1, evaluations=5), EVERY)
        np.testing.assert_array_equal(step.fetch_image(), images[1])


def test_losses_and_image_of_a_step_belong_together() -> None:
    with make_problem(RECIPE) as problem:
        for step in optimise(problem, LbfgsSettings(segments=3, evaluations=4), EVERY):
            terms, _ = problem.loss_and_gradient(step.fetch_image())
            assert step.losses == terms


def test_steps_for_every_evaluation_when_asked() -> None:
    settings = LbfgsSettings(segments=2, evaluations=5)
    by_segment = steps_of(make_problem(RECIPE), settings)
    with make_problem(RECIPE) as problem:
        steps = []
        streaming = settings.model_copy(update={"stream": "evaluation"})
        for step in optimise(problem, streaming, LogSettings(losses_every=2, image_every=0)):
            if step.losses:
                # The work stands still while a Step is looked at, so its session is free.
                terms, _ = problem.loss_and_gradient(step.fetch_image())
                assert step.losses == terms
            steps.append(step)
    count = by_segment[-1].evaluations
    assert [step.evaluations for step in steps] == list(range(1, count + 1))
    assert [step.iteration for step in steps] == list(range(count))
    assert [bool(step.losses) for step in steps[:-1]] == [i % 2 == 0 for i in range(count - 1)]
    ends = [step for step in steps if step.status]
    assert [step.evaluations for step in ends] == [step.evaluations for step in by_segment]
    assert steps[-1].final
    assert steps[-1].losses == by_segment[-1].losses


def test_one_blas_thread_while_scipy_works() -> None:
    def blas_threads() -> set[int]:
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    outside, inside = blas_threads(), []
    with make_problem(RECIPE) as problem:
        evaluated = Evaluator.loss_and_gradient

        def watched(self: Evaluator, x: np.ndarray) -> tuple[float, np.ndarray]:
            inside.append(blas_threads())
            return evaluated(self, x)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Evaluator, "loss_and_gradient", watched)
            for _ in optimise(problem, LbfgsSettings(segments=2, evaluations=2), EVERY):
                assert blas_threads() == outside
    assert len(inside) >= 6
    assert all(threads == {1} for threads in inside)


# --- how a segment ends -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("STOP: TOTAL NO. OF F,G EVALUATIONS EXCEEDS LIMIT", "limit"),
        ("STOP: TOTAL NO. of f AND g EVALUATIONS EXCEEDS LIMIT", "limit"),
        ("STOP: TOTAL NO. of ITERATIONS REACHED LIMIT", "limit"),
        ("CONVERGENCE: RELATIVE REDUCTION OF F <= FACTR*EPSMCH", "converged"),
        ("CONVERGENCE: NORM_OF_PROJECTED_GRADIENT_<=_PGTOL", "converged"),
        ("ABNORMAL: ", "abnormal_line_search"),
        ("ABNORMAL_TERMINATION_IN_LNSRCH", "abnormal_line_search"),
        ("STOP: CALLBACK REQUESTED HALT", "stopped"),
        ("ERROR: STP > STPMAX", "error"),
    ],
)
def test_scipys_messages_have_names(message: str, status: str) -> None:
    assert named_status(message) == status


def test_a_flat_loss_converges_at_once_and_ends_the_run() -> None:
    flat = objective_of(RECIPE, content_weight=0.0, style_weight=0.0, total_variation_weight=0.0)
    steps = steps_of(make_problem(RECIPE, objective=flat), LbfgsSettings(segments=5))
    assert [(step.status, step.final, step.evaluations) for step in steps] == [
        ("converged", True, 1)
    ]
    assert steps[0].losses["total"] == 0


def test_a_segment_that_leaves_the_image_where_it_was_ends_the_run() -> None:
    problem = make_problem(RECIPE)
    with problem.graph.as_default():
        # A loss that is greater each time it is looked at: no step is ever good enough.
        counter = tf.compat.v1.get_variable("counter", initializer=0.0, use_resource=True)
        problem.terms["total"] *= 1 + counter.assign_add(1.0)
    with problem:
        (step,) = optimise(problem, LbfgsSettings(segments=5, evaluations=50), EVERY)
        np.testing.assert_array_equal(step.fetch_image(), network_images(RECIPE)[0])
    assert step.final
    assert step.evaluations > 1


def test_an_abnormal_line_search_is_named_and_followed_by_a_restart() -> None:
    """A gradient that is wrong in one region: a segment fails there, and so does the next."""
    problem = make_problem(RECIPE)
    with problem.graph.as_default():
        start = oracle_of(RECIPE, network_images(RECIPE)[0])[0]["total"]
        falling = problem.terms["total"] < 0.5 * start
        problem.gradient = tf.where(falling, -problem.gradient, problem.gradient)
    steps = steps_of(problem, LbfgsSettings(segments=6, evaluations=60))
    assert len(steps) == 2
    assert steps[0].status == "abnormal_line_search"
    assert steps[0].updates > 0
    assert steps[1].evaluations > steps[0].evaluations + 1
    assert steps[1].losses == steps[0].losses


@pytest.mark.parametrize("stream", ["segment", "evaluation"])
@pytest.mark.parametrize("broken", ["style/relu3_1", "gradient"])
def test_nan_stops_the_run_and_hands_over_the_last_good_image(broken: str, stream: str) -> None:
    problem = make_problem(RECIPE)
    start = oracle_of(RECIPE, network_images(RECIPE)[0])[0]["total"]
    with problem.graph.as_default():
        nan = tf.where(problem.terms["total"] < 0.5 * start, math.nan, 0.0)
        if broken == "gradient":
            problem.gradient += nan
        else:
            problem.terms = {
                name: value + nan if name in ("total", "style", broken) else value
                for name, value in problem.terms.items()
            }
    seen: list[tuple[Step, np.ndarray]] = []
    named = "the gradient has" if broken == "gradient" else "loss style/relu3_1 is nan"
    settings = LbfgsSettings(segments=3, evaluations=40, stream=stream)
    with problem, pytest.raises(DivergedError, match=named):
        for step in optimise(problem, settings, EVERY):
            seen.append((step, step.fetch_image()))
    step, image = seen[-1]
    assert step.status == "error"
    assert named in step.message
    total = oracle_of(RECIPE, image)[0]["total"]
    assert 0.5 * start < total <= start
    assert step.losses["total"] == pytest.approx(total, rel=1e-5)


def test_metrics_and_manifest_tell_evaluations_and_status(tmp_path: Path) -> None:
    job = {
        "recipe": RECIPE,
        "content": "embedded:landscape",
        "style": "embedded:painting",
        "size": [32, None],
        "output": str(tmp_path / "run"),
        "weights": {"source": "random"},
        "optimizer": {"segments": 3, "evaluations": 4},
    }
    result = run(make_plan(make_job(job)))
    with (result.directory / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["limit"] * 3
    assert [int(row["evaluations"]) for row in rows] >= [5, 10, 15]
    manifest = read_manifest(result.directory)
    assert manifest is not None
    assert manifest["optimizer"] == {
        "updates": int(rows[-1]["updates"]),
        "evaluations": int(rows[-1]["evaluations"]),
        "segments_by_status": {"limit": 3},
        "status": "limit",
        "message": manifest["optimizer"]["message"],
    }
    assert "LIMIT" in manifest["optimizer"]["message"]


# --- real kernels -----------------------------------------------------------------------------

#: The recipe's layers as far as the real kernels reach.
REAL_LAYERS = Objective(
    RECIPES[RECIPE].network,
    {"relu3_4": 1.0},
    {"relu1_1": 1 / 3, "relu2_1": 1 / 3, "relu3_1": 1 / 3},
    RECIPES[RECIPE].losses,
)


def run_on_the_books_pictures(
    reference: Path, shape: tuple[int, int], segments: int
) -> tuple[float, list[Step]]:
    """Loss of the content image, and the Steps; real kernels, both pictures at ``shape``."""
    pictures = []
    for name in ("portrait.png", "popova.jpg"):
        picture = Image.fromarray(read_picture(reference / "dlwp" / name).pixels)
        resized = np.asarray(picture.resize(shape[::-1], Image.Resampling.NEAREST))
        pictures.append(to_network(resized, "BGR"))
    content, style = pictures
    weights = real_weights(reference)
    with make_problem(RECIPE, weights, REAL_LAYERS, (content, content, style)) as problem:
        settings = LbfgsSettings(segments=segments, evaluations=20, gradient_tolerance=1e-5)
        steps = list(optimise(problem, settings, EVERY))
        return problem.read_losses()["total"], steps


def check_and_print(start: float, steps: list[Step]) -> None:
    totals = [start, *(step.losses["total"] for step in steps)]
    assert totals == sorted(totals, reverse=True)
    print(f"start {start:.6g}; first segment {totals[1] / start:.4f} of it")
    for step in steps:
        print(f"{step.evaluations} evaluations: {step.losses['total']:.6g} ({step.status})")


def test_five_segments_on_the_books_pictures(reference: Path) -> None:
    """At 0.3 of the book's size; configs/keras_blog.yaml runs the whole of it."""
    start, steps = run_on_the_books_pictures(reference, (120, 114), segments=5)
    check_and_print(start, steps)
    assert len(steps) == 5
    assert steps[0].losses["total"] < 0.9 * start
