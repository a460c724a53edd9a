"""Frozen records that cross from one stage of the pipeline to the next. NumPy only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ChannelOrder = Literal["RGB", "BGR"]

#: Mean pixel of the VGG training set, RGB, 0..255 (normalization.averageImage of the .mat).
VGG_MEAN_RGB: tuple[float, float, float] = (123.68, 116.779, 103.939)


@dataclass(frozen=True)
class Provenance:
    """Where a set of kernels came from.

    Attributes:
        source: name in ``weights.SOURCES``: "matconvnet", "keras" or "random".
        description: one line for people: which file or procedure, which edition.
        sha256: digest of the weights file; for kernels made here, of their values.
        path: the file, or None for kernels made here.
        pretrained: False for random kernels.
        known: the digest is one of the published ones.
    """

    source: str
    description: str
    sha256: str
    path: str | None = None
    pretrained: bool = True
    known: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "description": self.description,
            "sha256": self.sha256,
            "path": self.path,
            "pretrained": self.pretrained,
            "known": self.known,
        }


@dataclass(frozen=True)
class VggWeights:
    """Convolutions of VGG-19.

    Attributes:
        kernels: by convolution name (``conv1_1`` ...), float32, [height, width, in, out] (HWIO).
        biases: by convolution name, float32, [out].
        channel_order: order of the input channels of ``conv1_1``.
        mean: mean pixel that the network expects subtracted, float32 [3], 0..255, in
            ``channel_order``.
        provenance: where the kernels came from.
    """

    kernels: Mapping[str, FloatArray]
    biases: Mapping[str, FloatArray]
    channel_order: ChannelOrder
    mean: FloatArray
    provenance: Provenance

    def __post_init__(self) -> None:
        for name in ("kernels", "biases"):
            arrays = dict(getattr(self, name))
            for array in arrays.values():
                array.flags.writeable = False
            object.__setattr__(self, name, MappingProxyType(arrays))

    def __reduce__(self) -> tuple[object, ...]:
        # A MappingProxyType cannot be pickled.
        values = (dict(self.kernels), dict(self.biases))
        return type(self), (*values, self.channel_order, self.mean, self.provenance)

    def in_channel_order(self, order: ChannelOrder) -> VggWeights:
        """The same network for images whose channels come in ``order``; values untouched."""
        if order == self.channel_order:
            return self
        kernels = dict(self.kernels)
        kernels["conv1_1"] = np.ascontiguousarray(kernels["conv1_1"][:, :, ::-1, :])
        return replace(
            self, kernels=kernels, channel_order=order, mean=np.ascontiguousarray(self.mean[::-1])
        )


def digest_of_kernels(kernels: Mapping[str, FloatArray], biases: Mapping[str, FloatArray]) -> str:
    """SHA-256 over names, shapes and little-endian values of all kernels and biases."""
    digest = hashlib.sha256()
    for group in (kernels, biases):
        for name in sorted(group):
            digest.update(f"{name}{group[name].shape}".encode())
            digest.update(np.ascontiguousarray(group[name], dtype="<f4").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class StyleTarget:
    """What the loss needs of the style image at one layer.

    Attributes:
        gram: unnormalised Gram matrix F^T F of the activation, float32 [channels, channels].
        positions: height x width of the style image's feature map, over which the Gram is a sum; of
            a blend of styles, their weighted mean.
    """

    gram: FloatArray
    positions: float


@dataclass(frozen=True)
class Region:
    """A part of the image with a style of its own.

    Attributes:
        name: for the losses; no other region has it.
        share: weight of its style loss; all regions' sum to 1.
        guides: by style layer, what the activation is multiplied with before its Gram matrix is
            taken, float32 [1, height, width, 1], >= 0; the squares sum to height * width.
        style: Gram matrices of its style image, by style layer.
    """

    name: str
    share: float
    guides: Mapping[str, FloatArray]
    style: Mapping[str, StyleTarget]


@dataclass(frozen=True)
class Targets:
    """Precomputed targets, by canonical layer name.

    Attributes:
        content: activations of the content image, float32 [1, height, width, channels] (NHWC).
        style: Gram matrices of the style image, or of the blend of several; empty where there are
            regions.
        regions: the parts of the image that have styles of their own; none: it has one throughout.
    """

    content: Mapping[str, FloatArray]
    style: Mapping[str, StyleTarget]
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True)
class BestImage:
    """The image kept by an optimiser that looks for the lowest loss.

    Attributes:
        iteration: that it came from.
        loss: total by which it was chosen.
        image: network space, float32 [1, height, width, 3].
    """

    iteration: int
    loss: float
    image: FloatArray = field(repr=False)


@dataclass(frozen=True)
class StageStart:
    """Where one stage of a run of several sizes begins.

    Attributes:
        index: of the stage, from 0.
        iteration: number of its first iteration; iterations are numbered through all stages.
        updates, evaluations: made in the stages before.
    """

    index: int = 0
    iteration: int = 0
    updates: int = 0
    evaluations: int = 0


@dataclass(frozen=True)
class OptimizerState:
    """Where an optimisation stands between two iterations: all that the rest of it depends on.

    Attributes:
        next_iteration: number of the iteration that comes next, as in ``Step``.
        updates: image updates made so far; this and the following counts are of one stage.
        variables: "image", float32 [1, height, width, 3], and whatever else the optimiser keeps
            from one update to the next, such as Adam's moments, by names of its engine.
        evaluations: of loss and gradient made so far; None where each update is one.
        segments: of L-BFGS that are over.
        best: the image that the run would hand over, where that is not the current one.
        stage: which one, of a run of several sizes. Where it has yet to begin, "image" is what the
            stage before ended with, of its size.
    """

    next_iteration: int
    updates: int
    variables: Mapping[str, npt.NDArray[Any]] = field(repr=False)
    evaluations: int | None = None
    segments: int = 0
    best: BestImage | None = None
    stage: StageStart = StageStart()

    @property
    def begins(self) -> bool:
        """Nothing of its stage was done yet."""
        return self.updates == 0 and self.segments == 0


#: How an optimiser that can end by itself ended: scipy's termination messages, by name.
EndStatus = Literal["limit", "converged", "abnormal_line_search", "stopped", "error"]


@dataclass(frozen=True)
class Step:
    """One step of an optimisation, as handed to whoever watches it.

    Attributes:
        iteration: number of the step, counted as the recipe's source counts (from 0 or from 1).
        updates: image updates made when this step is over.
        losses: named terms and their "total"; empty on steps that are not logged.
        losses_at: number of updates the image had undergone when ``losses`` were read.
        fetch_image: returns the current image in network space, float32 [1, height, width, 3].
            Valid until the next step is asked for.
        final: no step follows.
        evaluations: of loss and gradient made so far; None where each update is one.
        status: how the segment of L-BFGS that is over ended; None within one, and of others.
        message: what scipy says of it.
        best: the image that the run would hand over, where that is not the current one.
        fetch_state: returns what the optimisation can be taken up again from, after this step; None
            within a segment of L-BFGS. Valid until the next step is asked for, and at the end of a
            segment for good.
        stage: of a run of several sizes, from 1; None where there is one size.
    """

    iteration: int
    updates: int
    losses: Mapping[str, float]
    losses_at: int
    fetch_image: Callable[[], FloatArray] = field(repr=False)
    fetch_state: Callable[[], OptimizerState] | None = field(repr=False)
    final: bool = False
    evaluations: int | None = None
    status: EndStatus | None = None
    message: str = ""
    best: BestImage | None = None
    stage: int | None = None
