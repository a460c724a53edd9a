"""Several styles: blended, and each in its region; against the oracle, in every engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import oracle
import pytest
from networks import seeded_weights
from problems import CONFIG, SHAPE, make_problem, network_images, objective_of, pixels

from nst_graph.config import (
    AdamSettings,
    LbfgsSettings,
    LogSettings,
    OptimizerSettings,
    SessionSettings,
    SgdSettings,
)
from nst_graph.engines import ENGINES, Ingredients, open_engine
from nst_graph.errors import PictureError
from nst_graph.preprocess import to_network
from nst_graph.problem import Problem
from nst_graph.recipes import RECIPES
from nst_graph.regions import blended, guides, region_masks, region_names
from nst_graph.targets import TargetNetwork
from nst_graph.types import FloatArray, Region, StyleTarget, Targets

pytestmark = pytest.mark.tensorflow

CPU = SessionSettings(device="cpu")
EVERY = LogSettings(losses_every=1, image_every=0)
SHARES = (0.7, 0.3)


def mask(seed: int) -> np.ndarray:
    """A soft mask, uint8 [height, width, 3]."""
    grey = np.random.default_rng(seed).integers(0, 256, (*SHAPE, 1), np.uint8)
    return np.repeat(grey, 3, axis=2)


def half(value: int = 255) -> np.ndarray:
    picture = np.zeros((*SHAPE, 3), np.uint8)
    picture[:, : SHAPE[1] // 2] = value
    return picture


def targets_of(
    recipe: str, styles: Sequence[FloatArray], masks: Sequence[np.ndarray | None]
) -> Targets:
    """Targets of several styles on the network of few channels."""
    objective = objective_of(recipe)
    network, layers = objective.network, (objective.content_layers, objective.style_layers)
    weights = seeded_weights().in_channel_order(network.channel_order)
    _, content, _ = network_images(recipe)
    with TargetNetwork(weights, network.pooling, network.padding, *layers, CONFIG) as found:
        content_targets = found.content(content)
        style = [found.style(image) for image in styles]
    regions = region_masks(masks)
    if not regions:
        return Targets(content_targets, blended(style, SHARES))
    channels = [guides(region, objective.style_layers, network.padding) for region in regions]
    names = region_names(map(str, range(len(styles))))
    return Targets(content_targets, {}, tuple(map(Region, names, SHARES, channels, style)))


def style_images(recipe: str, *sizes: tuple[int, int]) -> list[FloatArray]:
    order = RECIPES[recipe].network.channel_order
    return [to_network(pixels(seed, size), order) for seed, size in enumerate(sizes, start=5)]


def oracle_of_regions(
    recipe: str, image: np.ndarray, styles: Sequence[np.ndarray], targets: Targets
) -> tuple[dict[str, float], np.ndarray]:
    """Style terms and their gradient, in float64: each region's guided features, each its style."""
    formula = oracle.FORMULAS[recipe]
    weights = seeded_weights().in_channel_order(RECIPES[recipe].network.channel_order)
    ways = (weights.kernels, weights.biases, formula.pooling, formula.padding)
    activations = oracle.forward(image.astype(np.float64), *ways)
    share = 1 / len(formula.style_layers) if formula.style_share is None else formula.style_share
    terms: dict[str, float] = {}
    gradients: dict[str, np.ndarray] = {}
    for region, style in zip(targets.regions, styles, strict=True):
        of_style = oracle.forward(style.astype(np.float64), *ways)
        for layer in formula.style_layers:
            guide = region.guides[layer].astype(np.float64)
            scale = formula.style_scale
            term = oracle.style_term(
                activations[layer] * guide, of_style[layer], scale, SHAPE[0] * SHAPE[1]
            )
            terms[f"style/{layer}/{region.name}"] = term.value
            before = terms.get(f"style/{layer}", 0.0)
            terms[f"style/{layer}"] = before + region.share * term.value
            gradient = formula.style_weight * share * region.share * term.gradient * guide
            gradients[layer] = gradients.get(layer, 0.0) + gradient
    ways_back = (weights.kernels, formula.pooling, formula.padding)
    return terms, oracle.backward(activations, gradients, *ways_back)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("recipe", ["coursera", "keras_blog", "tf_eager", "tf2_blog"])
