"""A seeded VGG-19 that was never trained: the weights used where no pretrained file is at hand.

Style transfer works with random kernels when each layer answers evenly to the pictures at hand
(He, Wang & Hopcroft, "A Powerful Generative Model Using Random Weights for the Deep Image
Representation", NIPS 2016). Four choices make the result look painted instead of grainy:

* ``conv1_1`` is drawn from colour patches, edges and lines in random directions and colours, each
  brought to the same variance. White kernels answer almost only to brightness, and leave fine
  noise in the picture because nothing in the loss sees it.
* All other kernels are mean-free, orthogonal, and lean towards their centre (`_TAPER`), so that
  the receptive field grows smoothly.
* Every channel is centred and rescaled on the content and style pictures, to the spread of its
  block (`_SPREAD`). It settles how the recipes' loss weights divide among the layers.
* A positive shift before the first ReLUs keeps colours linear; a negative one further on makes
  deep channels sparse, so that their products (the Gram matrix) see strokes, not just energy.

The kernels must not depend on the machine, yet sums in BLAS and LAPACK differ in the last bits
with processor and number of threads. All arithmetic is in float64 (errors near 1e-14), and every
filter, scale and bias is rounded to a grid many orders coarser before it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from nst_graph import __version__
from nst_graph.layers import BLOCK_CHANNELS, CONVOLUTIONS, block_of, kernel_shape
from nst_graph.types import VGG_MEAN_RGB, FloatArray, Provenance, VggWeights, digest_of_kernels
from nst_graph.weights.cache import WeightsCache
from nst_graph.weights.convolutions import Convolutions

Float64Array = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]

#: Of the procedure; another one makes other kernels, and finds none of this one's in a cache.
_EDITION = 1

#: Longest side in pixels of the reduced pictures on which the layers are calibrated.
CALIBRATION_SIDE = 128

#: Standard deviation of the pre-activations of blocks 1..5, in the network's units (pixels 0..255).
#: Chosen by looking at results of the Coursera recipe; trained activations are of the same order.
_SPREAD = (120.0, 130.0, 160.0, 120.0, 40.0)

#: Mean of the pre-activations of blocks 1..5, in units of their spread.
_SHIFT = (0.5, 0.2, 0.0, -0.2, -0.2)

#: Half the width of the random part of the biases, in units of the spread.
_BIAS_RANGE = 0.1

#: Weight of the nine taps of a 3x3 kernel before it is made orthogonal.
_TAPER = np.array([[0.7, 0.9, 0.7], [0.9, 1.0, 0.9], [0.7, 0.9, 0.7]])

#: A channel that hardly varies is raised no further than to this share of the median.
_LEAST_DEVIATION = 0.3

#: Filters are orthogonal to the others of their group; to the rest they are nearly so, by chance.
#: Groups keep the cost of making them an eighth of that of whole layers.
_GROUP = 64

#: Values are rounded to this fraction of their layer's largest.
_GRID = 2.0**-16


def random_weights(seed: int, content: Picture, *styles: Picture) -> VggWeights:
    """Make an untrained VGG-19 that is calibrated on a content and some style pictures.

    Args:
        seed: 0 to 2**32 - 1.
        content: uint8 [height, width, 3] RGB, 0..255, any size.
        styles: the same, each of its own size.

    Returns:
        All 16 convolutions; channel order RGB, mean pixel `VGG_MEAN_RGB`. The same seed and
        pictures give the same bits, in another process and with another number of threads.
    """
    return _recorded(seed, _convolutions(seed, (content, *styles)))


def kept_random_weights(
    cache: WeightsCache, seed: int, content: Picture, *styles: Picture
) -> VggWeights:
    """``random_weights``, kept in a cache: making them takes seconds."""
    key = hashlib.sha256(f"random {__version__} {_EDITION} {seed}".encode())
    for picture in (content, *styles):
        key.update(f"{picture.shape}".encode())
        key.update(np.ascontiguousarray(picture).data)
    convolutions = cache.load(key.hexdigest())
    if convolutions is None:
        convolutions = _convolutions(seed, (content, *styles))
        cache.store(key.hexdigest(), convolutions)
    return _recorded(seed, convolutions)


def _convolutions(seed: int, pictures: Sequence[Picture]) -> Convolutions:
    # One thread: the products are small, and waiting threads cost more than they save.
    with threadpool_limits(limits=1):
        kernels, biases = _calibrated_convolutions(seed, pictures)
    return Convolutions(kernels, biases, "RGB", np.array(VGG_MEAN_RGB, np.float32), "random")


def _recorded(seed: int, made: Convolutions) -> VggWeights:
    provenance = Provenance(
        source="random",
        description=f"seeded random kernels, not trained (seed {seed}, calibrated on the pictures)",
        sha256=digest_of_kernels(made.kernels, made.biases),
        pretrained=False,
    )
    return VggWeights(made.kernels, made.biases, made.channel_order, made.mean, provenance)


def _calibrated_convolutions(
    seed: int, pictures: Sequence[Picture]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Kernels and biases by name, each layer calibrated on the activations of the one before."""
    rng = np.random.RandomState(seed)  # legacy generator: its stream is frozen (NumPy NEP 19)
    maps = [_calibration_input(picture) for picture in pictures]
    kernels: dict[str, FloatArray] = {}
    biases: dict[str, FloatArray] = {}
    for name in CONVOLUTIONS:
        if name.endswith("_1") and name != "conv1_1":
            maps = [_average_pool(features) for features in maps]
        kernel = _first_kernel(rng) if name == "conv1_1" else _deep_kernel(rng, name)
        kernel, bias, maps = _calibrate(kernel, name, maps, rng)
        kernels[name] = kernel.reshape(kernel_shape(name)).astype(np.float32)
        biases[name] = bias.astype(np.float32)
    return kernels, biases


