"""The hand-written step against the reference: the same graph differentiated by TensorFlow."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from networks import real_weights, seeded_weights
from problems import CONFIG

from nst_graph.config import AdamSettings, LbfgsSettings, LogSettings, LossSettings, NetworkSettings
from nst_graph.estimate import WINOGRAD_PIXELS
from nst_graph.fast import fast_step, never, winograd
from nst_graph.fast.convolution import DirectFilter, Holder
from nst_graph.fast.fused import Fused
from nst_graph.fast.grams import CHUNK, accurate_gram, gram_seed
from nst_graph.fast.pooling import Pooling
from nst_graph.fast.strips import row_strips
from nst_graph.fast.winograd import WinogradFilter, minimal_filtering
from nst_graph.losses import gram_matrix
from nst_graph.objective import Objective
from nst_graph.optimizers import optimise
from nst_graph.problem import Problem, StepBuilder, build_step
from nst_graph.targets import TargetNetwork, compute_targets
from nst_graph.types import FloatArray, Targets, VggWeights
from nst_graph.variables import InitialValues

pytestmark = pytest.mark.tensorflow
tf1 = tf.compat.v1

ODD, EVEN, REAL = (37, 45), (32, 48), (96, 128)
STYLE_LAYERS = {f"relu{block}_1": 0.2 for block in range(1, 6)}

#: Style, content and total variation formula; pooling, padding, channel order; size.
CASES = (
    ("coursera", "coursera", None, "avg", "SAME", "RGB", ODD),
    ("coursera", "sum", "absolute", "max", "VALID", "BGR", ODD),
    ("keras", "sum", "keras", "max", "SAME", "BGR", ODD),
    ("keras", "mean", "squared", "avg", "VALID", "RGB", ODD),
    ("tf_eager", "mean", None, "avg", "SAME", "BGR", EVEN),
    ("tf_eager", "coursera", "keras", "max", "VALID", "RGB", EVEN),
    ("tf2_blog", "mean", "absolute", "max", "SAME", "RGB", EVEN),
    ("tf2_blog", "sum", None, "avg", "VALID", "BGR", EVEN),
)


def objective_of(
    case: tuple[Any, ...], content_layers: dict[str, float] | None = None
) -> Objective:
    style, content, variation, pooling, padding, order, _ = case
    losses = LossSettings(
        content=content,
        style=style,
        total_variation=variation,
        content_weight=1e-2,
        style_weight=10.0,
        total_variation_weight=1e-3,
    )
    network = NetworkSettings(pooling=pooling, padding=padding, channel_order=order)
    return Objective(network, content_layers or {"relu4_2": 1.0}, STYLE_LAYERS, losses)


def image_of(seed: int, size: tuple[int, int]) -> FloatArray:
    """Blocks of 4 x 4 pixels and some noise, in network space."""
    generator = np.random.default_rng(seed)
    blocks = generator.uniform(-110, 120, (size[0] // 4 + 1, size[1] // 4 + 1, 3))
    picture = np.kron(blocks, np.ones((4, 4, 1)))[: size[0], : size[1]]
    return (picture + generator.uniform(-10, 10, picture.shape))[None].astype(np.float32)


def targets_of(weights: VggWeights, objective: Objective, size: tuple[int, int]) -> Targets:
    """Of a content picture of that size, and a paler style picture of another."""
    network = objective.network
    with TargetNetwork(
        weights.in_channel_order(network.channel_order),
        network.pooling,
        network.padding,
        objective.content_layers,
        objective.style_layers,
        CONFIG,
    ) as targets:
        return compute_targets(targets, image_of(1, size), 0.4 * image_of(2, (40, 36)) + 40)


def in_block_3(height: int, width: int, inputs: int, outputs: int) -> bool:
    """These convolutions by Winograd's method: every shape takes half a second to compile."""
    return height in (ODD[0] // 4, ODD[0] // 4 + 1, REAL[0] // 4)


class Setting:
    """One problem, to be built in several ways."""

    def __init__(
        self, objective: Objective, size: tuple[int, int], weights: VggWeights | None = None
    ) -> None:
        self.weights = weights or seeded_weights()
        self.objective, self.initial = objective, image_of(3, size)
        self.targets = targets_of(self.weights, objective, size)

    def problem(self, build: StepBuilder) -> Problem:
        return Problem(self.initial, self.weights, self.targets, self.objective, CONFIG, build)

    def evaluate(self, build: StepBuilder) -> tuple[dict[str, float], np.ndarray]:
        with self.problem(build) as problem:
            problem.start()
            return problem.loss_and_gradient(self.initial)


def assert_same(
    measured: tuple[dict[str, float], np.ndarray], expected: tuple[dict[str, float], np.ndarray]
) -> None:
    """Every term, in the same order, and the gradient in its largest component and direction."""
    assert list(measured[0]) == list(expected[0])
    for name, value in expected[0].items():
        assert measured[0][name] == pytest.approx(value, rel=1e-5), name
    largest = np.abs(expected[1]).max()
    assert np.abs(measured[1] - expected[1]).max() <= 1e-5 * largest
    assert cosine(measured[1], expected[1]) > 1 - 1e-9


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one.astype(np.float64).ravel(), other.astype(np.float64).ravel()
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case[:5])))
def test_losses_and_gradient_are_the_references(case: tuple[Any, ...]) -> None:
    setting = Setting(objective_of(case), case[-1])
    expected = setting.evaluate(build_step)
    assert_same(setting.evaluate(fast_step()), expected)
    if case in CASES[:2]:  # SAME and VALID at odd sizes, one pooling each
        assert_same(setting.evaluate(fast_step(strip_rows=12)), expected)


