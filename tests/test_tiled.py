"""The step in tiles against the step on the whole picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from networks import real_weights, seeded_weights
from problems import CONFIG

from nst_graph import tiled
from nst_graph.config import AdamSettings, LbfgsSettings, LogSettings, LossSettings, NetworkSettings
from nst_graph.layers import block_of, reach_of, stride_of
from nst_graph.objective import Objective
from nst_graph.optimizers import optimise
from nst_graph.problem import Problem, StepBuilder, build_step
from nst_graph.targets import TargetNetwork, compute_targets
from nst_graph.tiled import tiled_builder
from nst_graph.tiles import positions
from nst_graph.types import FloatArray, Region, StyleTarget, Targets, VggWeights

pytestmark = pytest.mark.tensorflow
tf1 = tf.compat.v1

STYLE_LAYERS = {"relu1_1": 0.5, "relu2_1": 1.0, "relu3_1": 2.0}


def objective_of(
    deepest: str = "relu4_2",
    pooling: str = "avg",
    padding: str = "SAME",
    content: str = "coursera",
    style: str = "coursera",
    variation: str | None = None,
) -> Objective:
    losses = LossSettings(
        content=content,
        style=style,
        total_variation=variation,
        content_weight=3.0,
        style_weight=5.0,
        total_variation_weight=0.01 if variation else 0.0,
    )
    network = NetworkSettings(pooling=pooling, padding=padding, channel_order="BGR")
    return Objective(network, {"relu2_2": 1.0, deepest: 0.7}, {**STYLE_LAYERS, deepest: 1}, losses)


def image_of(seed: int, size: tuple[int, int], dtype: type = np.float64) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-120, 130, (1, *size, 3)).astype(dtype)


def targets_of(objective: Objective, size: tuple[int, int], weights: VggWeights) -> Targets:
    """Random ones of the right shapes; what they hold is any network's business."""
    rng, padding = np.random.default_rng(5), objective.network.padding

    def channels(name: str) -> int:
        return len(weights.biases[name.replace("relu", "conv")])

    def shape(name: str) -> tuple[int, ...]:
        sides = (positions(side, stride_of(name), padding) for side in size)
        return (1, *sides, channels(name))

    def gram(name: str) -> StyleTarget:
        root = rng.uniform(0, 9, (channels(name), channels(name)))
        return StyleTarget(root @ root.T * size[0] * size[1], size[0] * size[1])

    return Targets(
        {name: rng.uniform(0, 90, shape(name)) for name in objective.content_layers},
        {name: gram(name) for name in objective.style_layers},
    )


def terms_and_gradient(
    build: StepBuilder,
    objective: Objective,
    size: tuple[int, int],
    image: np.ndarray,
    targets: Targets | None = None,
) -> tuple[dict[str, float], np.ndarray]:
    """In the dtype of the image: float64 leaves nothing to the order of additions."""
    weights = seeded_weights()
    targets = targets or targets_of(objective, size, weights)
    with tf.Graph().as_default(), tf1.Session(config=CONFIG) as session:
        fed = tf1.placeholder(image.dtype, image.shape)
        step = build(fed, weights, targets, objective)
        session.run(tf1.global_variables_initializer(), step.initial_values)
        return session.run((dict(step.terms), step.gradient), {fed: image})


