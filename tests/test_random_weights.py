"""The untrained VGG-19: shapes, calibration, and the same bits everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nst_graph.embedded import draw
from nst_graph.layers import CONVOLUTIONS, kernel_shape
from nst_graph.types import VGG_MEAN_RGB, VggWeights, digest_of_kernels
from nst_graph.weights import random_init
from nst_graph.weights.cache import WeightsCache
from nst_graph.weights.convolutions import Convolutions
from nst_graph.weights.random_init import kept_random_weights, random_weights

SIZE = (48, 64)


@pytest.fixture(scope="module")
def pictures() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    return draw("landscape", *SIZE), draw("painting", *SIZE)


@pytest.fixture(scope="module")
def weights(pictures: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]) -> VggWeights:
    return random_weights(7, *pictures)


def test_every_convolution_in_full_shape(weights: VggWeights) -> None:
    assert tuple(weights.kernels) == CONVOLUTIONS == tuple(weights.biases)
    for name in CONVOLUTIONS:
        assert weights.kernels[name].shape == kernel_shape(name)
        assert weights.biases[name].shape == kernel_shape(name)[-1:]
        assert weights.kernels[name].dtype == weights.biases[name].dtype == np.float32


def test_record_says_untrained(weights: VggWeights) -> None:
    assert weights.channel_order == "RGB"
    assert np.array_equal(weights.mean, np.array(VGG_MEAN_RGB, np.float32))
    assert weights.provenance.source == "random"
    assert not weights.provenance.pretrained
    assert "not trained" in weights.provenance.description
    assert weights.provenance.sha256 == digest_of_kernels(weights.kernels, weights.biases)


def test_deep_filters_are_mean_free_and_orthogonal(weights: VggWeights) -> None:
    for name in ("conv1_2", "conv3_1", "conv5_4"):
        filters = weights.kernels[name].astype(float)
        filters = filters.reshape(-1, filters.shape[-1])
        filters /= np.linalg.norm(filters, axis=0)
        assert np.abs(filters.mean(axis=0)).max() < 1e-4
        products = filters[:, :64].T @ filters[:, :64]
        assert np.abs(products - np.eye(64)).max() < 1e-2


def test_first_filters_see_every_pattern(weights: VggWeights) -> None:
    """A pattern outside their span would stay in the picture as noise that no loss can see."""
    filters = weights.kernels["conv1_1"].reshape(27, 64)
    assert np.linalg.matrix_rank(filters, tol=1e-3 * np.abs(filters).max()) == 27


def test_channels_of_the_first_layer_vary_equally(
    weights: VggWeights, pictures: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]
) -> None:
    """Convolve by the definition, pixel by pixel of a window, and measure the spread."""
    responses = []
    for picture in pictures:
        padded = np.pad(picture - np.array(VGG_MEAN_RGB), ((1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
        response = np.einsum("abcij,ijco->abo", windows, weights.kernels["conv1_1"])
        responses.append(response.reshape(-1, 64) + weights.biases["conv1_1"])
    deviation = np.concatenate(responses).std(axis=0)
    assert np.median(deviation) == pytest.approx(120, rel=1e-3)
    assert deviation.min() > 30
    assert deviation.max() < 121


def test_seed_and_pictures_decide(
    weights: VggWeights, pictures: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]
) -> None:
    content, style = pictures
    digest = weights.provenance.sha256
    assert random_weights(7, content, style).provenance.sha256 == digest
    assert random_weights(8, content, style).provenance.sha256 != digest
    assert random_weights(7, content, style[::-1].copy()).provenance.sha256 != digest


@pytest.mark.parametrize("threads", ["1", "2"])
def test_same_bits_in_another_process(weights: VggWeights, threads: str) -> None:
    script = (
        "from nst_graph.embedded import draw\n"
        "from nst_graph.weights.random_init import random_weights\n"
        f"pictures = draw('landscape', *{SIZE}), draw('painting', *{SIZE})\n"
        "print(random_weights(7, *pictures).provenance.sha256)\n"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads}
    answer = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == weights.provenance.sha256


def test_pictures_of_one_colour_do_no_harm() -> None:
    flat = np.full((32, 32, 3), 90, np.uint8)
    weights = random_weights(0, flat, flat)
    for name in CONVOLUTIONS:
        assert np.isfinite(weights.kernels[name]).all()
        assert np.isfinite(weights.biases[name]).all()


def test_sizes_may_differ_and_be_tiny(
    pictures: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]],
) -> None:
    tiny = np.ascontiguousarray(pictures[1][:5, :17])
    weights = random_weights(0, pictures[0], tiny)
    assert np.isfinite(weights.kernels["conv5_4"]).all()


def test_no_tensorflow_needed() -> None:
    script = "import sys, nst_graph.weights.random_init; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_kept_weights_are_made_once_for_a_seed_and_pictures(
    tmp_path: Path,
    weights: VggWeights,
    pictures: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache, made = WeightsCache(tmp_path), []

    def make(seed: int, given: Sequence[npt.NDArray[np.uint8]]) -> Convolutions:
        made.append((seed, len(given)))
        return Convolutions(weights.kernels, weights.biases, "RGB", weights.mean, "random")

    monkeypatch.setattr(random_init, "_convolutions", make)
    for _ in range(2):
        kept = kept_random_weights(cache, 7, *pictures)
        assert kept.provenance == weights.provenance
        assert np.array_equal(kept.kernels["conv5_4"], weights.kernels["conv5_4"])
    assert made == [(7, 2)]
    kept_random_weights(cache, 8, *pictures)
    kept_random_weights(cache, 7, *pictures[::-1])
    kept_random_weights(cache, 7, pictures[0])
    assert made[1:] == [(8, 2), (7, 2), (7, 1)]