@pytest.mark.parametrize("case", [CASES[0], CASES[1]], ids=["SAME", "VALID"])
def test_winograd_changes_nothing_but_the_last_digits(case: tuple[Any, ...]) -> None:
    setting = Setting(objective_of(case), ODD)
    expected = setting.evaluate(build_step)
    assert_same(setting.evaluate(fast_step(by_winograd=in_block_3)), expected)


@pytest.mark.parametrize(
    "layers", [{"relu1_2": 1.0}, {"relu2_1": 0.5, "relu4_1": 0.5}, {"relu5_2": 1.0}], ids=str
)
def test_content_layers_anywhere(layers: dict[str, float]) -> None:
    """In a block that would be cut, together with a style layer, and as the deepest of all."""
    setting = Setting(objective_of(CASES[0], layers), ODD)
    assert_same(setting.evaluate(fast_step(strip_rows=12)), setting.evaluate(build_step))


def on_real_kernels(reference: Path) -> Setting:
    layers = {"relu1_1": 0.3, "relu2_1": 0.3, "relu3_1": 0.4}
    case = objective_of(CASES[0])
    objective = Objective(case.network, {"relu3_2": 1.0}, layers, case.losses)
    return Setting(objective, REAL, real_weights(reference))


@pytest.mark.parametrize("strip_rows", [None, 32])
def test_real_kernels(reference: Path, strip_rows: int | None) -> None:
    setting = on_real_kernels(reference)
    assert_same(setting.evaluate(fast_step(strip_rows=strip_rows)), setting.evaluate(build_step))


def test_winograd_on_real_kernels(reference: Path) -> None:
    """With hundreds of channels rounding decides about some ReLUs, in any two ways to compute in
    float32: there the gradient differs at single pixels.
    """
    setting = on_real_kernels(reference)
    expected = setting.evaluate(build_step)
    measured = setting.evaluate(fast_step(by_winograd=in_block_3))
    for name, value in expected[0].items():
        assert measured[0][name] == pytest.approx(value, rel=1e-5), name
    assert cosine(measured[1], expected[1]) > 1 - 1e-6


