"""VGG-19 from MatConvNet's imagenet-vgg-verydeep-19.mat, in both layouts of the file.

Everything is read by field name. Kernels are stored [height, width, in, out] with RGB input and are
taken as stored: no axis is swapped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nst_graph.errors import WeightsError
from nst_graph.types import VGG_MEAN_RGB, FloatArray
from nst_graph.weights.convolutions import Convolutions

_LOG = logging.getLogger(__name__)
_NOT_MATCONVNET = "a MatConvNet network is expected; `nst-graph download` fetches one"


def parse(path: Path) -> Convolutions:
    """Read the convolutions of a MatConvNet .mat; fully connected layers are left out.

    On a damaged file the parser underneath raises nearly anything, and can end the process: files
    that are not known by their digest go through ``isolated.parse``.

    Raises:
        WeightsError: the variables are not those of a MatConvNet network.
    """
    from scipy.io import loadmat

    wanted = ["layers", "meta", "normalization"]
    variables = loadmat(path, variable_names=wanted, appendmat=False)
    if "layers" not in variables:
        raise WeightsError(
            f"the file has no variable `layers`; it holds {_variable_names(path)}",
            remedy=_NOT_MATCONVNET,
        )
    kernels: dict[str, FloatArray] = {}
    biases: dict[str, FloatArray] = {}
    for layer in _structs_of(variables["layers"]):
        if _text(layer, "type") != "conv":
            continue
        name = _text(layer, "name")
        if not name.startswith("fc"):
            kernels[name], biases[name] = _weights_of(layer, name)
    layout, normalization = _normalization_of(variables)
    return Convolutions(
        kernels=kernels,
        biases=biases,
        channel_order="RGB",
        mean=_mean_pixel(normalization),
        layout=layout,
    )


def _normalization_of(variables: Mapping[str, Any]) -> tuple[str, Any | None]:
    """Name of the layout and its ``normalization`` struct, which beta16 has at the top."""
    if "meta" in variables:
        return "current", _member(variables["meta"], "normalization")
    if "normalization" in variables:
        return "beta16", variables["normalization"]
    return "layers only", None


def _variable_names(path: Path) -> str:
    from scipy.io import whosmat

    return ", ".join(name for name, _, _ in whosmat(path, appendmat=False)) or "none"


def _structs_of(layers: Any) -> Iterator[Any]:
    """The structs in a cell array, each a NumPy record with fields of objects."""
    for cell in np.ravel(layers):
        struct = np.ravel(cell)
        if struct.size != 1 or struct.dtype.names is None:
            raise WeightsError("`layers` is not a cell array of structs", remedy=_NOT_MATCONVNET)
        yield struct[0]


def _field(struct: Any, name: str) -> Any:
    names = struct.dtype.names or ()
    if name not in names:
        raise WeightsError(
            f"a layer has no field `{name}`; its fields are {', '.join(names)}",
            remedy=_NOT_MATCONVNET,
        )
    return struct[name]


def _text(struct: Any, name: str) -> str:
    """A string field; an empty string is stored as an empty array."""
    characters = np.ravel(_field(struct, name))
    return "".join(str(part) for part in characters)


def _weights_of(layer: Any, name: str) -> tuple[FloatArray, FloatArray]:
    """Kernel (HWIO) and bias [out]; the bias is stored (out, 1) or (1, out)."""
    cell = np.ravel(_field(layer, "weights"))
    if cell.dtype != object or cell.size != 2:
        raise WeightsError(f"`weights` of {name} is not {{kernel, bias}}", remedy=_NOT_MATCONVNET)
    kernel, bias = _floats(cell[0], f"kernel {name}"), _floats(cell[1], f"bias {name}")
    return kernel, bias.reshape(-1)


def _floats(value: Any, what: str) -> FloatArray:
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise WeightsError(
            f"{what} is of type {array.dtype}, not of floats", remedy=_NOT_MATCONVNET
        )
    return np.ascontiguousarray(array, dtype=np.float32)


def _mean_pixel(normalization: Any) -> FloatArray:
    """``averageImage``: three numbers, or a picture whose every pixel is the mean; float32 [3]."""
    stored = _member(normalization, "averageImage")
    if stored is None:
        _LOG.warning("the .mat has no averageImage; the published mean pixel is used")
        return np.array(VGG_MEAN_RGB, np.float32)
    average = _floats(stored, "averageImage")
    if average.size == 3:
        return average.reshape(3)
    if average.ndim != 3 or average.shape[2] != 3:
        raise WeightsError(
            f"averageImage has shape {average.shape}; (height, width, 3) or 3 numbers are expected",
            remedy=_NOT_MATCONVNET,
        )
    return np.asarray(average.mean(axis=(0, 1), dtype=np.float64), np.float32)


def _member(struct: Any, name: str) -> Any | None:
    """Field ``name`` of a 1x1 struct array; None where there is no such struct or field."""
    if struct is None or struct.dtype.names is None or struct.size != 1:
        return None
    return struct.reshape(-1)[0][name] if name in struct.dtype.names else None