def relative(measured: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(measured - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("size", [(112, 160), (139, 175), (90, 33)])
@pytest.mark.parametrize(
    ("pooling", "padding", "content", "style", "variation"),
    [
        ("avg", "SAME", "coursera", "coursera", None),
        ("max", "VALID", "sum", "keras", "keras"),
        ("max", "SAME", "mean", "tf_eager", "absolute"),
        ("avg", "VALID", "mean", "tf2_blog", "squared"),
    ],
)
def test_terms_and_gradient_are_the_whole_pictures(
    size: tuple[int, int],
    pooling: str,
    padding: str,
    content: str,
    style: str,
    variation: str | None,
) -> None:
    objective = objective_of("relu4_2", pooling, padding, content, style, variation)
    image = image_of(3, size)
    terms, gradient = terms_and_gradient(build_step, objective, size, image)
    tiled_terms, tiled_gradient = terms_and_gradient(tiled_builder(48), objective, size, image)
    assert tiled_terms.keys() == terms.keys()
    for name, value in terms.items():
        assert tiled_terms[name] == pytest.approx(value, rel=1e-11), name
    assert relative(tiled_gradient, gradient) < 1e-11


@pytest.mark.parametrize(
    ("deepest", "size"), [("relu3_1", (80, 80)), ("relu4_2", (144, 112)), ("relu5_1", (208, 176))]
)
def test_the_halo_is_what_is_needed_and_one_step_less_is_wrong(
    deepest: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    objective, image = objective_of(deepest), image_of(3, size)
    _, gradient = terms_and_gradient(build_step, objective, size, image)
    _, enough = terms_and_gradient(tiled_builder(16), objective, size, image)
    monkeypatch.setattr(tiled, "reach_of", lambda name: reach_of(name) - 16)
    _, short = terms_and_gradient(tiled_builder(16), objective, size, image)
    assert relative(enough, gradient) < 1e-11
    assert relative(short, gradient) > 1e-6


def test_regions_are_cut_with_the_picture() -> None:
    objective, size = objective_of("relu3_1", "max", "VALID"), (75, 90)
    found = targets_of(objective, size, seeded_weights())
    rng = np.random.default_rng(6)
    regions = tuple(
        Region(
            name,
            share,
            {
                layer: rng.uniform(0, 1, (1, size[0] // stride, size[1] // stride, 1))
                for layer in objective.style_layers
                for stride in [stride_of(layer)]
            },
            found.style,
        )
        for name, share in (("sky", 0.25), ("sea", 0.75))
    )
    targets, image = Targets(found.content, {}, regions), image_of(3, size)
    terms, gradient = terms_and_gradient(build_step, objective, size, image, targets)
    tiled_terms, tiled_gradient = terms_and_gradient(
        tiled_builder(32), objective, size, image, targets
    )
    assert "style/relu2_1/sea" in terms
    assert tiled_terms.keys() == terms.keys()
    for name, value in terms.items():
        assert tiled_terms[name] == pytest.approx(value, rel=1e-11), name
    assert relative(tiled_gradient, gradient) < 1e-11


def test_in_float32_it_agrees_to_rounding() -> None:
    objective, size = objective_of("relu5_1", "max", "VALID", "sum", "keras", "keras"), (213, 199)
    image = image_of(3, size, np.float32)
    terms, gradient = terms_and_gradient(build_step, objective, size, image)
    tiled_terms, tiled_gradient = terms_and_gradient(tiled_builder(64), objective, size, image)
    for name, value in terms.items():
        assert tiled_terms[name] == pytest.approx(value, rel=1e-5), name
    assert relative(tiled_gradient, gradient) < 1e-5


def test_losses_alone_do_not_need_the_second_pass() -> None:
    """Nor does a tile that covers everything change a bit."""
    objective, size = objective_of("relu3_1"), (40, 56)
    image = image_of(3, size, np.float32)
    weights = seeded_weights()
    targets = targets_of(objective, size, weights)
    measured = []
    for build in (build_step, tiled_builder(64)):
        with Problem(image, weights, targets, objective, CONFIG, build) as problem:
            names = [term.op.name for term in problem.terms.values()]
            graph = problem.graph.as_graph_def()
            needed = {node.name for node in tf1.graph_util.extract_sub_graph(graph, names).node}
            assert not any(name.startswith("gradient/") for name in needed)
            problem.start()
            measured.append((problem.read_losses(), *problem.loss_and_gradient(image)))
    assert measured[0][0] == measured[1][0] == measured[0][1] == measured[1][1]
    np.testing.assert_array_equal(measured[0][2], measured[1][2])


@pytest.mark.parametrize(
    "settings", [AdamSettings(steps=10), LbfgsSettings(segments=1, evaluations=5)]
)
def test_optimisers_make_the_same_steps(settings: AdamSettings | LbfgsSettings) -> None:
    objective, size = objective_of("relu3_1"), (75, 52)
    image, weights = image_of(3, size, np.float32), seeded_weights()
    targets = targets_of(objective, size, weights)
    ends = []
    for build in (build_step, tiled_builder(32)):
        with Problem(image, weights, targets, objective, CONFIG, build) as problem:
            *_, last = optimise(problem, settings, LogSettings(losses_every=1))
            ends.append((last.losses["total"], last.fetch_image()))
    assert ends[1][0] == pytest.approx(ends[0][0], rel=1e-4)
    moved = relative(ends[0][1], image)
    assert np.linalg.norm(ends[1][1] - ends[0][1]) / np.linalg.norm(image) < 0.01 * moved


def test_targets_in_tiles_are_the_whole_pictures() -> None:
    image = image_of(1, (139, 101), np.float32)
    layers = ({"relu2_2": 1, "relu4_2": 1}, {"relu1_1": 1, "relu3_1": 1})
    found = []
    for side in (None, 32):
        for pooling, padding in (("avg", "SAME"), ("max", "VALID")):
            with TargetNetwork(
                seeded_weights(), pooling, padding, *layers, CONFIG, side
            ) as network:
                found.append(compute_targets(network, image, image))
    for whole, tiles in zip(found[:2], found[2:], strict=True):
        for name, activation in whole.content.items():
            assert tiles.content[name].shape == activation.shape
            assert relative(tiles.content[name], activation) < 1e-6
        for name, target in whole.style.items():
            assert tiles.style[name].positions == target.positions
            assert relative(tiles.style[name].gram, target.gram) < 1e-5


def test_with_the_real_kernels_of_blocks_1_to_3(reference: Path) -> None:
    weights, objective, size = real_weights(reference), objective_of("relu3_4"), (77, 90)
    assert block_of(objective.deepest) == 3
    image = image_of(3, size, np.float32)
    network = objective.network
    with TargetNetwork(
        weights.in_channel_order("BGR"),
        network.pooling,
        network.padding,
        objective.content_layers,
        objective.style_layers,
        CONFIG,
    ) as found:
        targets = compute_targets(found, image_of(1, size, np.float32), image_of(2, size, "f4"))
    results = [
        _loss_and_gradient(build, image, weights, targets, objective)
        for build in (build_step, tiled_builder(32))
    ]
    for name, value in results[0][0].items():
        assert results[1][0][name] == pytest.approx(value, rel=1e-5), name
    assert relative(results[1][1], results[0][1]) < 1e-5


def _loss_and_gradient(
    build: StepBuilder,
    image: FloatArray,
    weights: VggWeights,
    targets: Targets,
    objective: Objective,
) -> tuple[dict[str, float], FloatArray]:
    with Problem(image, weights, targets, objective, CONFIG, build) as problem:
        problem.start()
        return problem.loss_and_gradient(image)