def test_losses_and_gradient_of_regions(engine: str, recipe: str) -> None:
    styles = style_images(recipe, (31, 52), (48, 40))
    targets = targets_of(recipe, styles, [mask(1), None])
    objective = objective_of(recipe, content_weight=0.0, total_variation_weight=0.0)
    image, _, _ = network_images(recipe)
    ingredients = Ingredients(image, seeded_weights(), targets, objective)
    with open_engine(engine, ingredients, CPU) as opened:
        if engine == "graph":
            opened._problem.start()  # type: ignore[attr-defined]
        terms, gradient = opened.loss_and_gradient(image)
    expected, slope = oracle_of_regions(recipe, image, styles, targets)
    assert len(expected) == 15
    for name, value in expected.items():
        assert terms[name] == pytest.approx(value, rel=2e-5), name
    error = np.linalg.norm(gradient - slope) / np.linalg.norm(slope)
    assert error < 2e-4


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_white_mask_is_none(recipe: str) -> None:
    image, _, style = network_images(recipe)
    white = np.full((*SHAPE, 3), 255, np.uint8)
    targets = targets_of(recipe, [style], [white])
    (region,) = targets.regions
    targets = replace(targets, regions=(replace(region, share=1.0),))
    assert all((guide == 1).all() for guide in region.guides.values())
    with (
        make_problem(recipe) as plain,
        Problem(image, seeded_weights(), targets, objective_of(recipe), CONFIG) as guided,
    ):
        plain.start()
        guided.start()
        terms, gradient = plain.loss_and_gradient(image)
        found, slope = guided.loss_and_gradient(image)
    assert terms == pytest.approx({name: found[name] for name in terms}, rel=1e-6)
    np.testing.assert_allclose(slope, gradient, rtol=1e-4, atol=1e-5 * np.abs(gradient).max())


@pytest.mark.parametrize(
    "settings",
    [
        AdamSettings(steps=3, learning_rate=2.0),
        SgdSettings(steps=3, learning_rate=1e-3),
        LbfgsSettings(segments=2, evaluations=3),
    ],
    ids=lambda settings: settings.name,
)
def test_every_optimiser_in_every_engine(settings: OptimizerSettings) -> None:
    styles = style_images("coursera", SHAPE, (48, 40))
    targets = targets_of("coursera", styles, [half(), None])
    image, _, _ = network_images("coursera")
    made = Ingredients(image, seeded_weights(), targets, objective_of("coursera"))
    images, losses = [], []
    for engine in ENGINES:
        with open_engine(engine, made, CPU) as opened:
            steps = [(s.losses["total"], s.fetch_image()) for s in opened.optimise(settings, EVERY)]
        losses.append([loss for loss, _ in steps])
        images.append(steps[-1][1])
    assert losses[0][-1] < losses[0][0]
    for other in images[1:]:
        np.testing.assert_allclose(other, images[0], atol=0.02)


def test_a_region_moves_the_image_only_where_it_is() -> None:
    """Its gradient ends within the receptive field of its border."""
    styles = style_images("coursera", SHAPE)
    targets = targets_of("coursera", styles, [half()])
    layers = {"relu1_1": 1.0}
    objective = replace(
        objective_of("coursera", content_weight=0.0), style_layers=layers, content_layers=layers
    )
    targets = replace(targets, content={"relu1_1": np.zeros((1, *SHAPE, 4), np.float32)})
    image, _, _ = network_images("coursera")
    with Problem(image, seeded_weights(), targets, objective, CONFIG) as problem:
        problem.start()
        _, gradient = problem.loss_and_gradient(image)
    edge = SHAPE[1] // 2 + 1
    assert np.abs(gradient[0, :, :edge]).max() > 0
    assert np.abs(gradient[0, :, edge:]).max() == 0


