"""Pixels to network input and back, and the initial images. NumPy only.

Pixels are uint8 RGB [height, width, 3]. The network's input is [1, height, width, 3] with the mean
pixel subtracted, its channels in the recipe's order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from nst_graph.types import VGG_MEAN_RGB, ChannelOrder, FloatArray

Rounding = Literal["truncate", "nearest"]
Pixels = npt.NDArray[np.uint8]

#: The assignment blends 60 % noise, uniform in -20..20, into the content (NOISE_RATIO).
NOISE_RATIO = 0.6
NOISE_AMPLITUDE = 20.0


def channel_means(order: ChannelOrder) -> FloatArray:
    """VGG's mean pixel, float32 [3], 0..255, in the given channel order."""
    mean = np.array(VGG_MEAN_RGB, dtype=np.float32)
    return mean if order == "RGB" else mean[::-1].copy()


def to_network(pixels: Pixels, order: ChannelOrder) -> FloatArray:
    """Pixels to network input, float32 [1, height, width, 3], about -124..152."""
    channels = pixels if order == "RGB" else pixels[..., ::-1]
    image: FloatArray = channels[np.newaxis].astype(np.float32) - channel_means(order)
    return image


def to_pixels(image: FloatArray, order: ChannelOrder, rounding: Rounding = "nearest") -> Pixels:
    """Network input to pixels: add the mean, clip to 0..255, make uint8.

    Args:
        image: [1, height, width, 3] in ``order``.
        order: its channel order.
        rounding: "truncate" drops the fraction, as the assignment's ``astype('uint8')`` does.
    """
    values = np.clip(image[0] + channel_means(order), 0, 255)
    if rounding == "nearest":
        values = np.rint(values)
    pixels = values.astype(np.uint8)
    return pixels if order == "RGB" else np.ascontiguousarray(pixels[..., ::-1])


def noise_image(shape: tuple[int, ...], seed: int) -> FloatArray:
    """The assignment's noise: float32, uniform in -20..20, from NumPy's legacy generator.

    In the notebook an earlier cell seeds the generator with 3 and draws two normal numbers before
    the noise is drawn; with any other seed the same procedure is followed.
    """
    generator = np.random.RandomState(seed)
    generator.randn()
    generator.randn()
    noise: FloatArray = generator.uniform(-NOISE_AMPLITUDE, NOISE_AMPLITUDE, shape).astype(
        np.float32
    )
    return noise


def _blend(content: FloatArray, seed: int, noise_ratio: float) -> FloatArray:
    noise = noise_image(content.shape, seed) * np.float32(noise_ratio)
    # The sum is made in float64 and rounded once, which gives the published first values.
    blended: FloatArray = (noise + content.astype(np.float64) * (1 - noise_ratio)).astype(
        np.float32
    )
    return blended


def _content(content: FloatArray, seed: int, noise_ratio: float) -> FloatArray:
    return content


def _noise(content: FloatArray, seed: int, noise_ratio: float) -> FloatArray:
    return noise_image(content.shape, seed)


def _content_plus_normal(content: FloatArray, seed: int, noise_ratio: float) -> FloatArray:
    normal = np.random.RandomState(seed).standard_normal(content.shape)
    return (content + normal).astype(np.float32)


#: Ways to begin: (content in network space, seed, noise ratio) -> float32 [1, height, width, 3].
INITIAL_IMAGES: dict[str, Callable[[FloatArray, int, float], FloatArray]] = {
    "blend": _blend,
    "content": _content,
    "noise": _noise,
    "content_plus_normal": _content_plus_normal,
}


def initial_image(kind: str, content: FloatArray, seed: int, noise_ratio: float) -> FloatArray:
    """The image an optimisation starts from, float32, of the shape of ``content``.

    Args:
        kind: a name in ``INITIAL_IMAGES``: "blend" (the assignment: ``noise_ratio`` of noise, the
            rest content), "content" (the Keras example), "noise" (Gatys et al.), or
            "content_plus_normal" (content + N(0, 1), the TF2 notebook).
        content: content image in network space, [1, height, width, 3].
        seed: of the noise; the assignment's is 3.
        noise_ratio: 0..1, used by "blend" only.
    """
    return INITIAL_IMAGES[kind](content, seed, noise_ratio)
