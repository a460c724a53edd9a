"""Targets kept from one start to the next: the pictures of a job are rarely new ones.

A content or style picture takes a network of its own, built, optimised and run once. What comes out
depends on the picture's values, the kernels and how the network is built, and in its last bits on
TensorFlow and the processor: the name of an entry is a digest of all of these.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nst_graph.cache_directory import CacheDirectory, read_arrays
from nst_graph.targets import TargetNetwork
from nst_graph.types import FloatArray, StyleTarget

_FORMAT = 1
_LARGEST_BYTES = 1 << 29
#: Larger targets, of pictures beyond about 2000 x 2000 pixels, are made anew: computing them is a
#: small part of such a job, writing them would take as long.
_LARGEST_ENTRY_BYTES = 1 << 27

Arrays = dict[str, npt.NDArray[Any]]


class CachedTargets:
    """What a ``TargetNetwork`` gives, from the cache where it is there.

    Use as a context manager. The network is opened when the first picture needs it.

    Args:
        open_network: makes the network.
        depends_on: what decides the values beside the picture, as JSON values: kernels, layers, how
            the network is built, TensorFlow's version, the processor.
        cache: None: the user's.
    """

    def __init__(
        self,
        open_network: Callable[[], TargetNetwork],
        depends_on: Mapping[str, Any],
        cache: CacheDirectory | None = None,
    ) -> None:
        self._open = open_network
        self._depends_on = dict(depends_on)
        self._cache = cache or CacheDirectory("targets", _LARGEST_BYTES)
        self._network: TargetNetwork | None = None

    def __enter__(self) -> CachedTargets:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._network is not None:
            self._network.close()

    def content(self, image: FloatArray) -> dict[str, FloatArray]:
        """Activations of the content layers; image [1, height, width, 3], mean subtracted."""
        return self._get("content", image, lambda network: network.content(image))

    def style(self, image: FloatArray) -> dict[str, StyleTarget]:
        """Gram matrices of the style layers; image [1, height, width, 3], mean subtracted."""

        def compute(network: TargetNetwork) -> Arrays:
            arrays: Arrays = {}
            for name, target in network.style(image).items():
                arrays[f"gram/{name}"] = target.gram
                arrays[f"positions/{name}"] = np.array(target.positions)
            return arrays

        arrays = self._get("style", image, compute)
        return {
            name.removeprefix("gram/"): StyleTarget(
                gram, int(arrays[f"positions/{name.removeprefix('gram/')}"])
            )
            for name, gram in arrays.items()
            if name.startswith("gram/")
        }

    def _get(
        self, kind: str, image: FloatArray, compute: Callable[[TargetNetwork], Arrays]
    ) -> Arrays:
        entry = f"{kind}-{self._digest(kind, image)}.npz"
        arrays = self._cache.read(entry, read_arrays)
        if arrays is None:
            if self._network is None:
                self._network = self._open()
            arrays = compute(self._network)
            if sum(array.nbytes for array in arrays.values()) <= _LARGEST_ENTRY_BYTES:
                self._cache.write(entry, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
        return arrays

    def _digest(self, kind: str, image: FloatArray) -> str:
        about = {**self._depends_on, "kind": kind, "shape": image.shape, "format": _FORMAT}
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        digest.update(np.ascontiguousarray(image, "<f4").data)
        return digest.hexdigest()
