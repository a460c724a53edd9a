"""VGG-19 from the HDF5 files of Keras: the published no-top file and what Keras 2 and 3 save.

Kernels are stored HWIO with BGR input. Four arrangements occur:
Keras 1 (published)     block1_conv1/block1_conv1_W_1:0, block1_conv1/block1_conv1_b_1:0
Keras 2 ``.h5``         block1_conv1/block1_conv1/kernel:0, .../bias:0
whole model ``.h5``     the same under model_weights/; Keras 3 leaves out the ``:0``
``.weights.h5``         layers/conv2d_3/vars/0 (kernel) and 1 (bias), named by an attribute or not
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nst_graph.errors import WeightsError
from nst_graph.layers import CONVOLUTIONS
from nst_graph.types import VGG_MEAN_RGB, FloatArray
from nst_graph.weights.convolutions import VGG16_CONVOLUTIONS, Convolutions

_LAYER = re.compile(r"block(\d)_conv(\d)$")
_KERNEL = re.compile(r"(^|_)(kernel|W)(_\d+)?(:0)?$")
_BIAS = re.compile(r"(^|_)(bias|b)(_\d+)?(:0)?$")
_NUMBERED = re.compile(r"conv2d(?:_(\d+))?$")


def parse(path: Path) -> Convolutions:
    """Read the convolutions of a Keras VGG-19; the mean is Keras's (103.939, 116.779, 123.68) BGR.

    Raises:
        WeightsError: the file holds no convolutions under names that Keras gives.
    """
    import h5py

    kernels: dict[str, FloatArray] = {}
    biases: dict[str, FloatArray] = {}
    with h5py.File(path, "r") as file:
        if "layers" in file:
            layout, found = "weights.h5", _numbered_layers(file["layers"])
        else:
            layout, found = _layout_of(file), _named_layers(file.get("model_weights", file))
        for name, kernel, bias in found:
            kernels[name], biases[name] = _floats(kernel), _floats(bias)
        if not kernels:
            raise WeightsError(
                f"no convolutions of Keras in this HDF5 file; it holds {', '.join(file) or 'none'}",
                remedy="`nst-graph download` fetches the published VGG-19",
            )
    return Convolutions(
        kernels=kernels,
        biases=biases,
        channel_order="BGR",
        mean=np.array(VGG_MEAN_RGB[::-1], np.float32),
        layout=layout,
    )


def _layout_of(file: Any) -> str:
    if "model_weights" in file:
        return "model.h5"
    return "keras-2" if "keras_version" in file.attrs else "keras-1"


def _named_layers(root: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, kernel and bias of each group ``block1_conv1``, wherever inside they lie."""
    for group_name, group in root.items():
        match = _LAYER.match(group_name)
        if match is None:
            continue
        datasets = _datasets_in(group)
        kernel = next((d for name, d in datasets if _KERNEL.search(name)), None)
        bias = next((d for name, d in datasets if _BIAS.search(name)), None)
        if kernel is None or bias is None:
            names = ", ".join(name for name, _ in datasets) or "nothing"
            raise WeightsError(
                f"layer {group_name} lacks its kernel or its bias; it holds {names}",
                remedy="`nst-graph download` fetches the published VGG-19",
            )
        yield f"conv{match[1]}_{match[2]}", kernel, bias


def _datasets_in(group: Any) -> list[tuple[str, Any]]:
    """Last name and dataset, at any depth."""
    import h5py

    found: list[tuple[str, Any]] = []

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            found.append((name.rsplit("/", 1)[-1], node))

    group.visititems(visit)
    return found


def _numbered_layers(layers: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, kernel and bias of ``conv2d``, ``conv2d_1`` ..., in the order of the network."""
    numbered = sorted(
        (int(match[1] or 0), name) for name in layers if (match := _NUMBERED.match(name))
    )
    # Without names in the file the count tells which network this is; shapes are checked later.
    in_order = VGG16_CONVOLUTIONS if len(numbered) == len(VGG16_CONVOLUTIONS) else CONVOLUTIONS
    for position, (_, group_name) in enumerate(numbered):
        variables = layers[group_name]["vars"]
        match = _LAYER.match(str(variables.attrs.get("name", "")))
        if match is not None:
            name = f"conv{match[1]}_{match[2]}"
        else:
            name = in_order[position] if position < len(in_order) else group_name
        yield name, variables["0"], variables["1"]


def _floats(dataset: Any) -> FloatArray:
    if dataset.dtype.kind != "f":
        raise WeightsError(
            f"{dataset.name} is of type {dataset.dtype}, not of floats",
            remedy="`nst-graph download` fetches the published VGG-19",
        )
    return np.ascontiguousarray(dataset[()], dtype=np.float32)
