"""The optimisers of the eager engines: Keras's, with the settings of a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from nst_graph.config import AdamSettings, SgdSettings


class Tf1Adam(tf_keras.optimizers.Optimizer):  # type: ignore[misc]
    """Adam as a Keras optimiser, with the arithmetic of TensorFlow 1.

    The rule is that of Keras's Adam, and epsilon stands in the same place; two factors are rounded
    otherwise. TF1 takes 1 - beta2 of the float32 beta2, Keras of the Python number, which for 0.999
    differs by 1.3e-5; and TF1 multiplies up its powers of the betas, where Keras takes ``pow``.
    Steps of Keras's Adam differ by about 7e-6 for it, and in 50 of them two runs that have nothing
    else between them can drift apart by 3e-4 in their losses. This is the very operation that
    TF1's optimiser puts into a graph.

    Args:
        settings: rate, decays, epsilon.
    """

    def __init__(self, settings: AdamSettings) -> None:
        super().__init__(name="Adam", jit_compile=False)
        self._learning_rate = self._build_learning_rate(settings.learning_rate)
        self._betas = (settings.beta1, settings.beta2)
        self._epsilon = settings.epsilon

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Make the slots and powers of the one variable that is optimised, once."""
        if getattr(self, "_built", False):  # apply_gradients calls this every time
            return
        super().build(var_list)
        self._built = True
        (variable,) = var_list
        self._mean = self.add_variable_from_reference(variable, "m")
        self._square = self.add_variable_from_reference(variable, "v")
        self._powers = [
            self.add_variable(
                (), initializer=lambda *_, value=beta: value, name=f"beta{number}_power"
            )
            for number, beta in enumerate(self._betas, start=1)
        ]

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """One step; called by ``apply_gradients``."""
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._mean.handle,
            v=self._square.handle,
            beta1_power=self._powers[0],
            beta2_power=self._powers[1],
            lr=self.learning_rate,
            beta1=self._betas[0],
            beta2=self._betas[1],
            epsilon=self._epsilon,
            grad=gradient,
        )
        for power, beta in zip(self._powers, self._betas, strict=True):
            power.assign(power * beta)

    def get_config(self) -> dict[str, Any]:
        """Not supported: nothing saves this optimiser."""
        raise NotImplementedError


def _sgd(settings: SgdSettings) -> Any:
    rate = tf_keras.optimizers.schedules.ExponentialDecay(
        settings.learning_rate, settings.decay_steps, settings.decay_rate
    )
    # Left to itself Keras compiles the update on a GPU, and not on a CPU.
    return tf_keras.optimizers.SGD(rate, jit_compile=False)


_BUILDERS: dict[str, Callable[[Any], Any]] = {"adam": Tf1Adam, "sgd": _sgd}


def keras_optimizer(settings: AdamSettings | SgdSettings, variable: tf.Variable) -> Any:
    """A Keras optimiser whose slots for ``variable`` are made already.

    (A ``tf.function`` may not make variables after its first trace.)
    """
    optimizer = _BUILDERS[settings.name](settings)
    optimizer.build([variable])
    return optimizer