@pytest.fixture
def bfloat16_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arithmetic of processors with units for bfloat16, which this one may not have.

    They multiply rounded numbers, add up in float32 and round the result; the bias belongs to the
    sum, for TensorFlow fuses the two. Its kernels for other processors round in between as well.
    """

    def widened(function: Any) -> Any:
        def compute(one: tf.Tensor, other: tf.Tensor, *rest: Any, **options: Any) -> tf.Tensor:
            if one.dtype != tf.bfloat16:
                return function(one, other, *rest, **options)
            wide = tf.cast(one, tf.float32), tf.cast(other, tf.float32)
            return tf.cast(function(*wide, *rest, **options), tf.bfloat16)

        return compute

    def fused_bias_add(sums: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        if sums.dtype != tf.bfloat16:
            return bias_add(sums, bias)
        assert sums.op.type == "Cast"
        return tf.cast(bias_add(sums.op.inputs[0], tf.cast(bias, tf.float32)), tf.bfloat16)

    bias_add = tf.nn.bias_add
    monkeypatch.setattr(tf.nn, "conv2d", widened(tf.nn.conv2d))
    monkeypatch.setattr(tf, "matmul", widened(tf.matmul))
    monkeypatch.setattr(tf.nn, "bias_add", fused_bias_add)


def assert_near(
    measured: tuple[dict[str, float], np.ndarray],
    expected: tuple[dict[str, float], np.ndarray],
    tolerance: float,
    alike: float = 0.995,
) -> None:
    for name in ("total", "content", "style"):
        assert measured[0][name] == pytest.approx(expected[0][name], rel=tolerance), name
    assert measured[1].dtype == np.float32
    assert cosine(measured[1], expected[1]) > alike


@pytest.mark.usefixtures("bfloat16_units")
@pytest.mark.parametrize("strip_rows", [None, 32])
def test_bfloat16_on_real_kernels(reference: Path, strip_rows: int | None) -> None:
    setting = on_real_kernels(reference)
    fast = setting.evaluate(fast_step("bfloat16", strip_rows))
    assert_near(fast, setting.evaluate(build_step), 1e-3)


def test_bfloat16_in_this_machines_kernels() -> None:
    setting = Setting(objective_of(CASES[0]), ODD)
    fast = setting.evaluate(fast_step("bfloat16", 20))
    assert_near(fast, setting.evaluate(build_step), 3e-2, alike=0.98)


def test_twenty_steps_of_adam_stay_close() -> None:
    setting = Setting(objective_of(CASES[0]), ODD)
    totals = []
    for build in (build_step, fast_step(), fast_step(strip_rows=12)):
        with setting.problem(build) as problem:
            steps = optimise(problem, AdamSettings(steps=20), LogSettings(losses_every=1))
            totals.append([step.losses["total"] for step in steps])
    assert totals[0][-1] < 0.8 * totals[0][0]
    np.testing.assert_allclose(totals[1], totals[0], rtol=1e-3)
    np.testing.assert_allclose(totals[2], totals[0], rtol=1e-3)


def test_lbfgs_runs() -> None:
    setting = Setting(objective_of(CASES[0]), ODD)
    with setting.problem(fast_step()) as problem:
        settings = LbfgsSettings(segments=2, evaluations=5)
        losses = [step.losses["total"] for step in optimise(problem, settings, LogSettings())]
    assert losses[-1] < losses[0]


def test_the_step_has_no_slow_operation_and_casts_no_kernel() -> None:
    setting = Setting(objective_of(CASES[0]), EVEN)
    # Winograd's method is for float32, whatever is asked for.
    graph = setting.problem(fast_step("bfloat16", by_winograd=lambda *_: True)).graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert not kinds & {"Conv2DBackpropInput", "Conv2DBackpropFilter", "AvgPoolGrad"}
    convolutions = [each for each in graph.get_operations() if each.type == "Conv2D"]
    assert len(convolutions) == 2 * 13  # forward and back, to conv5_1
    for convolution in convolutions:
        read = convolution.inputs[1].op.inputs[0].op
        assert (read.type, read.outputs[0].dtype) == ("ReadVariableOp", tf.bfloat16)


def test_strips_are_all_that_blocks_1_and_2_hold_at_a_time() -> None:
    setting = Setting(objective_of(CASES[0]), (96, 40))
    channels = setting.weights.kernels["conv1_1"].shape[-1]
    heights = {}
    for rows in (None, 16):
        graph = setting.problem(fast_step(strip_rows=rows)).graph
        made = [tensor.shape for op in graph.get_operations() for tensor in op.outputs]
        of_block_1 = [shape for shape in made if shape.rank == 4 and shape[-1] == channels]
        heights[rows] = max(shape[1] for shape in of_block_1 if shape[2] == 40)
    assert heights == {None: 96, 16: 16 + 8}


@pytest.mark.parametrize("height", [2, 3, 16, 37, 300, 301])
@pytest.mark.parametrize("rows", [2, 12, 64])
def test_strips_cover_the_height_and_cut_no_window(height: int, rows: int) -> None:
    strips = row_strips(height, rows)
    assert strips[0].start == 0
    assert strips[-1].stop == height
    for one, other in itertools.pairwise(strips):
        assert one.stop == other.start
    assert all(strip.start % 2 == 0 for strip in strips)
    assert all(2 <= strip.stop - strip.start <= rows + height % 2 for strip in strips)


def test_the_gradient_of_a_convolution_is_a_convolution() -> None:
    weights = seeded_weights()
    generator = np.random.default_rng(0)
    with tf.Graph().as_default(), tf1.Session() as session:
        values: InitialValues = {}
        convolution = Holder(weights, tf.float32, never, Fused(), values).hold("conv2_2", 7, 9)
        features = tf.constant(generator.standard_normal((1, 7, 9, 5)), tf.float32)
        gradient = tf.constant(generator.standard_normal((1, 7, 9, 5)), tf.float32)
        assert isinstance(convolution.kernel, DirectFilter)
        sums = tf.nn.conv2d(features, convolution.kernel.kernel, 1, "SAME")
        (expected,) = tf1.gradients(sums, [features], [gradient])
        measured = convolution.input_gradient(gradient)
        session.run(tf1.global_variables_initializer(), values)
        np.testing.assert_allclose(*session.run((measured, expected)), rtol=1e-4, atol=1e-5)


def test_minimal_filtering_is_a_correlation() -> None:
    output, kernel, inputs = minimal_filtering()
    generator = np.random.default_rng(0)
    values, weights = generator.standard_normal(6), generator.standard_normal(3)
    np.testing.assert_allclose(
        output @ ((kernel @ weights) * (inputs @ values)),
        np.correlate(values, weights, "valid"),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize("size", [(1, 1), (4, 8), (5, 7), (23, 18)])
@pytest.mark.parametrize("strip_values", [1 << 17, 70])
def test_a_convolution_by_winograd(
    size: tuple[int, int], strip_values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without bias and ReLU; in one strip, and in many of which the last overlaps."""
    monkeypatch.setattr(winograd, "STRIP_VALUES", strip_values)
    generator = np.random.default_rng(1)
    kernel = generator.standard_normal((3, 3, 5, 6)).astype(np.float32)
    picture = generator.standard_normal((1, *size, 5)).astype(np.float32)
    bias = generator.standard_normal(6).astype(np.float32)
    with tf.Graph().as_default(), tf1.Session(config=CONFIG) as session:
        values: InitialValues = {}
        convolve = WinogradFilter("kernel", kernel, Fused(), values)
        features = tf1.placeholder(tf.float32, picture.shape)
        made = convolve(features), convolve(features, tf.constant(bias))
        session.run(tf1.global_variables_initializer(), values)
        sums, activation = session.run(made, {features: picture})
        wide = tf.nn.conv2d(tf.constant(picture, tf.float64), kernel.astype(np.float64), 1, "SAME")
        expected = session.run(wide)
    np.testing.assert_allclose(sums, expected, atol=1e-5 * np.abs(expected).max())
    relu = np.maximum(expected + bias, 0)
    np.testing.assert_allclose(activation, relu, atol=1e-5 * relu.max())


