from __future__ import annotations

import numpy as np
import oracle
import pytest
import tensorflow as tf
from networks import seeded_weights

from nst_graph.errors import ConfigError
from nst_graph.vgg19 import build_vgg19

pytestmark = pytest.mark.tensorflow
tf1 = tf.compat.v1


def run(image: np.ndarray, deepest: str = "relu5_4", **options: str) -> dict[str, np.ndarray]:
    with tf.Graph().as_default(), tf1.Session() as session:
        network = build_vgg19(tf.constant(image), seeded_weights(), deepest=deepest, **options)
        session.run(tf1.global_variables_initializer(), network.initial_values)
        return session.run(dict(network.activations))


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("size", [(32, 48), (37, 51)])
def test_activations_are_the_oracles(pooling: str, padding: str, size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).uniform(-120, 130, (1, *size, 3))
    weights = seeded_weights()
    expected = oracle.forward(image, weights.kernels, weights.biases, pooling, padding, "relu5_4")
    measured = run(image, pooling=pooling, padding=padding)
    assert measured.keys() == expected.keys()
    for name, value in expected.items():
        assert measured[name].shape == value.shape
        np.testing.assert_allclose(measured[name], value, rtol=1e-9, atol=1e-9)


def test_nothing_is_built_past_the_deepest_layer() -> None:
    with tf.Graph().as_default() as graph:
        image = tf1.placeholder(tf.float32, [1, 32, 32, 3])
        network = build_vgg19(image, seeded_weights(), deepest="conv3_1")
        names = [op.name for op in graph.get_operations()]
    assert list(network.activations) == ["relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1"]
    assert any("conv3_1" in name for name in names)
    assert not any("conv3_2" in name or "pool3" in name for name in names)
    assert len(network.initial_values) == 10


def test_aliases_name_the_same_tensor_and_unknown_names_are_refused() -> None:
    with tf.Graph().as_default():
        image = tf1.placeholder(tf.float32, [1, 32, 32, 3])
        network = build_vgg19(image, seeded_weights(), deepest="block2_conv1")
        assert network["conv2_1"] is network["relu2_1"] is network["block2_conv1"]
        with pytest.raises(ConfigError, match="conv6_1"):
            build_vgg19(image, seeded_weights(), deepest="conv6_1")


def test_kernels_are_used_as_stored() -> None:
    """A kernel with one weight off centre shifts the image: no flip, no transpose."""
    weights = seeded_weights()
    kernels = dict(weights.kernels)
    kernel = np.zeros_like(kernels["conv1_1"])
    kernel[0, 1, 2, 0] = 1.0  # the pixel above, third channel
    kernels["conv1_1"] = kernel
    shifted = type(weights)(
        kernels,
        {name: np.zeros_like(bias) for name, bias in weights.biases.items()},
        "RGB",
        weights.mean,
        weights.provenance,
    )
    image = np.random.default_rng(0).uniform(0, 1, (1, 5, 6, 3)).astype(np.float32)
    with tf.Graph().as_default(), tf1.Session() as session:
        network = build_vgg19(tf.constant(image), shifted, deepest="relu1_1")
        session.run(tf1.global_variables_initializer(), network.initial_values)
        feature = session.run(network["relu1_1"])[0, :, :, 0]
    np.testing.assert_array_equal(feature[1:], image[0, :-1, :, 2])
    np.testing.assert_array_equal(feature[0], 0)


def test_channel_order_is_of_the_kernels_not_of_the_values() -> None:
    weights = seeded_weights()
    swapped = weights.in_channel_order("BGR")
    assert swapped.in_channel_order("RGB").kernels["conv1_1"].tobytes() == (
        weights.kernels["conv1_1"].tobytes()
    )
    assert swapped.mean.tolist() == weights.mean.tolist()[::-1]
    image = np.random.default_rng(0).uniform(-100, 100, (1, 16, 16, 3)).astype(np.float32)
    results = []
    for network_weights, pixels in ((weights, image), (swapped, image[..., ::-1])):
        with tf.Graph().as_default(), tf1.Session() as session:
            network = build_vgg19(tf.constant(pixels), network_weights, deepest="relu1_1")
            session.run(tf1.global_variables_initializer(), network.initial_values)
            results.append(session.run(network["relu1_1"]))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-4)


def test_no_kernel_is_a_constant_of_the_graph() -> None:
    with tf.Graph().as_default() as graph:
        image = tf1.placeholder(tf.float32, [1, 32, 32, 3])
        build_vgg19(image, seeded_weights(channels=(32, 32, 32, 32, 32)))
        assert graph.as_graph_def().ByteSize() < 100_000
