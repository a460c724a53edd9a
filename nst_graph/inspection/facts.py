"""What a job would cost, worked out before it is run: layers, memory, operations.

Layers, parameters, memory, arithmetic and receptive fields follow from formulas; the operations of
the graph are counted in the graph itself, which is built on zeros and never run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nst_graph.config import Job
from nst_graph.layers import (
    block_of,
    convolution_of,
    deepest_of,
    kernel_shape,
    layers_down_to,
)
from nst_graph.plan import Plan

#: Bytes of a float32.
VALUE_BYTES = 4

#: Matrix products of a Gram matrix and of its gradient: F^T F, and one for each of its factors.
GRAM_PRODUCTS = 3


@dataclass(frozen=True)
class LayerFacts:
    """One activation or pooling.

    Attributes:
        name: canonical, or "pool1" ...
        height, width, channels: of its output.
        parameters: kernel and bias values.
        memory_bytes: of its output, float32.
        step_flops: floating point operations of one step: the convolution, the gradient with
            respect to its input (none is needed for kernels), the Gram matrix and its gradient.
            A multiplication and an addition count as two; elementwise work is left out.
        receptive_field: side of the square of input pixels that one output value depends on.
        stride: input pixels between two neighbouring outputs.
        content, style: its coefficients in the losses; None where it is in neither.
    """

    name: str
    height: int
    width: int
    channels: int
    parameters: int
    memory_bytes: int
    step_flops: int
    receptive_field: int
    stride: int
    content: float | None = None
    style: float | None = None


@dataclass(frozen=True)
class ScopeFacts:
    """The operations of one name scope.

    Attributes:
        scope: first part of their names; "" for those without one.
        built: operations in the graph.
        run: those that an update runs; the others initialise variables, or are read apart from it.
    """

    scope: str
    built: int
    run: int


@dataclass(frozen=True)
class Inspection:
    """What ``inspect_job`` found.

    Attributes:
        height, width: of the image.
        layers: from the image down to the deepest that the job names, poolings among them.
        scopes: of the graph engine's graph, the largest first.
    """

    height: int
    width: int
    layers: tuple[LayerFacts, ...]
    scopes: tuple[ScopeFacts, ...]

    @property
    def totals(self) -> dict[str, int]:
        """Sums over the layers and scopes."""
        return {
            "parameters": sum(layer.parameters for layer in self.layers),
            "memory_bytes": sum(layer.memory_bytes for layer in self.layers),
            "step_flops": sum(layer.step_flops for layer in self.layers),
            "operations_built": sum(scope.built for scope in self.scopes),
            "operations_run": sum(scope.run for scope in self.scopes),
        }

    def as_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return {**asdict(self), "totals": self.totals}


def inspect_job(plan: Plan) -> Inspection:
    """Look at a plan without running it; TensorFlow builds its graph, on zeros."""
    height, width = plan.content.shape
    layers = tuple(layer_facts(plan.job, height, width))
    return Inspection(height, width, layers, count_operations(plan.job, height, width, layers))


def layer_facts(job: Job, height: int, width: int) -> Iterator[LayerFacts]:
    """The layers of a job's network for an image of that size, by formulas alone."""
    wanted = [*job.content_layers, *job.style_layers]
    field, stride, block = 1, 1, 1
    for name in layers_down_to(deepest_of(wanted)):
        *_, inputs, channels = kernel_shape(convolution_of(name))
        if block_of(name) != block:
            # A last odd row is kept by SAME and dropped by VALID.
            odd = job.network.padding == "SAME"
            height, width = (height + odd) // 2, (width + odd) // 2
            field, stride = field + stride, 2 * stride
            yield _pooling(f"pool{block}", (height, width, inputs), field, stride)
            block = block_of(name)
        field += 2 * stride
        positions = height * width
        flops = 2 * _products(9 * inputs * channels, positions)
        if name in job.style_layers:
            flops += max(1, job.regions) * GRAM_PRODUCTS * _products(channels**2, positions)
        yield LayerFacts(
            name=name,
            height=height,
            width=width,
            channels=channels,
            parameters=(9 * inputs + 1) * channels,
            memory_bytes=VALUE_BYTES * positions * channels,
            step_flops=flops,
            receptive_field=field,
            stride=stride,
            content=job.content_layers.get(name),
            style=job.style_layers.get(name),
        )


def _products(multiplications: int, positions: int) -> int:
    """Operations of so many multiplications, each with an addition, at each position."""
    return 2 * multiplications * positions


def _pooling(name: str, shape: tuple[int, int, int], field: int, stride: int) -> LayerFacts:
    height, width, channels = shape
    memory = VALUE_BYTES * height * width * channels
    return LayerFacts(name, height, width, channels, 0, memory, 0, field, stride)


def count_operations(
    job: Job, height: int, width: int, layers: Sequence[LayerFacts]
) -> tuple[ScopeFacts, ...]:
    """Operations of the graph engine's graph by name scope, the largest scope first."""
    from nst_graph.inspection.operations import operation_names  # which imports TensorFlow

    sizes = {layer.name: (layer.height, layer.width, layer.channels) for layer in layers}
    built, run = operation_names(job, (height, width), sizes)
    scope_of = {name: name.rpartition("/")[0].split("/")[0] for name in built}
    sizes_of = Counter(scope_of.values())
    counts: dict[str, list[int]] = {}
    for name, scope in scope_of.items():
        # A scope of one operation is a part of what TensorFlow writes for a single call.
        count = counts.setdefault(scope if sizes_of[scope] > 1 else "", [0, 0])
        count[0] += 1
        count[1] += name in run
    scopes = (ScopeFacts(scope, *count) for scope, count in counts.items())
    return tuple(sorted(scopes, key=lambda scope: (-scope.built, scope.scope)))
