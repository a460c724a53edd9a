"""Several styles in one picture: blended everywhere, or each in a region of its own.

**Blend.** A style loss is a squared error in the Gram matrix, ``L_k = c |G - T_k|^2``. For shares
``w_k`` that sum to 1, the weighted sum is ``sum w_k L_k = c |G - T|^2 + c (sum w_k |T_k|^2 -
|T|^2)`` with ``T = sum w_k T_k``: its last part does not depend on the image. So one loss against
the weighted mean of the Grams has the gradient of the weighted sum of losses, at the cost of one
style; only its value is lower, by that constant.

**Regions.** Spatial control after Gatys et al., "Controlling Perceptual Factors in Neural Style
Transfer" (arXiv:1611.07865, section 4): a guidance channel ``m`` is multiplied onto every feature
map, and the Gram matrix is that of the products, ``G_r = sum_i m_i^2 f_i f_i^T``. There the squares
of a channel sum to 1. Here they sum to the layer's number of positions P, because Gram matrices are
sums over positions: each published normalisation then means in a region what it means in the whole
picture, whatever the region's size, and a white mask is a channel of ones. The style loss of a
layer is ``sum_r w_r L(G_r, T_r)``; ``T_r`` is the Gram matrix of the region's whole style picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Literal

import numpy as np
import numpy.typing as npt

from nst_graph.colors import LUMA
from nst_graph.errors import PictureError
from nst_graph.layers import block_of
from nst_graph.types import FloatArray, StyleTarget


def blended(
    styles: Sequence[Mapping[str, StyleTarget]], shares: Sequence[float]
) -> Mapping[str, StyleTarget]:
    """Targets of one style in place of several; the module's text says why that is enough.

    A Gram matrix is a sum over its picture's positions. Each is brought to the same number of them,
    the weighted mean of theirs, so that a large picture does not count for more.

    Args:
        styles: of each picture, by layer.
        shares: weights that sum to 1. A single style comes back as it is.
    """
    if len(styles) == 1:
        return styles[0]
    return {layer: _mean([style[layer] for style in styles], shares) for layer in styles[0]}


def _mean(targets: Sequence[StyleTarget], shares: Sequence[float]) -> StyleTarget:
    pairs = list(zip(targets, shares, strict=True))
    positions = sum(share * target.positions for target, share in pairs)
    gram = sum(
        (positions * share / target.positions) * target.gram.astype(np.float64)
        for target, share in pairs
    )
    return StyleTarget(np.asarray(gram, np.float32), positions)


def region_masks(pictures: Sequence[npt.NDArray[np.uint8] | None]) -> tuple[FloatArray, ...]:
    """The region of each style, from the masks of those that have one.

    Args:
        pictures: uint8 [height, width, 3], all of one size; white where the style goes, grey where
            it goes in part. None: a style without a mask gets what the others leave, 1 less the sum
            of their masks.

    Returns:
        float32 [height, width], 0..1, one for each style; none if there is no mask at all.
    """
    masks = [None if pixels is None else (pixels / 255.0) @ LUMA for pixels in pictures]
    given = [mask for mask in masks if mask is not None]
    if not given:
        return ()
    rest = np.clip(1.0 - sum(given), 0.0, 1.0)
    rest[rest < 1 / 512] = 0.0  # less than half a grey level is rounding
    return tuple(np.asarray(rest if mask is None else mask, np.float32) for mask in masks)


def guides(
    mask: FloatArray, layers: Iterable[str], padding: Literal["SAME", "VALID"]
) -> dict[str, FloatArray]:
    """The guidance channel of a region for each layer, float32 [1, height, width, 1].

    The mask is averaged over the cells of the network's poolings; then it is scaled so that its
    squares sum to the layer's number of positions.

    Args:
        mask: float32 [height, width] of the image, 0..1.
        layers: canonical names.
        padding: of the network's poolings.

    Raises:
        PictureError: the mask is black, or nothing is left of it at a layer: VALID drops the last
            row and column of odd sizes.
    """
    pyramid = [mask.astype(np.float64)]
    channels = {}
    for layer in layers:
        while len(pyramid) < block_of(layer):
            pyramid.append(_pooled(pyramid[-1], padding))
        pooled = pyramid[block_of(layer) - 1]
        energy = np.sum(np.square(pooled))
        if energy == 0:
            what = f"nothing is left of the mask at {layer}" if mask.any() else "the mask is black"
            raise PictureError(what, remedy="white is where the style goes")
        guide = (pooled * np.sqrt(pooled.size / energy)).astype(np.float32)
        channels[layer] = guide[np.newaxis, :, :, np.newaxis]
    return channels


def _pooled(mask: npt.NDArray[np.float64], padding: str) -> npt.NDArray[np.float64]:
    """Means over 2x2 cells, [height, width] -> half of it, rounded as the network's poolings do."""
    if padding == "VALID":
        height, width = mask.shape
        mask = mask[: height // 2 * 2, : width // 2 * 2]
    for axis in (0, 1):
        starts = np.arange(0, mask.shape[axis], 2)
        cells = np.diff(starts, append=mask.shape[axis])
        shape = (-1, 1) if axis == 0 else (1, -1)
        mask = np.add.reduceat(mask, starts, axis) / cells.reshape(shape)
    return mask


def region_names(pictures: Iterable[str]) -> list[str]:
    """A name for each region by its style picture, without folder and extension; all different."""
    names: list[str] = []
    for picture in pictures:
        stem = re.sub(r"[^\w.+=@-]+", "-", PurePath(picture.rpartition(":")[2]).stem) or "style"
        number, name = 1, stem
        while name in names:
            number += 1
            name = f"{stem}_{number}"
        names.append(name)
    return names
