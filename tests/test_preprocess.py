from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from nst_graph.images import read_picture
from nst_graph.preprocess import (
    INITIAL_IMAGES,
    channel_means,
    initial_image,
    noise_image,
    to_network,
    to_pixels,
)

#: First values of the assignment's noise and of its initial image.
NOISE = (-8.363811, 0.43310422, 15.717878)
INITIAL = (-44.4902868, -22.4517372, 14.2551258)


def test_the_noise_is_the_assignments() -> None:
    noise = noise_image((1, 300, 400, 3), seed=3)
    assert noise.dtype == np.float32
    assert noise[0, 0, 0] == pytest.approx(NOISE, rel=1e-7)
    assert -20 <= noise.min() < -19.9
    assert 19.9 < noise.max() <= 20


def test_the_initial_image_is_the_assignments(reference: Path) -> None:
    pixels = read_picture(reference / "coursera" / "louvre_small.jpg").pixels
    image = initial_image("blend", to_network(pixels, "RGB"), seed=3, noise_ratio=0.6)
    assert image.dtype == np.float32
    # To the last bit of float32: the published values are printed from float64.
    assert np.abs(image[0, 0, 0] - np.float32(INITIAL)).max() <= 1e-6


def test_another_seed_gives_another_noise_and_the_same_seed_the_same() -> None:
    shape = (1, 20, 30, 3)
    assert np.array_equal(noise_image(shape, 5), noise_image(shape, 5))
    assert not np.array_equal(noise_image(shape, 5), noise_image(shape, 6))


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@settings(max_examples=20)
@given(pixels=arrays(np.uint8, (3, 4, 3)))
def test_pixels_come_back(order: str, pixels: np.ndarray) -> None:
    image = to_network(pixels, order)
    assert image.shape == (1, 3, 4, 3)
    assert np.array_equal(to_pixels(image, order, "nearest"), pixels)


def test_channel_order_and_means() -> None:
    pixels = np.array([[[255, 0, 7]]], np.uint8)
    rgb, bgr = to_network(pixels, "RGB"), to_network(pixels, "BGR")
    assert rgb[0, 0, 0] == pytest.approx((255 - 123.68, -116.779, 7 - 103.939))
    assert np.array_equal(bgr, rgb[..., ::-1])
    assert channel_means("BGR") == pytest.approx((103.939, 116.779, 123.68))


def test_truncation_and_rounding_and_clipping() -> None:
    wanted = np.array([[[[10.9, -3.0, 300.0]]]])
    image = (wanted - channel_means("RGB")).astype(np.float32)
    assert to_pixels(image, "RGB", "truncate").tolist() == [[[10, 0, 255]]]
    assert to_pixels(image, "RGB", "nearest").tolist() == [[[11, 0, 255]]]


def test_every_initial_image_has_the_contents_shape_and_type() -> None:
    content = to_network(np.full((5, 6, 3), 90, np.uint8), "RGB")
    images = {
        kind: initial_image(kind, content, seed=1, noise_ratio=0.25) for kind in INITIAL_IMAGES
    }
    for image in images.values():
        assert image.shape == content.shape
        assert image.dtype == np.float32
    assert np.array_equal(images["content"], content)
    noise = noise_image(content.shape, 1)
    assert np.allclose(images["blend"], 0.25 * noise + 0.75 * content, atol=1e-5)
    assert np.array_equal(images["noise"], noise)
    spread = images["content_plus_normal"] - content
    assert 0.7 < spread.std() < 1.3
