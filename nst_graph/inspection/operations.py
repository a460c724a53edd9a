"""A job's graph without its data: built to be looked at, never run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from nst_graph.builders import choose_builder
from nst_graph.config import Job, LbfgsSettings
from nst_graph.layers import CONVOLUTIONS, kernel_shape
from nst_graph.objective import Objective
from nst_graph.optimizers import add_update
from nst_graph.problem import Problem
from nst_graph.regions import region_names
from nst_graph.types import FloatArray, Provenance, Region, StyleTarget, Targets, VggWeights

tf1 = tf.compat.v1


#: Height, width and channels of each named layer.
Sizes = Mapping[str, tuple[int, int, int]]


def operation_names(job: Job, shape: tuple[int, int], layers: Sizes) -> tuple[list[str], set[str]]:
    """Names of the operations of a job's graph, and of those that an update runs.

    For L-BFGS an update is an evaluation: losses and gradient.

    Args:
        job: whose graph.
        shape: height and width of the image.
        layers: sizes of the network's activations for that image.
    """
    objective = Objective(job.network, job.content_layers, job.style_layers, job.losses)
    ingredients = _zeros(1, *shape, 3), _weights(), _targets(job, layers), objective
    problem = Problem(*ingredients, build=choose_builder(job.session))
    wanted = [*problem.terms.values(), problem.gradient]
    names = [tensor.op.name for tensor in wanted]
    if not isinstance(job.optimizer, LbfgsSettings):
        names = [*names[:-1], add_update(problem, job.optimizer).name]
    graph = problem.graph.as_graph_def()
    needed = tf1.graph_util.extract_sub_graph(graph, names)
    return [node.name for node in graph.node], {node.name for node in needed.node}


def _zeros(*shape: int) -> FloatArray:
    """Zeros of any shape in the memory of one."""
    return np.broadcast_to(np.zeros((), np.float32), shape)


def _weights() -> VggWeights:
    shapes = {name: kernel_shape(name) for name in CONVOLUTIONS}
    return VggWeights(
        {name: _zeros(*shape) for name, shape in shapes.items()},
        {name: _zeros(shape[-1]) for name, shape in shapes.items()},
        "RGB",
        np.zeros(3, np.float32),
        Provenance("none", "zeros", ""),
    )


def _targets(job: Job, layers: Sizes) -> Targets:
    def activation(name: str) -> FloatArray:
        return _zeros(1, *layers[name])

    def grams() -> dict[str, StyleTarget]:
        counts = {name: layers[name][-1] for name in job.style_layers}
        return {name: StyleTarget(_zeros(count, count), 1) for name, count in counts.items()}

    content = {name: activation(name) for name in job.content_layers}
    if not job.regions:
        return Targets(content, grams())
    guides = {name: _zeros(1, *layers[name][:2], 1) for name in job.style_layers}
    names = region_names(style.picture for style in job.styles)
    return Targets(content, {}, tuple(Region(name, 1.0, guides, grams()) for name in names))
