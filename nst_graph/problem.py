"""The optimisation problem: one graph, one session, the image as a variable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from nst_graph.objective import Objective, TargetTensors, held_targets, loss_terms
from nst_graph.types import FloatArray, Targets, VggWeights
from nst_graph.variables import InitialValues, fed_variable
from nst_graph.vgg19 import Vgg19, build_vgg19

tf1 = tf.compat.v1


def build_network(image: tf.Tensor, weights: VggWeights, objective: Objective) -> Vgg19:
    """VGG-19 as the objective wants it, no deeper than its deepest layer."""
    settings = objective.network
    matched = weights.in_channel_order(settings.channel_order)
    return build_vgg19(image, matched, settings.pooling, settings.padding, objective.deepest)


def build_terms(
    image: tf.Tensor, network: Vgg19, targets: Targets, objective: Objective
) -> dict[str, tf.Tensor]:
    """The objective's ``loss_terms`` in the default graph, the targets held by variables.

    Args:
        image: the network's input, [1, height, width, 3].
        network: built on ``image``; its ``initial_values`` gain the targets.
        targets: by canonical layer name.
        objective: formulas and weights.
    """
    held = target_tensors(targets, image.dtype, objective, network.initial_values)
    return loss_terms(image, network.activations, held, objective)


def target_tensors(
    targets: Targets, dtype: tf.DType, objective: Objective, initial_values: InitialValues
) -> TargetTensors:
    """Targets held by variables of the default graph; ``initial_values`` gain what to feed."""

    def hold(name: str, value: npt.NDArray[np.floating]) -> tf.Tensor:
        return fed_variable(name, value, dtype, initial_values).read_value()

    with tf1.variable_scope("targets"):
        return held_targets(targets, objective, hold)


@dataclass(frozen=True)
class BuiltStep:
    """What a step computes, as tensors of the default graph.

    Attributes:
        terms: named scalars, "total" among them, as of ``loss_terms``.
        gradient: of "total" with respect to the image, of its shape and dtype.
        initial_values: what to feed to the run of the variables' initializer.
    """

    terms: Mapping[str, tf.Tensor]
    gradient: tf.Tensor
    initial_values: InitialValues


#: Builds loss and gradient of an image [1, height, width, 3] in the default graph.
StepBuilder = Callable[[tf.Tensor, VggWeights, Targets, Objective], BuiltStep]


def build_step(
    image: tf.Tensor, weights: VggWeights, targets: Targets, objective: Objective
) -> BuiltStep:
    """The reference: network and losses as they are defined, the gradient by TensorFlow."""
    network = build_network(image, weights, objective)
    terms = build_terms(image, network, targets, objective)
    with tf1.name_scope("gradient"):
        (gradient,) = tf1.gradients(terms["total"], [image])
    return BuiltStep(terms, gradient, network.initial_values)


class Problem:
    """Image, loss terms and gradient in a graph of their own, with an open session.

    The network stands on ``network_input``, a placeholder that defaults to the image variable: an
    optimiser in the graph updates the variable, one outside feeds the placeholder. (Fed in place of
    a resource variable, a value would be ignored without a word.)

    Use as a context manager. Optimisers add their ops to ``graph`` before ``start`` is called.

    Attributes:
        graph: the graph.
        image: the variable, float32 [1, height, width, 3].
        network_input: the tensor to feed, of the same shape.
        terms: named scalars, "total" among them.
        gradient: of "total" with respect to the image, of its shape.
        channel_order: of the image.
        session: open once ``start`` was called.
    """

    def __init__(
        self,
        initial: FloatArray,
        weights: VggWeights,
        targets: Targets,
        objective: Objective,
        config: Any = None,
        build: StepBuilder = build_step,
    ) -> None:
        self._config = config
        self._session: Any = None
        self.channel_order = objective.network.channel_order
        self.graph = tf.Graph()
        with self.graph.as_default():
            own_values: InitialValues = {}
            self.image = fed_variable("image", initial, tf.float32, own_values, trainable=True)
            self.network_input = tf1.placeholder_with_default(
                self.image.read_value(), initial.shape, name="network_input"
            )
            step = build(self.network_input, weights, targets, objective)
        self.terms, self.gradient = step.terms, step.gradient
        self._initial_values: InitialValues = {**own_values, **step.initial_values}

    def __enter__(self) -> Problem:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the session, if there is one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def start(self) -> None:
        """Finalize the graph, open the session and initialise every variable."""
        with self.graph.as_default():
            initializer = tf1.global_variables_initializer()
        self.graph.finalize()
        self._session = tf1.Session(graph=self.graph, config=self._config)
        self._session.run(initializer, self._initial_values)
        self._initial_values.clear()

    @property
    def session(self) -> Any:
        if self._session is None:
            raise RuntimeError("the problem has no session yet: call start() first")
        return self._session

    def read_image(self) -> FloatArray:
        """The image as it is now, float32 [1, height, width, 3]."""
        image: FloatArray = self.session.run(self.image)
        return image

    def read_losses(self) -> dict[str, float]:
        """Every named term for the image as it is now, in one session run."""
        return as_floats(self.session.run(self.terms))

    def loss_and_gradient(
        self, image: FloatArray
    ) -> tuple[dict[str, float], npt.NDArray[np.float32]]:
        """Terms and gradient for an image fed from outside; the variable stays as it is."""
        terms, gradient = self.session.run((self.terms, self.gradient), {self.network_input: image})
        return as_floats(terms), gradient


def as_floats(terms: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in terms.items()}
