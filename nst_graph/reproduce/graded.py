"""The assignment's graded cells, through the package's own losses. They need no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_graph.config import SessionSettings
from nst_graph.losses import StyleShape, coursera_content, coursera_style, gram_matrix
from nst_graph.op_seeds import tf1_op_seeds
from nst_graph.recipes import find_recipe
from nst_graph.session import session_config

tf1 = tf.compat.v1

Measured = Mapping[str, npt.ArrayLike]

#: Both editions draw from N(1, 4) with seed 1; activations are [1, 4, 4, 3].
_SEED, _MEAN, _STDDEV = 1, 1.0, 4.0
_ACTIVATION = (1, 4, 4, 3)
_LAYER = StyleShape(channels=3, positions=16, style_positions=16, image_positions=16)


def measure(target: str) -> Measured:
    """Values of a target's graded cells by name; ``target`` is a key of ``CELLS``."""
    return CELLS[target]()


def tf32_in_use() -> bool:
    """Whether the newer edition's cells were computed with TF32 arithmetic, on a GPU."""
    return bool(tf.config.list_physical_devices("GPU")) and bool(
        tf.config.experimental.tensor_float_32_execution_enabled()
    )


def tf1_cells() -> Measured:
    """The edition of 2017: graph mode, seeds by the op counter, always on the CPU.

    Its values are older than TF32.
    """
    config = session_config(SessionSettings(device="cpu"))
    with tf1_op_seeds(_SEED) as random, tf1.Session(config=config) as session:
        first, second = (random.normal(_ACTIVATION, _MEAN, _STDDEV) for _ in range(2))
        content, style = session.run([_content(first, second), _style(first, second)])
    with tf1_op_seeds(_SEED) as random, tf1.Session(config=config) as session:
        gram = session.run(_gram(random.normal((3, 2), _MEAN, _STDDEV)))
    generator = np.random.RandomState(3)
    total = _total(generator.randn(), generator.randn())
    return {"J_content": content, "gram": gram, "J_style_layer": style, "J_total": total}


def tf2_cells() -> Measured:
    """The newer edition: eager mode, on the device that TensorFlow chooses.

    It sets TensorFlow's global seed, as every cell of the notebook does.
    """
    content = _content(*_eager_draws((1, *_ACTIVATION), (1, *_ACTIVATION)))
    (matrix,) = _eager_draws((3, 2))
    style = _style(*_eager_draws(_ACTIVATION, _ACTIVATION))
    generator = np.random.RandomState(1)
    total = _total(generator.uniform(), generator.uniform())
    return {
        "J_content": content.numpy(),
        "gram": _gram(matrix).numpy(),
        "J_style_layer": style.numpy(),
        "J_total": total,
    }


CELLS: dict[str, Callable[[], Measured]] = {"coursera": tf1_cells, "coursera-tf2": tf2_cells}


def _eager_draws(*shapes: tuple[int, ...]) -> list[tf.Tensor]:
    """Draws of one cell: the seed is set before the first."""
    tf.random.set_seed(_SEED)
    return [tf.random.normal(shape, mean=_MEAN, stddev=_STDDEV) for shape in shapes]


def _content(target: tf.Tensor, generated: tf.Tensor) -> tf.Tensor:
    """compute_content_cost; the newer edition's tensors stand in a list of layers, [1, 1, ...]."""
    return coursera_content(tf.reshape(generated, _ACTIVATION), tf.reshape(target, _ACTIVATION))


def _style(target: tf.Tensor, generated: tf.Tensor) -> tf.Tensor:
    """compute_layer_style_cost."""
    return coursera_style(gram_matrix(generated), gram_matrix(target), _LAYER)


def _gram(matrix: tf.Tensor) -> tf.Tensor:
    """The cell's gram_matrix(A) = A A^T of [channels, positions], as that of an activation."""
    channels, positions = matrix.shape
    return gram_matrix(tf.reshape(tf.transpose(matrix), [1, positions, 1, channels]))


def _total(content: float, style: float) -> float:
    """total_cost with the recipe's weights, alpha = 10 and beta = 40."""
    losses = find_recipe("coursera").losses
    return losses.content_weight * content + losses.style_weight * style
