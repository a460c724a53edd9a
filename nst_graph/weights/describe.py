"""What can be said about a weights file, whole or damaged: for ``nst-graph weights info``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nst_graph.errors import WeightsError
from nst_graph.layers import CONVOLUTIONS
from nst_graph.types import FloatArray
from nst_graph.weights.cache import WeightsCache
from nst_graph.weights.convolutions import Convolutions
from nst_graph.weights.file_kind import check_readable, kind_of_file
from nst_graph.weights.loading import convolutions_of, identify
from nst_graph.weights.sources import SOURCES

# W[0, 1, 0, 0] and W[1, 0, 0, 0] of conv1_1 with RGB input, as MatConvNet publishes it: the pair
# tells whether the two spatial axes were swapped on the way.
_PUBLISHED_PAIR = (0.37740308, 0.2671299)


@dataclass(frozen=True)
class LayerFacts:
    """One convolution: its name, and the shapes of its kernel (HWIO) and its bias."""

    name: str
    kernel: tuple[int, ...]
    bias: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class WeightsFacts:
    """Facts about a weights file; those that could not be found out are empty.

    Attributes:
        path, size: the file, and its length in bytes.
        kind: what its first bytes say it is.
        md5, sha256: its digests, hexadecimal.
        known: description of the published file it is, or "".
        problem: why it cannot be used, or "".
        layout: edition of the file format.
        channel_order: of the input of ``conv1_1``.
        mean: mean pixel in ``channel_order``, 0..255.
        layers: the convolutions.
        first_values: values of ``conv1_1`` by index, input in RGB order.
        orientation: how ``conv1_1`` compares with the published one.
    """

    path: str
    size: int
    kind: str
    md5: str
    sha256: str
    known: str = ""
    problem: str = ""
    layout: str = ""
    channel_order: str = ""
    mean: tuple[float, ...] = ()
    layers: tuple[LayerFacts, ...] = ()
    first_values: dict[str, list[float]] = field(default_factory=dict)
    orientation: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The facts as plain values, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [
            ("file", self.path),
            ("size", f"{self.size:,} bytes"),
            ("kind", self.kind),
            ("MD5", self.md5),
            ("SHA-256", self.sha256),
            ("published as", self.known or "not one of the published files"),
            ("problem", self.problem),
            ("layout", self.layout),
            ("channel order", self.channel_order),
            ("mean pixel", ", ".join(f"{value:.6g}" for value in self.mean)),
            ("conv1_1 is", self.orientation),
        ]
        lines += [
            (key, ", ".join(f"{v:.8g}" for v in values))
            for key, values in self.first_values.items()
        ]
        lines += [(layer.name, f"{layer.kernel} {layer.dtype}") for layer in self.layers]
        return "\n".join(f"{name + ':':<18}{value}" for name, value in lines if value)


def describe(path: Path, cache: WeightsCache | None = None) -> WeightsFacts:
    """Examine a weights file. A damaged one is described too, its ``problem`` filled in.

    Raises:
        WeightsError: there is no readable file at ``path``.
    """
    cache = cache or WeightsCache()
    kind = kind_of_file(path)
    file = identify(path, cache)
    about: dict[str, Any] = {
        "path": str(path),
        "size": file.stamp.size,
        "kind": kind.value,
        "md5": file.digests.md5,
        "sha256": file.digests.sha256,
        "known": file.known.description if file.known else "",
    }
    source = next((name for name, source in SOURCES.items() if source.kind is kind), None)
    if source is None:
        return WeightsFacts(**about, problem=f"this is {kind.value}, not a weights file")
    try:
        check_readable(path, kind)
        convolutions = convolutions_of(source, file, cache)
    except WeightsError as error:
        return WeightsFacts(**about, problem=error.what)
    return WeightsFacts(**about, **_facts_of(convolutions))


def _facts_of(convolutions: Convolutions) -> dict[str, Any]:
    first = convolutions.kernels["conv1_1"]
    kernel = first if convolutions.channel_order == "RGB" else first[:, :, ::-1]
    return {
        "layout": convolutions.layout,
        "channel_order": convolutions.channel_order,
        "mean": tuple(float(value) for value in convolutions.mean),
        "layers": tuple(
            LayerFacts(
                name,
                convolutions.kernels[name].shape,
                convolutions.biases[name].shape,
                str(convolutions.kernels[name].dtype),
            )
            for name in CONVOLUTIONS
        ),
        "first_values": {
            "W[0,0,0,:3]": kernel[0, 0, 0, :3].tolist(),
            "W[0,1,0,0]": [float(kernel[0, 1, 0, 0])],
            "W[1,0,0,0]": [float(kernel[1, 0, 0, 0])],
            "bias[:3]": convolutions.biases["conv1_1"][:3].tolist(),
        },
        "orientation": _orientation_of(kernel),
    }


def _orientation_of(kernel: FloatArray) -> str:
    pair = (kernel[0, 1, 0, 0], kernel[1, 0, 0, 0])
    if np.allclose(pair, _PUBLISHED_PAIR, rtol=1e-5):
        return "as published"
    if np.allclose(pair[::-1], _PUBLISHED_PAIR, rtol=1e-5):
        return "as published, but height and width swapped: the published numbers are out of reach"
    return "not the published kernels"
