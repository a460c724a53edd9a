"""Losses and gradient of every recipe against the independent NumPy oracle, in float64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import oracle
import pytest
from networks import real_weights, seeded_weights

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")

from nst_graph.objective import Objective  # noqa: E402
from nst_graph.problem import build_network, build_terms  # noqa: E402
from nst_graph.recipes import RECIPES  # noqa: E402
from nst_graph.types import StyleTarget, Targets, VggWeights  # noqa: E402

tf1 = tf.compat.v1
RTOL = 1e-6

#: Odd sizes: the last row and column are where SAME and VALID pooling differ. The Keras formulas
#: take no account of a style picture's own size; every one is tested with another size.
CONTENT_SHAPE, STYLE_SHAPE = (1, 37, 33, 3), (1, 34, 39, 3)


def objective_of(name: str) -> Objective:
    recipe = RECIPES[name]
    return Objective(recipe.network, recipe.content_layers, recipe.style_layers, recipe.losses)


def of_blocks_1_to_3(name: str) -> tuple[Objective, oracle.Formula]:
    """A recipe whose layers are those of which the real kernels are at hand."""
    layers = ("relu1_1", "relu2_1", "relu3_1")
    formula = replace(oracle.FORMULAS[name], content_layer="relu3_4", style_layers=layers)
    share = 1 / len(layers) if formula.style_share is None else formula.style_share
    objective = replace(
        objective_of(name),
        content_layers={"relu3_4": 1.0},
        style_layers=dict.fromkeys(layers, share),
    )
    return objective, formula


def images() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Generated, content and style image in the range of preprocessed pixels."""
    generator = np.random.default_rng(23)
    shapes = (CONTENT_SHAPE, CONTENT_SHAPE, STYLE_SHAPE)
    generated, content, style = (generator.uniform(-120, 130, shape) for shape in shapes)
    return generated, content, style


def package(objective: Objective, weights: VggWeights) -> tuple[dict[str, float], np.ndarray]:
    """Terms and gradient of the package's graph, its image and targets in float64."""
    generated, content, style = images()
    targets = targets_in_float64(objective, weights, content, style)
    with tf.Graph().as_default():
        image = tf.constant(generated)
        network = build_network(image, weights, objective)
        terms = build_terms(image, network, targets, objective)
        (gradient,) = tf1.gradients(terms["total"], [image])
        with tf1.Session() as session:
            session.run(tf1.global_variables_initializer(), network.initial_values)
            return session.run((terms, gradient))


def targets_in_float64(
    objective: Objective, weights: VggWeights, content: np.ndarray, style: np.ndarray
) -> Targets:
    """The targets as ``compute_targets`` makes them, whose network is float32."""
    found = []
    for array in (content, style):
        with tf.Graph().as_default():
            network = build_network(tf.constant(array), weights, objective)
            with tf1.Session() as session:
                session.run(tf1.global_variables_initializer(), network.initial_values)
                found.append(session.run(dict(network.activations)))
    of_content, of_style = found
    grams = {
        layer: StyleTarget(oracle.gram(of_style[layer]), of_style[layer][..., 0].size)
        for layer in objective.style_layers
    }
    return Targets({layer: of_content[layer] for layer in objective.content_layers}, grams)


def weights_for(name: str) -> VggWeights:
    """A tiny network whose record says the channel order that the recipe works in."""
    weights = seeded_weights(5)
    return weights.in_channel_order(RECIPES[name].network.channel_order)


def check(objective: Objective, formula: oracle.Formula, weights: VggWeights) -> None:
    terms, gradient = package(objective, weights)
    expected, expected_gradient = oracle.loss_and_gradient(
        formula, *images(), weights.kernels, weights.biases
    )
    for term, value in expected.items():
        assert terms[term] == pytest.approx(value, rel=RTOL), term
    assert gradient.dtype == np.float64
    scale = np.abs(expected_gradient).max()
    np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=RTOL * scale)
    # Element by element too, where rounding of sums that cancel does not dominate.
    large = np.abs(expected_gradient) > 1e-6 * scale
    np.testing.assert_allclose(gradient[large], expected_gradient[large], rtol=RTOL)
    assert large.mean() > 0.9


@pytest.mark.parametrize("name", RECIPES)
def test_losses_and_gradient_agree(name: str) -> None:
    check(objective_of(name), oracle.FORMULAS[name], weights_for(name))


@pytest.mark.parametrize("name", RECIPES)
def test_losses_and_gradient_agree_on_real_kernels(name: str, reference: Path) -> None:
    order = RECIPES[name].network.channel_order
    check(*of_blocks_1_to_3(name), real_weights(reference).in_channel_order(order))


@pytest.mark.parametrize("name", RECIPES)
def test_no_term_is_negligible(name: str) -> None:
    """Agreement of a total would say nothing of a term that is lost in its rounding."""
    weights = weights_for(name)
    expected, _ = oracle.loss_and_gradient(name, *images(), weights.kernels, weights.biases)
    assert all(value > 0 for value in expected.values())


def test_a_wrong_formula_is_noticed() -> None:
    with pytest.raises(AssertionError):
        check(objective_of("coursera"), oracle.FORMULAS["tf2_blog"], weights_for("coursera"))
