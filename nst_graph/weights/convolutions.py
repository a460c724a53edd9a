"""The convolutions read from a weights file, and the check that they are those of VGG-19."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nst_graph.errors import WeightsError
from nst_graph.layers import CONVOLUTIONS, kernel_shape
from nst_graph.types import ChannelOrder, FloatArray

#: Convolutions of VGG-16 (arXiv:1409.1556, column D), which lacks one in each deeper block.
VGG16_CONVOLUTIONS: tuple[str, ...] = tuple(
    name for name in CONVOLUTIONS if name not in ("conv3_4", "conv4_4", "conv5_4")
)
_GET_VGG19 = "`nst-graph download` fetches VGG-19"


@dataclass(frozen=True)
class Convolutions:
    """What a weights file says, before it is known to be VGG-19.

    Attributes:
        kernels: by convolution name (``conv1_1`` ...), float32, HWIO, C-contiguous.
        biases: by convolution name, float32 [out].
        channel_order: order of the input channels of ``conv1_1``.
        mean: mean pixel, float32 [3] in ``channel_order``, 0..255.
        layout: edition of the file format, for people.
    """

    kernels: Mapping[str, FloatArray]
    biases: Mapping[str, FloatArray]
    channel_order: ChannelOrder
    mean: FloatArray
    layout: str


def check_vgg19(convolutions: Convolutions) -> None:
    """Check names, shapes and values against VGG-19.

    Raises:
        WeightsError: another network, a missing layer, a wrong shape, a value not finite.
    """
    kernels, biases = convolutions.kernels, convolutions.biases
    _check_names(kernels)
    for name in CONVOLUTIONS:
        shape = kernel_shape(name)
        if kernels[name].shape != shape:
            raise WeightsError(
                f"kernel {name} has shape {kernels[name].shape}, VGG-19 has {shape}"
                + _orientation_hint(kernels[name].shape, shape),
                remedy=_GET_VGG19,
            )
        if name not in biases or biases[name].shape != shape[-1:]:
            found = biases[name].shape if name in biases else "none"
            raise WeightsError(
                f"bias {name} has shape {found}, VGG-19 has {shape[-1:]}", remedy=_GET_VGG19
            )
        _check_finite(f"kernel {name}", kernels[name])
        _check_finite(f"bias {name}", biases[name])
    _check_mean(convolutions.mean)


def _check_names(names: Iterable[str]) -> None:
    found = set(names)
    missing = [name for name in CONVOLUTIONS if name not in found]
    if not missing:
        return
    if found == set(VGG16_CONVOLUTIONS):
        what = "this is VGG-16: conv3_4, conv4_4 and conv5_4 of VGG-19 are not in it"
    elif len(missing) < len(CONVOLUTIONS):
        what = f"this is not a whole VGG-19: it lacks {', '.join(missing)}"
    else:
        listed = ", ".join(sorted(found)[:6]) or "none"
        what = f"this is not VGG-19, whose convolutions are conv1_1 .. conv5_4; found: {listed}"
    raise WeightsError(what, remedy=_GET_VGG19)


def _orientation_hint(found: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    if found == (wanted[3], wanted[2], wanted[0], wanted[1]):
        return "; these are [out, in, height, width], as Theano and PyTorch store kernels"
    return ""


def _check_finite(what: str, array: FloatArray) -> None:
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise WeightsError(
            f"{what} holds {bad} values that are NaN or infinite",
            remedy="the file is damaged; " + _GET_VGG19,
        )


def _check_mean(mean: FloatArray) -> None:
    if mean.shape != (3,) or not bool(np.all((mean >= 0) & (mean <= 255))):
        raise WeightsError(
            f"the mean pixel is {mean.tolist()}; three values in 0..255 are expected",
            remedy="the file is damaged; " + _GET_VGG19,
        )
