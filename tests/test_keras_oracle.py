"""The Keras example built as it is published, with our kernels: does our graph give its numbers?

Three images in one batch go through ``tf_keras.applications.VGG19``; losses are taken between
slices of its outputs; ``backend.function`` gives loss and gradient to ``fmin_l_bfgs_b``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from networks import seeded_weights
from problems import CONFIG, make_problem, network_images
from scipy.optimize import fmin_l_bfgs_b

from nst_graph.config import LbfgsSettings, LogSettings
from nst_graph.layers import BLOCK_CHANNELS, CONVOLUTIONS
from nst_graph.optimizers import optimise
from nst_graph.recipes import RECIPES
from nst_graph.types import VggWeights

pytestmark = pytest.mark.tensorflow
K = tf_keras.backend
tf1 = tf.compat.v1


@dataclass(frozen=True)
class KerasExample:
    """The example's function from an image to its loss and gradient, and the open session."""

    function: Any
    session: Any

    def __call__(self, image: np.ndarray) -> tuple[float, np.ndarray]:
        with self.session.as_default():
            loss, gradient = self.function([image])
        return float(loss), gradient


def keras_vgg19(images: tf.Tensor, weights: VggWeights) -> Any:
    model = tf_keras.applications.VGG19(weights=None, include_top=False, input_tensor=images)
    for name in CONVOLUTIONS:
        block, index = name.removeprefix("conv").split("_")
        layer = model.get_layer(f"block{block}_conv{index}")
        layer.set_weights([weights.kernels[name], weights.biases[name]])
    return model


def gram(features: tf.Tensor) -> tf.Tensor:
    rows = K.batch_flatten(K.permute_dimensions(features, (2, 0, 1)))
    return K.dot(rows, K.transpose(rows))


def example_loss(outputs: dict[str, tf.Tensor], image: tf.Tensor, recipe: str) -> tf.Tensor:
    """Content, style and total variation, with the batch in the order of the example."""
    settings = RECIPES[recipe].losses
    _, rows, columns, _ = image.shape.as_list()
    base, _, combination = tf.unstack(outputs["block5_conv2"])
    loss = settings.content_weight * K.sum(K.square(combination - base))
    for block in range(1, 6):
        _, style, combination = tf.unstack(outputs[f"block{block}_conv1"])
        difference = K.sum(K.square(gram(style) - gram(combination)))
        style_loss = difference / (4.0 * 3**2 * (rows * columns) ** 2)
        loss += settings.style_weight / 5 * style_loss
    a = K.square(image[:, : rows - 1, : columns - 1] - image[:, 1:, : columns - 1])
    b = K.square(image[:, : rows - 1, : columns - 1] - image[:, : rows - 1, 1:])
    return loss + settings.total_variation_weight * K.sum(K.pow(a + b, 1.25))


@pytest.fixture(scope="module")
def full_size() -> VggWeights:
    """Kernels of VGG-19's own shapes, which Keras's network cannot do without."""
    return seeded_weights(0, BLOCK_CHANNELS)


@pytest.fixture
def example(full_size: VggWeights, request: pytest.FixtureRequest) -> Iterator[KerasExample]:
    recipe = request.param
    _, content, style = network_images(recipe)
    with tf.Graph().as_default(), tf1.Session(config=CONFIG) as session:
        image = tf1.placeholder(tf.float32, content.shape)
        batch = K.concatenate([K.constant(content), K.constant(style), image], axis=0)
        model = keras_vgg19(batch, full_size.in_channel_order("BGR"))
        outputs = {layer.name: layer.output for layer in model.layers}
        loss = example_loss(outputs, image, recipe)
        (gradient,) = K.gradients(loss, image)
        yield KerasExample(K.function([image], [loss, gradient]), session)
    K.clear_session()


@pytest.mark.parametrize(
    ("example", "recipe"),
    [("keras_blog", "keras_blog"), ("keras_io", "keras_io")],
    indirect=["example"],
)
def test_loss_and_gradient_are_the_examples(
    example: KerasExample, recipe: str, full_size: VggWeights
) -> None:
    initial = network_images(recipe)[0]
    noise = np.random.default_rng(4).normal(0, 30, initial.shape).astype(np.float32)
    with make_problem(recipe, full_size) as problem:
        problem.start()
        for image in (initial, initial + noise):
            loss, gradient = example(image)
            terms, measured = problem.loss_and_gradient(image)
            assert terms["total"] == pytest.approx(loss, rel=1e-5)
            np.testing.assert_allclose(measured, gradient, atol=1e-4 * np.abs(gradient).max())


@pytest.mark.parametrize("example", ["keras_blog"], indirect=True)
def test_rounds_of_lbfgs_fall_as_the_examples_do(
    example: KerasExample, full_size: VggWeights
) -> None:
    shape = network_images("keras_blog")[0].shape
    held: dict[str, np.ndarray] = {}

    def loss_of(x: np.ndarray) -> float:
        loss, gradient = example(x.reshape(shape))
        held["gradient"] = gradient.flatten().astype(np.float64)
        return loss

    x, losses = network_images("keras_blog")[0].flatten(), []
    for _ in range(2):
        x, loss, _ = fmin_l_bfgs_b(loss_of, x, fprime=lambda x: held["gradient"], maxfun=5)
        losses.append(loss)
    settings = LbfgsSettings(segments=2, evaluations=5, gradient_tolerance=1e-5, form="classic")
    with make_problem("keras_blog", full_size) as problem:
        steps = list(optimise(problem, settings, LogSettings(losses_every=1)))
    assert [step.losses["total"] for step in steps] == pytest.approx(losses, rel=1e-3)
