"""A 3x3 convolution with a quarter of the multiplications: Winograd's F(4x4, 3x3).

A tile of 4 x 4 outputs needs 6 x 6 inputs. Directly it takes 144 products per pair of channels;
here tile and kernel are turned into 36 values each, and those are multiplied one by one. Over all
tiles and channels that is 36 products of matrices. What is left is the way there and back, a few
additions for each value, compiled by XLA into one pass each.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_graph.fast.fused import Fused
from nst_graph.variables import InitialValues, fed_variable

#: Outputs of a tile along one side, and inputs that they need.
TILE, WINDOW = 4, 6

#: Where polynomials are evaluated, beside infinity. The usual 0, +-1, +-2 make three times the
#: rounding error; of these, too, float32 holds the transforms' matrices (not the kernels') exactly.
POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)

#: With fewer channels the transforms cost more than the products save; with fewer operations half a
#: second of compiling costs more than fifty steps save.
FEWEST_CHANNELS, FEWEST_OPERATIONS = 64, 2e9

#: Tiles times channels that are transformed at one time: 36 float32 of each, 19 MB, are multiplied
#: before the processor's cache has lost them, and bound what this method needs of memory.
STRIP_VALUES = 1 << 17

Matrix = npt.NDArray[np.float64]


def minimal_filtering() -> tuple[Matrix, Matrix, Matrix]:
    """The matrices (output, kernel, input) = (A^T, G, B^T) of F(4, 3) in one dimension.

    ``A^T ((G k) * (B^T d))`` is the correlation of ``d`` (6) with ``k`` (3), its 4 outputs.

    They follow from evaluating two polynomials at the points, multiplying the values, and reading
    the product's coefficients off by Lagrange's formula; transposed, so that a product of
    polynomials becomes a correlation.
    """
    polynomial = np.polynomial.polynomial
    output, kernel = np.zeros((TILE, WINDOW)), np.zeros((WINDOW, 3))
    inputs = np.zeros((WINDOW, WINDOW))
    for row, point in enumerate(POINTS):
        others = [other for other in POINTS if other != point]
        output[:, row] = point ** np.arange(TILE)
        kernel[row] = point ** np.arange(3) / np.prod([point - other for other in others])
        inputs[row, : WINDOW - 1] = polynomial.polyfromroots(others)
    output[-1, -1] = kernel[-1, -1] = 1
    inputs[-1] = polynomial.polyfromroots(POINTS)
    return output, kernel, inputs


_OUTPUT, _KERNEL, _INPUT = minimal_filtering()


def worthwhile(height: int, width: int, inputs: int, outputs: int) -> bool:
    """Whether a convolution of that size is faster by this method on a CPU."""
    operations = 2 * 9 * height * width * inputs * outputs
    return min(inputs, outputs) >= FEWEST_CHANNELS and operations >= FEWEST_OPERATIONS


class WinogradFilter:
    """Correlation with a 3x3 kernel, zeros beyond the borders: a ``convolution.Filter``.

    Args:
        name: of its variable, within the current variable scope.
        kernel: [3, 3, in, out].
        fused: compiles the transforms.
        initial_values: gains what to feed to the run of the variable's initializer.
    """

    def __init__(
        self,
        name: str,
        kernel: npt.NDArray[np.floating],
        fused: Fused,
        initial_values: InitialValues,
    ) -> None:
        self._fused = fused
        self._outputs = kernel.shape[3]
        held = fed_variable(name, kernel, tf.float32, initial_values, made=transformed_kernel)
        self._kernels = tf.unstack(held.read_value())

    def __call__(self, features: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
        # Without bias and ReLU it is the same compiled function, with values that change nothing.
        floor = tf.constant(-np.inf if bias is None else 0.0, tf.float32)
        bias = tf.zeros([self._outputs]) if bias is None else bias
        _, height, width, channels = features.shape
        picture = tf.reshape(features, [height, width, channels])
        parts: list[tf.Tensor] = []
        made = 0
        for start, stop in strips(height, width, channels):
            with tf.control_dependencies(parts[-1:]):
                rows = tf.identity(picture[max(0, start - 1) : stop + 3])
            above, right = int(start == 0), -width % TILE + 3
            below = stop - start + TILE - above - rows.shape[0]
            values = self._transformed(tf.pad(rows, [[above, below], [1, right], [0, 0]]))
            products = [
                tf.matmul(value, kernel)
                for value, kernel in zip(values, self._kernels, strict=True)
            ]
            part = self._joined(products, (stop - start) // TILE, width, (bias, floor))
            parts.append(part[made - start : height - start])
            made = stop
        return tf.concat(parts, axis=0)[tf.newaxis]

    def _transformed(self, padded: tf.Tensor) -> list[tf.Tensor]:
        rows = self._fused(input_rows, padded)
        return [value for row in rows for value in self._fused(input_columns, row)]

    def _joined(
        self, products: list[tf.Tensor], tile_rows: int, width: int, end: Sequence[tf.Tensor]
    ) -> tf.Tensor:
        rows = [
            tf.reshape(
                self._fused(output_columns, *products[start : start + WINDOW]),
                [tile_rows, -1, self._outputs],
            )
            for start in range(0, WINDOW**2, WINDOW)
        ]
        return self._fused(OutputRows(width), *end, *rows)


def strips(height: int, width: int, channels: int) -> Iterator[tuple[int, int]]:
    """First row and last (excluded) of strips of whole tiles that together cover a picture.

    All are of one height, so that one compiled function serves them: the last one begins within the
    one before it, and may reach beyond the picture's lower border.
    """
    tile_rows, columns = -(-height // TILE), -(-width // TILE)
    count = min(tile_rows, -(-tile_rows * columns * channels // STRIP_VALUES))
    rows = -(-tile_rows // count)
    for first in range(0, tile_rows, rows):
        start = min(first, tile_rows - rows)
        yield TILE * start, TILE * (start + rows)


def transformed_kernel(kernel: tf.Tensor) -> tf.Tensor:
    """[3, 3, in, out] -> [36, in, out]."""
    *_, inputs, outputs = kernel.shape
    both_ways = tf.constant(np.kron(_KERNEL, _KERNEL), kernel.dtype)
    # One product, and nothing beside it that would be as large and wait to be freed.
    transformed = tf.matmul(both_ways, tf.reshape(kernel, [9, inputs * outputs]))
    return tf.reshape(transformed, [WINDOW**2, inputs, outputs])


def input_rows(padded: tf.Tensor) -> list[tf.Tensor]:
    """The transform from top to bottom, [4 (rows + 1), width, channels] to 6 of [rows, width,
    channels]; every window of six begins four below the one before, and the last two rows are in
    none.
    """
    height, width, channels = padded.shape
    groups = tf.reshape(padded, [height // TILE, TILE, width, channels])
    window = [groups[:-1, i] for i in range(TILE)] + [groups[1:, i] for i in range(WINDOW - TILE)]
    return combinations(_INPUT, window)


def input_columns(rows: tf.Tensor) -> list[tf.Tensor]:
    """The same from left to right, [rows, 4 (columns + 1), channels] to 6 of [rows * columns,
    channels].
    """
    height, width, channels = rows.shape
    groups = tf.reshape(rows, [height, width // TILE, TILE, channels])
    window = [groups[:, :-1, i] for i in range(TILE)]
    window += [groups[:, 1:, i] for i in range(WINDOW - TILE)]
    return [tf.reshape(value, [-1, channels]) for value in combinations(_INPUT, window)]


def output_columns(*products: tf.Tensor) -> tf.Tensor:
    """The way back from left to right: 6 of [tiles, channels] to [tiles, 4, channels]."""
    return tf.stack(combinations(_OUTPUT, products), axis=1)


@dataclass(frozen=True)
class OutputRows:
    """The way back from top to bottom, and what follows a convolution.

    Attributes:
        width: of the picture; columns of tiles that reach beyond are cut off.
    """

    width: int

    def __call__(self, bias: tf.Tensor, floor: tf.Tensor, *rows: tf.Tensor) -> tf.Tensor:
        """6 of [rows, 4 columns, channels] to [4 rows, width, channels]; ``bias`` [channels] is
        added, and what is less than ``floor`` raised to it.
        """
        tile_rows, _, channels = rows[0].shape
        joined = tf.stack(combinations(_OUTPUT, [row[:, : self.width] for row in rows]), axis=1)
        features = tf.reshape(joined, [TILE * tile_rows, self.width, channels])
        return tf.maximum(features + bias, floor)


def combinations(matrix: Matrix, terms: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """``matrix @ terms``, spelled out without the zeros."""
    sums = []
    for row in matrix:
        weighted = [factor * term for factor, term in zip(row, terms, strict=True) if factor]
        total = weighted[0]
        for term in weighted[1:]:
            total += term
        sums.append(total)
    return sums
