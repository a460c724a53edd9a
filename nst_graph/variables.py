"""Variables that hold data: kernels, targets, images. Their values are fed once, when initialised.

A constant would be copied with every copy of the GraphDef; a variable's value never enters it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf

tf1 = tf.compat.v1

InitialValues = dict[tf.Tensor, npt.NDArray[np.floating]]


def fed_variable(
    name: str,
    value: npt.NDArray[np.floating],
    dtype: tf.DType,
    initial_values: InitialValues,
    *,
    trainable: bool = False,
    made: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tf.Variable:
    """A resource variable in the default graph, initialised from a placeholder.

    Args:
        name: within the current variable scope.
        value: what it is to hold; converted to ``dtype`` when fed.
        dtype: of the variable.
        initial_values: gains the placeholder and its value, to feed to the initializer's run.
        trainable: put it among the graph's trainable variables.
        made: from what is fed, what the variable holds; None: what is fed.
    """
    fed = tf1.placeholder(dtype, value.shape, name=f"initial_{name}")
    held = fed if made is None else made(fed)
    variable = tf1.get_variable(name, initializer=held, trainable=trainable, use_resource=True)
    initial_values[fed] = value.astype(dtype.as_numpy_dtype, copy=False)
    return variable
