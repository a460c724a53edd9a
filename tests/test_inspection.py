"""``nst-graph inspect``: formulas against the built network, counts against the graph."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from networks import seeded_weights
from typer.testing import CliRunner

from nst_graph.cli import app
from nst_graph.inspection import Inspection, inspect_job, layer_facts
from nst_graph.jobs import make_job
from nst_graph.layers import BLOCK_CHANNELS
from nst_graph.plan import Plan, make_plan
from nst_graph.vgg19 import build_vgg19

pytestmark = pytest.mark.tensorflow

tf1 = tf.compat.v1

JOB = {
    "recipe": "coursera",
    "content": "embedded:landscape",
    "style": "embedded:painting",
    "output": "runs/x",
    "weights": {"source": "random"},
}


def plan_of(**settings: object) -> Plan:
    return make_plan(make_job({**JOB, **settings}))


@pytest.fixture(scope="module")
def found() -> Inspection:
    return inspect_job(plan_of())


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_shapes_and_parameters_are_the_networks(padding: str) -> None:
    plan = plan_of(network={"padding": padding}, style_layers={"relu5_4": 1.0})
    layers = {layer.name: layer for layer in layer_facts(plan.job, 37, 61)}
    with tf.Graph().as_default() as graph:
        image = tf1.placeholder(tf.float32, [1, 37, 61, 3])
        built = build_vgg19(image, seeded_weights(0, BLOCK_CHANNELS), "avg", padding)
        variables = graph.get_collection(tf1.GraphKeys.GLOBAL_VARIABLES)
        parameters = sum(int(np.prod(variable.shape)) for variable in variables)
    for name, tensor in built.activations.items():
        layer = layers[name]
        assert [1, layer.height, layer.width, layer.channels] == tensor.shape.as_list()
        assert layer.memory_bytes == 4 * int(np.prod(tensor.shape))
    assert sum(layer.parameters for layer in layers.values()) == parameters == 20_024_384


@pytest.mark.parametrize("deepest", ["relu1_1", "relu2_2", "relu3_3", "relu4_1"])
def test_the_receptive_field_is_where_the_gradient_is(deepest: str) -> None:
    """With positive kernels every pixel that a value can depend on has a gradient."""
    plan = plan_of(content_layers={deepest: 1.0}, style_layers={deepest: 1.0})
    facts = list(layer_facts(plan.job, 160, 160))[-1]
    weights = seeded_weights(0, (1, 1, 1, 1, 1))
    positive = {
        name: np.full_like(kernel, 1 / kernel.size) for name, kernel in weights.kernels.items()
    }
    weights = type(weights)(positive, weights.biases, "RGB", weights.mean, weights.provenance)
    with tf.Graph().as_default(), tf1.Session() as session:
        image = tf.ones((1, 160, 160, 3))
        built = build_vgg19(image, weights, "avg", "VALID", deepest)
        middle = built[deepest].shape[1] // 2
        (gradient,) = tf1.gradients(built[deepest][0, middle, middle, 0], [image])
        session.run(tf1.global_variables_initializer(), built.initial_values)
        rows = np.flatnonzero(session.run(gradient)[0].any(axis=(1, 2)))
    assert rows[-1] - rows[0] + 1 == facts.receptive_field


def test_published_receptive_fields_and_arithmetic(found: Inspection) -> None:
    fields = {layer.name: layer.receptive_field for layer in found.layers}
    assert (fields["relu3_4"], fields["relu4_2"], fields["relu5_1"]) == (48, 84, 156)
    # 174 GFLOP of convolutions and their gradients, measured apart, to conv5_1 at 300 x 400.
    grams = sum(
        6 * layer.channels**2 * layer.height * layer.width
        for layer in found.layers
        if layer.style is not None
    )
    assert (found.totals["step_flops"] - grams) / 1e9 == pytest.approx(174, abs=0.5)


def test_convolution_flops_are_tensorflows(found: Inspection) -> None:
    """TensorFlow's profiler counts the forward pass: half of ours, which has the gradient too."""
    layer = next(layer for layer in found.layers if layer.name == "relu3_2")
    with tf.Graph().as_default() as graph:
        features = tf1.placeholder(tf.float32, [1, layer.height, layer.width, 256])
        tf.nn.conv2d(features, tf.zeros((3, 3, 256, 256)), 1, "SAME")
        options = tf1.profiler.ProfileOptionBuilder.float_operation()
        options["output"] = "none"
        counted = tf1.profiler.profile(graph, options=options).total_float_ops
    assert layer.step_flops == 2 * counted


def test_operations_are_counted_in_the_graph(found: Inspection) -> None:
    scopes = {scope.scope: scope for scope in found.scopes}
    for name in ("vgg19", "content_loss", "style_loss", "gradient", "optimizer", "targets"):
        assert 0 < scopes[name].run <= scopes[name].built
    # Kernels and targets are put into variables once; an update runs no part of that.
    assert scopes["vgg19"].run < scopes["vgg19"].built
    assert found.totals["operations_built"] == sum(scope.built for scope in found.scopes)


@pytest.mark.parametrize("recipe", ["keras_blog", "keras_io", "tf_eager", "tf2_blog"])
def test_every_recipe_can_be_inspected(recipe: str) -> None:
    scopes = {scope.scope for scope in inspect_job(plan_of(recipe=recipe, size=64)).scopes}
    assert ("total_variation" in scopes) == recipe.startswith("keras")
    assert ("optimizer" in scopes) == (recipe != "keras_blog")


def test_the_command_prints_tables_and_writes_json(tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(
        "recipe: coursera\ncontent: embedded:landscape\nstyle: embedded:painting\n"
        "weights: {source: random}\n",
        encoding="utf-8",
    )
    place = tmp_path / "facts.json"
    done = CliRunner().invoke(app, ["inspect", str(job), "--json", str(place)])
    assert done.exit_code == 0, done.output
    for words in ("relu5_1", "style 0.2", "content 1", "186.82", "gradient"):
        assert words in done.output
    facts = json.loads(place.read_text(encoding="utf-8"))
    assert facts["totals"]["parameters"] == 12_944_960
    assert not (tmp_path / "runs").exists()