@pytest.mark.parametrize("recipe", ["coursera", "keras_blog", "tf_eager", "tf2_blog"])
def test_a_blend_has_the_gradient_of_the_weighted_losses(recipe: str) -> None:
    sized = recipe in ("coursera", "tf_eager")  # the others do not bring sizes together
    styles = style_images(recipe, (31, 52) if sized else SHAPE, SHAPE)
    objective = objective_of(recipe, content_weight=0.0, total_variation_weight=0.0)
    image, content, _ = network_images(recipe)
    gradients = []
    for style in styles:
        with make_problem(recipe, None, objective, (image, content, style)) as problem:
            problem.start()
            gradients.append(problem.loss_and_gradient(image)[1])
    targets = targets_of(recipe, styles, [None, None])
    with Problem(image, seeded_weights(), targets, objective, CONFIG) as problem:
        problem.start()
        _, found = problem.loss_and_gradient(image)
    expected = SHARES[0] * gradients[0] + SHARES[1] * gradients[1]
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)


def test_one_style_comes_back_as_it_is_and_twice_the_same_is_that_style() -> None:
    gram = np.random.default_rng(0).random((4, 4)).astype(np.float32)
    style = {"relu1_1": StyleTarget(gram, 77)}
    assert blended([style], [1.0]) is style
    twice = blended([style, style], SHARES)["relu1_1"]
    assert twice.positions == pytest.approx(77)
    np.testing.assert_allclose(twice.gram, gram, rtol=1e-6)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_guides_fit_the_network(padding: oracle.Padding) -> None:
    image, (kernels, biases) = np.zeros((1, *SHAPE, 3)), oracle.tiny_network(0)
    activations = oracle.forward(image, kernels, biases, "avg", padding)
    grey = mask(3)[..., 0] / 255
    found = guides(grey.astype(np.float32), activations, padding)
    for layer, guide in found.items():
        height, width = activations[layer].shape[1:3]
        assert guide.shape == (1, height, width, 1)
        assert np.square(guide, dtype=np.float64).sum() == pytest.approx(height * width)
    # Averaged as the network's average pooling averages.
    pooled = oracle._pool(grey[..., np.newaxis], "avg", padding)
    scale = np.sqrt(pooled.size / np.sum(pooled**2))
    np.testing.assert_allclose(found["relu2_1"][0], pooled * scale, rtol=1e-5)


def test_a_style_without_a_mask_gets_the_rest() -> None:
    assert region_masks([None, None]) == ()
    first, rest = region_masks([half(255), None])
    np.testing.assert_array_equal(first + rest, 1)
    assert first.dtype == np.float32
    _, _, rest = region_masks([half(255), half(204), None])
    np.testing.assert_allclose(np.unique(rest), [0, 1])
    _, rest = region_masks([half(204), None])
    np.testing.assert_allclose(np.unique(rest), [0.2, 1], rtol=1e-6)


def test_regions_that_vanish() -> None:
    with pytest.raises(PictureError, match="the mask is black"):
        guides(np.zeros(SHAPE, np.float32), ["relu1_1"], "SAME")
    corner = np.zeros(SHAPE, np.float32)
    corner[-1, -1] = 1
    guides(corner, ["relu5_1"], "SAME")
    with pytest.raises(PictureError, match="nothing is left of the mask at relu2_1"):
        guides(corner, ["relu1_1", "relu2_1"], "VALID")


def test_names_of_regions() -> None:
    names = ["prints/wave.png", "embedded:painting", "other/wave.jpg", "a b,c.png"]
    assert region_names(names) == ["wave", "painting", "wave_2", "a-b-c"]
