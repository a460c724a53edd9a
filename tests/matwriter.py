"""A writer of MatConvNet-like VGG .mat files for tests, in both layouts, with any kernels.

Written from the published description of the files and independent of the reader under test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.io

Layout = Literal["current", "beta16"]
Weights = Mapping[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]

MEAN_RGB = (123.68, 116.779, 103.939)
#: Convolutions and channels of each block: columns E and D of arXiv:1409.1556.
VGG19 = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
VGG16 = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
#: The same network with few channels: small files, whose shapes are not VGG-19's.
TINY19 = ((2, 4), (2, 4), (4, 8), (4, 8), (4, 8))


def seeded_weights(
    network: Sequence[tuple[int, int]] = VGG19,
    seed: int = 0,
    given: Weights | None = None,
    fc: bool = False,
) -> dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Kernels (HWIO) and biases of every layer, He-normal from ``seed`` where not ``given``."""
    generator = np.random.default_rng(seed)
    weights: dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]] = {}

    def add(name: str, shape: tuple[int, int, int, int]) -> None:
        deviation = np.float32(np.sqrt(2 / np.prod(shape[:3])))
        kernel = generator.standard_normal(shape, dtype=np.float32) * deviation
        bias = generator.standard_normal(shape[3], dtype=np.float32) * np.float32(0.1)
        weights[name] = (given or {}).get(name, (kernel, bias))

    channels = 3
    for block, (count, width) in enumerate(network, start=1):
        for index in range(1, count + 1):
            add(f"conv{block}_{index}", (3, 3, channels, width))
            channels = width
    if fc:
        hidden, classes = (4096, 1000) if channels == 512 else (16, 10)
        add("fc6", (7, 7, channels, hidden))
        add("fc7", (1, 1, hidden, hidden))
        add("fc8", (1, 1, hidden, classes))
    return weights


def constant_weights(network: Sequence[tuple[int, int]] = VGG19) -> dict[str, Any]:
    """Full-size kernels that compress to almost nothing, each layer with a value of its own."""
    weights, channels, value = {}, 3, 0.0
    for block, (count, width) in enumerate(network, start=1):
        for index in range(1, count + 1):
            value += 0.125
            kernel = np.full((3, 3, channels, width), value, np.float32)
            weights[f"conv{block}_{index}"] = (kernel, np.full(width, -value, np.float32))
            channels = width
    return weights


def variables_of(
    weights: Weights, layout: Layout = "current", mean: npt.NDArray[Any] | None = None
) -> dict[str, Any]:
    """The variables of the file: ``layers`` and, by layout, ``meta`` or ``normalization``.

    ``mean`` replaces averageImage: 3 numbers in "current", 224x224x3 in "beta16".
    """
    cells: list[Any] = []
    for name, (kernel, bias) in weights.items():
        if name in ("conv2_1", "conv3_1", "conv4_1", "conv5_1", "fc6"):
            cells.append(_pool(f"pool{len([c for c in cells if c['type'][0, 0] == 'pool']) + 1}"))
        cells.append(_convolution(name, kernel, bias, layout))
        if name != "fc8":
            cells.append(_struct(type="relu", name=name.replace("conv", "relu")))
    cells.append(_pool("pool5") if "fc6" not in weights else _struct(type="softmax", name="prob"))
    if layout == "beta16":
        picture = np.broadcast_to(np.float32(MEAN_RGB), (224, 224, 3))
        normalization = _struct(averageImage=picture if mean is None else mean, keepAspect=1.0)
        return {"layers": _cell(cells), "normalization": normalization}
    numbers = np.float32(MEAN_RGB).reshape(1, 1, 3)
    normalization = _struct(keepAspect=1.0, averageImage=numbers if mean is None else mean)
    return {"layers": _cell(cells), "meta": _struct(normalization=normalization, inputs="data")}


def write_mat(
    path: Path,
    weights: Weights,
    layout: Layout = "current",
    mean: npt.NDArray[Any] | None = None,
    compress: bool = False,
) -> Path:
    """Write a .mat of ``weights`` (HWIO, RGB) and return its path."""
    scipy.io.savemat(path, variables_of(weights, layout, mean), do_compression=compress)
    return path


def _convolution(
    name: str, kernel: npt.NDArray[Any], bias: npt.NDArray[Any], layout: Layout
) -> npt.NDArray[Any]:
    pad = np.array([[float(kernel.shape[0] // 2)] * 4])
    stride = np.array([[1.0, 1.0]])
    if layout == "beta16":
        cell = _cell([kernel, bias.reshape(1, -1)])
        return _struct(weights=cell, pad=pad, type="conv", name=name, stride=stride)
    return _struct(
        name=name,
        type="conv",
        weights=_cell([kernel, bias.reshape(-1, 1)]),
        size=np.array([kernel.shape], np.float64),
        pad=pad,
        stride=stride,
        precious=0.0,
        dilate=1.0,
        opts=_cell([]),
    )


def _pool(name: str) -> npt.NDArray[Any]:
    return _struct(name=name, type="pool", method="max", pool=np.array([[2.0, 2.0]]))


def _cell(items: Sequence[Any]) -> npt.NDArray[Any]:
    """A 1xN MATLAB cell array."""
    cell = np.empty((1, len(items)), object)
    for index, item in enumerate(items):
        cell[0, index] = item
    return cell


def _struct(**fields: Any) -> npt.NDArray[Any]:
    """A 1x1 MATLAB struct with its fields in the order given."""
    struct = np.empty((1, 1), [(name, object) for name in fields])
    for name, value in fields.items():
        struct[name][0, 0] = value
    return struct
