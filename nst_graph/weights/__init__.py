"""Weights of VGG-19: from MatConvNet's .mat, from Keras's .h5, or made from a seed.

``resolve`` finds the source and the file in no time, ``load`` reads them into a ``VggWeights``.
"""

from __future__ import annotations

from nst_graph.weights.describe import WeightsFacts, describe
from nst_graph.weights.loading import load
from nst_graph.weights.sources import (
    SOURCE_CHOICES,
    SOURCES,
    ResolvedWeights,
    Source,
    WeightsRequest,
    resolve,
)

__all__ = [
    "SOURCES",
    "SOURCE_CHOICES",
    "ResolvedWeights",
    "Source",
    "WeightsFacts",
    "WeightsRequest",
    "describe",
    "load",
    "resolve",
]