@pytest.mark.parametrize("height", [1, 4, 17, 64, 203])
@pytest.mark.parametrize("channels", [1 << 10, 1 << 13, 1 << 20])
def test_winograds_strips_are_alike_and_cover_the_height(height: int, channels: int) -> None:
    strips = list(winograd.strips(height, 32, channels))
    assert len({stop - start for start, stop in strips}) == 1
    assert strips[0][0] == 0
    assert height <= strips[-1][1] < height + 4
    for (_, stop), (start, _) in itertools.pairwise(strips):
        assert start <= stop
    assert all(start % 4 == stop % 4 == 0 for start, stop in strips)


def test_winograd_is_for_large_convolutions_with_many_channels() -> None:
    assert winograd.worthwhile(150, 200, 128, 128)
    assert not winograd.worthwhile(15, 20, 128, 128)
    assert not winograd.worthwhile(3000, 4000, 3, 64)


def test_the_estimate_knows_from_where_winograd_is_used() -> None:
    below, above = 160, 168
    assert below**2 < WINOGRAD_PIXELS <= above**2
    for side, used in ((below, False), (above, True)):
        sizes = ((side, 64), (side // 2, 128), (side // 4, 256), (side // 8, 512))
        assert {winograd.worthwhile(n, n, c, c) for n, c in sizes} == {used}


@pytest.mark.parametrize("name", ["avg", "max"])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("size", [(4, 6), (5, 6), (4, 7), (5, 7), (1, 2)])
def test_gradient_through_pooling_and_relu(name: str, padding: str, size: tuple[int, int]) -> None:
    if padding == "VALID" and 1 in size:
        pytest.skip("nothing is left")
    generator = np.random.default_rng(1)
    with tf.Graph().as_default(), tf1.Session() as session:
        pooling = Pooling(name, padding)
        before = tf.constant(generator.standard_normal((1, *size, 3)), tf.float32)
        activation = tf.nn.relu(before)
        pooled = pooling.forward(activation)
        gradient = tf.constant(generator.standard_normal(pooled.shape), tf.float32)
        seed = tf.constant(generator.standard_normal(before.shape), tf.float32)
        (expected,) = tf1.gradients([pooled, activation], [before], [gradient, seed])
        measured = pooling.relu_gradient(Fused(), activation, gradient, [seed])
        np.testing.assert_allclose(*session.run((measured, expected)), rtol=1e-6, atol=1e-7)


@pytest.mark.usefixtures("bfloat16_units")
@pytest.mark.parametrize("positions", [50, CHUNK, 2 * CHUNK + 50])
def test_grams_of_bfloat16_are_summed_in_float32(positions: int) -> None:
    features = np.random.default_rng(2).uniform(0, 1, (1, 1, positions, 4))
    with tf.Graph().as_default(), tf1.Session() as session:
        rough = tf.cast(tf.constant(features), tf.bfloat16)
        measured, kept = session.run((accurate_gram(rough), tf.cast(rough, tf.float64)))
    flat = kept.reshape(-1, 4)
    assert measured.dtype == np.float32
    # Half a unit in the last of bfloat16's 8 bits for each chunk.
    np.testing.assert_allclose(measured, flat.T @ flat, rtol=2**-8)


def test_the_gradient_of_a_gram_matrix() -> None:
    generator = np.random.default_rng(3)
    with tf.Graph().as_default(), tf1.Session() as session:
        activation = tf.constant(generator.standard_normal((1, 3, 5, 4)))
        upstream = tf.constant(generator.standard_normal((4, 4)))
        (expected,) = tf1.gradients(gram_matrix(activation), [activation], [upstream])
        measured = gram_seed(activation, upstream + tf.transpose(upstream))
        np.testing.assert_allclose(*session.run((measured, expected)), rtol=1e-12)
