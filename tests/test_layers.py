from __future__ import annotations

import pytest

from nst_graph.errors import ConfigError
from nst_graph.layers import (
    ACTIVATIONS,
    CONVOLUTIONS,
    block_of,
    canonical_name,
    convolution_of,
    deepest_of,
    kernel_shape,
)


def test_the_three_spellings_of_a_layer_are_one() -> None:
    assert {canonical_name(name) for name in ("relu4_2", "conv4_2", "block4_conv2")} == {"relu4_2"}


def test_there_are_sixteen_convolutions_in_order() -> None:
    assert len(CONVOLUTIONS) == len(ACTIVATIONS) == 16
    assert CONVOLUTIONS[0] == "conv1_1"
    assert CONVOLUTIONS[8] == "conv4_1"
    assert CONVOLUTIONS[-1] == "conv5_4"


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("conv1_1", (3, 3, 3, 64)),
        ("conv2_1", (3, 3, 64, 128)),
        ("conv3_4", (3, 3, 256, 256)),
        ("conv4_1", (3, 3, 256, 512)),
        ("conv5_4", (3, 3, 512, 512)),
    ],
)
def test_kernel_shapes_are_vgg19s(name: str, shape: tuple[int, ...]) -> None:
    assert kernel_shape(name) == shape


def test_deepest_is_by_depth_not_by_order_given() -> None:
    assert deepest_of(["conv5_1", "block4_conv2", "relu1_1"]) == "relu5_1"


def test_block_and_convolution_accept_aliases() -> None:
    assert block_of("block3_conv4") == 3
    assert convolution_of("block3_conv4") == "conv3_4"


def test_unknown_layer_names_value_and_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        canonical_name("conv4_5")
    assert "'conv4_5'" in caught.value.what
    assert "did you mean 'conv4_" in caught.value.remedy
    assert "relu5_4" in caught.value.remedy
