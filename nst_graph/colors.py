"""Colours: those of the style matched to the content's, and those of the content kept. NumPy only.

Pictures are uint8 [height, width, 3] RGB, and everything is done on their stored (gamma-coded)
values, as the sources do. Sources, by the names of the table:

* ``histogram``: each channel's histogram made the content's (Gonzalez & Woods, Digital Image
  Processing, "histogram specification").
* ``covariance``: mean and covariance of the colours made the content's, by the linear map of
  "Image Analogies" (Hertzmann et al., 2001), which Gatys et al. prefer to that by Cholesky
  decomposition ("Preserving Color in Neural Artistic Style Transfer", arXiv:1606.05897, section 3).

Luminance transfer is section 4 of the latter, in YIQ.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nst_graph.preprocess import Pixels

Values = npt.NDArray[np.float64]

#: Luma of ITU-R BT.601, the Y of YIQ and YUV.
LUMA: Values = np.array([0.299, 0.587, 0.114])

#: Added to the variances: a picture of one colour has none to divide by (values are 0..255).
_LEAST_VARIANCE = 1e-5


def match_histogram(style: Pixels, content: Pixels) -> Pixels:
    """The style picture with the content's histogram in each channel.

    A value goes to the content's value of the same rank. Pixels of one value stay of one value, so
    the histograms agree as far as 256 levels allow.
    """
    matched = np.empty_like(style)
    for channel in range(3):
        wanted = np.cumsum(np.bincount(content[..., channel].ravel(), minlength=256))
        counts = np.bincount(style[..., channel].ravel(), minlength=256)
        # The rank of a value is the middle of those of its pixels: a flat patch maps to its median.
        ranks = (np.cumsum(counts) - counts / 2) / counts.sum()
        levels = np.searchsorted(wanted / wanted[-1], ranks).clip(0, 255)
        matched[..., channel] = levels.astype(np.uint8)[style[..., channel]]
    return matched


def match_covariance(style: Pixels, content: Pixels) -> Pixels:
    """The style picture with the content's mean colour and covariance of colours.

    x -> C^(1/2) S^(-1/2) (x - mean of style) + mean of content, with C and S the covariances of
    content and style, and symmetric square roots. What falls outside 0..255 is clipped.
    """
    mean, covariance = _moments(style)
    wanted_mean, wanted_covariance = _moments(content)
    matrix = _power(wanted_covariance, 0.5) @ _power(covariance, -0.5)
    return _as_pixels((style - mean) @ matrix.T + wanted_mean)


def _moments(pixels: Pixels) -> tuple[Values, Values]:
    """Mean colour [3] and covariance [3, 3]."""
    flat = pixels.reshape(-1, 3).astype(np.float64)
    covariance = np.cov(flat, rowvar=False, bias=True) + _LEAST_VARIANCE * np.eye(3)
    return flat.mean(axis=0), covariance


def _power(matrix: Values, exponent: float) -> Values:
    """Of a symmetric positive definite matrix, by its eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    powers: Values = np.maximum(values, _LEAST_VARIANCE) ** exponent
    result: Values = (vectors * powers) @ vectors.T
    return result


#: Ways to match colours: (style, content) -> style.
COLOR_MATCHES: dict[str, Callable[[Pixels, Pixels], Pixels]] = {
    "histogram": match_histogram,
    "covariance": match_covariance,
}


def with_chrominance_of(content: Pixels, result: Pixels) -> Pixels:
    """The luminance of ``result`` with the chrominance (I and Q) of ``content``.

    A change of Y alone adds the same to R, G and B, so that is what is done, without leaving RGB.
    Where a channel would leave 0..255 it is clipped, which shifts colour and luminance there.

    Args:
        content: uint8 [height, width, 3].
        result: of the same shape.
    """
    change = (result.astype(np.float64) - content) @ LUMA
    return _as_pixels(content + change[..., np.newaxis])


def _as_pixels(values: Values) -> Pixels:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
