from __future__ import annotations

import gc
import weakref

import numpy as np
import oracle
import pytest
import tensorflow as tf
from networks import seeded_weights

from nst_graph.config import SessionSettings
from nst_graph.objective import Objective
from nst_graph.problem import Problem, build_network, build_terms
from nst_graph.recipes import RECIPES
from nst_graph.session import session_config
from nst_graph.targets import TargetNetwork, compute_targets
from nst_graph.types import StyleTarget, Targets

pytestmark = pytest.mark.tensorflow
tf1 = tf.compat.v1

RECIPE = RECIPES["coursera"]
OBJECTIVE = Objective(RECIPE.network, RECIPE.content_layers, RECIPE.style_layers, RECIPE.losses)
CONFIG = session_config(SessionSettings(device="cpu"))
SIZE = (1, 33, 40, 3)


def image_of(seed: int, size: tuple[int, ...] = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-120, 130, size).astype(np.float32)


def make_problem(style_size: tuple[int, ...] = SIZE) -> Problem:
    weights = seeded_weights()
    with TargetNetwork(
        weights, "avg", "SAME", RECIPE.content_layers, RECIPE.style_layers, CONFIG
    ) as network:
        targets = compute_targets(network, image_of(1), image_of(2, style_size))
    return Problem(image_of(3), weights, targets, OBJECTIVE, CONFIG)


def expected(style_size: tuple[int, ...] = SIZE) -> tuple[dict[str, float], np.ndarray]:
    weights = seeded_weights()
    images = [image_of(3), image_of(1), image_of(2, style_size)]
    return oracle.loss_and_gradient(
        "coursera", *(image.astype(np.float64) for image in images), weights.kernels, weights.biases
    )


@pytest.mark.parametrize("style_size", [SIZE, (1, 24, 60, 3)])
def test_losses_and_gradient_are_the_oracles(style_size: tuple[int, ...]) -> None:
    terms, gradient = expected(style_size)
    with make_problem(style_size) as problem:
        problem.start()
        losses, measured = problem.loss_and_gradient(image_of(3))
        read = problem.read_losses()
    for name in ("total", "content", "style", *(f"style/relu{block}_1" for block in range(1, 6))):
        assert losses[name] == pytest.approx(terms[name], rel=1e-5)
        assert read[name] == pytest.approx(terms[name], rel=1e-5)
    np.testing.assert_allclose(measured, gradient, rtol=1e-3, atol=1e-4 * np.abs(gradient).max())


def test_two_different_feeds_give_two_losses_and_leave_the_variable() -> None:
    """Fed in place of a resource variable, an image would be ignored without a word."""
    with make_problem() as problem:
        problem.start()
        first, first_gradient = problem.loss_and_gradient(image_of(4))
        second, second_gradient = problem.loss_and_gradient(image_of(5))
        assert first["total"] != pytest.approx(second["total"], rel=1e-3)
        assert not np.allclose(first_gradient, second_gradient)
        np.testing.assert_array_equal(problem.read_image(), image_of(3))


def test_analytic_gradient_against_central_differences_in_float64() -> None:
    weights = seeded_weights()
    rng = np.random.default_rng(7)
    image, content, style = (image_of(seed).astype(np.float64) for seed in (3, 1, 2))
    grams, activations = {}, oracle.forward(content, weights.kernels, weights.biases, "avg", "SAME")
    for name, value in oracle.forward(
        style, weights.kernels, weights.biases, "avg", "SAME"
    ).items():
        features = value.reshape(-1, value.shape[-1])
        grams[name] = StyleTarget(features.T @ features, len(features))
    targets = Targets(content=activations, style=grams)
    with tf.Graph().as_default(), tf1.Session() as session:
        fed = tf1.placeholder(tf.float64, SIZE)
        network = build_network(fed, weights, OBJECTIVE)
        total = build_terms(fed, network, targets, OBJECTIVE)["total"]
        gradient = tf1.gradients(total, [fed])[0]
        session.run(tf1.global_variables_initializer(), network.initial_values)
        analytic = session.run(gradient, {fed: image})
        for _ in range(5):
            direction = rng.standard_normal(SIZE)
            # Small against the distance to the next ReLU's kink, large against rounding.
            step = 1e-5
            above, below = (
                session.run(total, {fed: image + sign * step * direction}) for sign in (1, -1)
            )
            slope = (above - below) / (2 * step)
            assert np.sum(analytic * direction) == pytest.approx(slope, rel=1e-6)


def test_the_session_needs_start_and_the_graph_goes_with_the_problem() -> None:
    with make_problem() as problem:
        with pytest.raises(RuntimeError, match="start"):
            problem.read_image()
        problem.start()
        graph = weakref.ref(problem.graph)
        with pytest.raises(RuntimeError, match="finalized"), problem.graph.as_default():
            tf.constant(1.0)
    del problem
    gc.collect()
    assert graph() is None


def test_eager_mode_is_left_as_it_was() -> None:
    with make_problem() as problem:
        problem.start()
        assert tf.executing_eagerly()
        assert float(tf.constant(2.0) * 3) == 6.0
    assert tf1.get_default_graph() is not problem.graph