def _calibration_input(picture: Picture) -> Float64Array:
    """The picture reduced to `CALIBRATION_SIDE` and freed of the mean pixel."""
    from PIL import Image

    height, width = picture.shape[:2]
    ratio = min(1.0, CALIBRATION_SIDE / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    small = Image.fromarray(picture).resize(size, Image.Resampling.BOX)
    pixels: Float64Array = np.asarray(small, np.float64) - np.array(VGG_MEAN_RGB)
    return pixels


def _first_kernel(rng: np.random.RandomState) -> Float64Array:
    """Patches, edges and lines in random directions and colours; [27, 64]."""
    side = np.array([-1.0, 0.0, 1.0])
    line = np.array([1.0, -2.0, 1.0])
    flat = np.ones(3)
    edges = [np.outer(flat, side), np.outer(side, flat)]
    lines = [np.outer(flat, line), np.outer(line, flat), 2 * np.outer(side, side)]
    checks = [np.outer(line, side), np.outer(side, line), np.outer(line, line)]
    # Enough of each kind to span all nine pixels in all colours, so that no noise goes unseen.
    shapes = [edges] * 22 + [lines] * 16 + [checks] * 12 + [[np.outer(flat, flat)]] * 14
    filters: list[Float64Array] = []
    for index, basis in enumerate(shapes):
        patterns = np.stack([pattern / np.linalg.norm(pattern) for pattern in basis])
        pattern = np.tensordot(_random_direction(rng, len(basis)), patterns, axes=1)
        colour = _random_direction(rng, 3)
        if len(basis) > 1:  # edges and their like are either grey or of opposed colours
            colour = np.ones(3) if index % 3 == 0 else colour - colour.mean()
        filters.append(pattern[:, :, None] * colour)
    return _rounded(np.stack(filters, axis=-1).reshape(27, BLOCK_CHANNELS[0]))


def _random_direction(rng: np.random.RandomState, size: int) -> Float64Array:
    draws = rng.standard_normal(size)
    direction: Float64Array = draws / np.sqrt((draws**2).sum())
    return direction


def _deep_kernel(rng: np.random.RandomState, name: str) -> Float64Array:
    """Mean-free columns, [9 * in, out], orthonormal within groups of `_GROUP`."""
    height, width, in_channels, out_channels = kernel_shape(name)
    kernel = rng.random_sample((height, width, in_channels, out_channels)) - 0.5
    kernel *= _TAPER[:, :, None, None]
    kernel = kernel.reshape(-1, out_channels)
    kernel -= kernel.mean(axis=0)
    groups = kernel.reshape(len(kernel), -1, _GROUP).transpose(1, 0, 2)
    # Polar factor K (K^T K)^(-1/2): unlike a QR it is unique, free of signs and column order.
    values, vectors = np.linalg.eigh(groups.transpose(0, 2, 1) @ groups)
    inverse_root = (vectors / np.sqrt(values)[:, None, :]) @ vectors.transpose(0, 2, 1)
    orthonormal = groups @ inverse_root
    return _rounded(orthonormal.transpose(1, 0, 2).reshape(-1, out_channels))


def _calibrate(
    kernel: Float64Array, name: str, maps: list[Float64Array], rng: np.random.RandomState
) -> tuple[Float64Array, Float64Array, list[Float64Array]]:
    """Centre and rescale the channels of one convolution.

    Returns:
        The kernel [9 * in, out], the bias [out], and the activations of the maps after the ReLU.
    """
    block = block_of(name) - 1
    spread, shift = _SPREAD[block], _SHIFT[block]
    responses = [_patches(features) @ kernel for features in maps]
    together = np.concatenate([response.reshape(-1, kernel.shape[1]) for response in responses])
    deviation = together.std(axis=0)
    # The least value keeps a picture of one colour, which excites nothing, from dividing by zero.
    least = max(_LEAST_DEVIATION * float(np.median(deviation)), 1e-3)
    scale = _rounded(spread / np.maximum(deviation, least))
    jitter = _BIAS_RANGE * (2 * rng.random_sample(kernel.shape[1]) - 1)
    bias = _rounded((shift + jitter) * spread - together.mean(axis=0) * scale)
    activations = [np.maximum(response * scale + bias, 0) for response in responses]
    return kernel * scale, bias, activations


def _rounded(values: Float64Array) -> Float64Array:
    """Round to a grid of `_GRID` times the power of two at the largest value."""
    _, exponent = np.frexp(np.abs(values).max())
    step = np.ldexp(_GRID, int(exponent))
    rounded: Float64Array = np.rint(values / step) * step
    return rounded


def _patches(features: Float64Array) -> Float64Array:
    """3x3 neighbourhoods with zero padding: [H, W, C] to [H, W, 9 * C], in HWI order."""
    height, width, _ = features.shape
    padded = np.pad(features, ((1, 1), (1, 1), (0, 0)))
    taps = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.concatenate(taps, axis=-1)


def _average_pool(features: Float64Array) -> Float64Array:
    """2x2 average pooling of stride 2; an odd last row or column counts double."""
    height, width, channels = features.shape
    even = np.pad(features, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    rows, columns = even.shape[0] // 2, even.shape[1] // 2
    pooled: Float64Array = even.reshape(rows, 2, columns, 2, channels).mean(axis=(1, 3))
    return pooled
