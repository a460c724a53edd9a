"""The layers of VGG-19 by name: the one table in which every alias is resolved.

Canonical names are those of MatConvNet's activations: ``relu4_2`` is the output of the second
convolution of block 4 after its ReLU. Two other spellings mean the same tensor: ``conv4_2`` in the
Coursera assignment (whose cells apply the ReLU), and ``block4_conv2`` in Keras.
Kernels are stored under ``conv4_2``. Architecture: Simonyan & Zisserman, arXiv:1409.1556, column E.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from nst_graph.errors import ConfigError

BLOCK_CONVOLUTIONS = (2, 2, 4, 4, 4)
BLOCK_CHANNELS = (64, 128, 256, 512, 512)

#: ``conv1_1`` .. ``conv5_4``, in the order of the network.
CONVOLUTIONS: tuple[str, ...] = tuple(
    f"conv{block}_{index}"
    for block, count in enumerate(BLOCK_CONVOLUTIONS, start=1)
    for index in range(1, count + 1)
)

#: ``relu1_1`` .. ``relu5_4``: the activations one can name, in the order of the network.
ACTIVATIONS: tuple[str, ...] = tuple(name.replace("conv", "relu") for name in CONVOLUTIONS)

_ALIASES: dict[str, str] = {}
for _convolution, _activation in zip(CONVOLUTIONS, ACTIVATIONS, strict=True):
    _block, _index = _convolution.removeprefix("conv").split("_")
    for _name in (_activation, _convolution, f"block{_block}_conv{_index}"):
        _ALIASES[_name] = _activation


def canonical_name(name: str) -> str:
    """Resolve ``relu4_2``, ``conv4_2`` or ``block4_conv2`` to ``relu4_2``.

    Raises:
        ConfigError: no such activation in VGG-19.
    """
    try:
        return _ALIASES[name]
    except KeyError:
        near = difflib.get_close_matches(name, _ALIASES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(
            f"unknown VGG-19 layer {name!r}",
            remedy=f"{hint}choose from: {', '.join(ACTIVATIONS)}, or an alias such as conv4_2 or "
            "block4_conv2",
        ) from None


def convolution_of(activation: str) -> str:
    """Name of the convolution that feeds an activation: ``relu4_2`` -> ``conv4_2``."""
    return canonical_name(activation).replace("relu", "conv")


def block_of(name: str) -> int:
    """Block number 1..5 of a layer under any of its names."""
    return int(canonical_name(name).removeprefix("relu").split("_")[0])


def deepest_of(names: Iterable[str]) -> str:
    """The one of ``names`` furthest from the image, by its canonical name."""
    return max((canonical_name(name) for name in names), key=ACTIVATIONS.index)


def layers_down_to(deepest: str) -> tuple[str, ...]:
    """Canonical names of the activations from the image down to ``deepest``, itself included."""
    return ACTIVATIONS[: ACTIVATIONS.index(canonical_name(deepest)) + 1]


def stride_of(name: str) -> int:
    """Input pixels between two neighbouring values of an activation."""
    return 1 << (block_of(name) - 1)


def reach_of(name: str) -> int:
    """How far an activation looks beyond its own square of the image, in pixels to each side.

    The value at (i, j) of an activation of stride s stands for the pixels s i ... s (i + 1) - 1 and
    depends on this many more before and after them: each 3x3 convolution adds one value of its own
    resolution, and 2x2 pooling at stride 2 none.
    """
    return sum(map(stride_of, layers_down_to(name)))


def kernel_shape(convolution: str) -> tuple[int, int, int, int]:
    """Shape [height, width, in, out] (HWIO) of a convolution's kernel in the full VGG-19."""
    index = CONVOLUTIONS.index(convolution)
    out_channels = BLOCK_CHANNELS[block_of(convolution) - 1]
    in_channels = 3 if index == 0 else BLOCK_CHANNELS[block_of(CONVOLUTIONS[index - 1]) - 1]
    return (3, 3, in_channels, out_channels)
