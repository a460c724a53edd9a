"""Each known mistake, made by another program, is named by the diagnosis.

The other program is the NumPy oracle: the mistakes are put into it, not into the package, so that
a diagnosis cannot recognise them merely because both sides share code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from networks import seeded_weights
from threadpoolctl import threadpool_limits

pytestmark = pytest.mark.tensorflow

pytest.importorskip("tensorflow")

from nst_graph.jobs import make_job  # noqa: E402
from nst_graph.plan import make_plan  # noqa: E402
from nst_graph.reproduce.diagnosis import (  # noqa: E402
    CAUSES,
    Setup,
    diagnose,
    examine_kernels,
    setup_of,
)
from nst_graph.reproduce.expected import expected, targets  # noqa: E402
from nst_graph.reproduce.findings import MATCH_RTOL  # noqa: E402
from nst_graph.types import VggWeights  # noqa: E402
from nst_graph.weights import ResolvedWeights, load  # noqa: E402

TRACE = targets()["coursera"].trace
assert TRACE is not None
MEAN_RGB = np.array((123.68, 116.779, 103.939), np.float32)
SIZE = (32, 40)
#: The assignment's loss on the first two blocks: deep enough for every mistake, and quick.
FORMULA = replace(
    oracle.FORMULAS["coursera"],
    content_layer="relu2_2",
    style_layers=("relu1_1", "relu2_1"),
    style_share=0.2,
)

Losses = dict[str, float]


def published_first_layer(weights: VggWeights) -> VggWeights:
    """The weights with the published values put where conv1_1 has them."""
    kernel = weights.kernels["conv1_1"].copy()
    kernel[0, 0, 0, :3] = expected("coursera", "kernel_row").value
    kernel[0, 1, 0, 0] = expected("coursera", "kernel_right").value
    kernel[1, 0, 0, 0] = expected("coursera", "kernel_below").value
    return replace(weights, kernels={**weights.kernels, "conv1_1": kernel})


@pytest.fixture(scope="module")
def setup() -> Setup:
    """The assignment at a small size, on two blocks with few channels."""
    job = make_job(
        {
            "recipe": "coursera",
            "content": "embedded:landscape",
            "style": "embedded:painting",
            "output": "unused",
            "size": list(SIZE),
            "style_size": list(SIZE),
            "content_layers": {FORMULA.content_layer: 1.0},
            "style_layers": dict.fromkeys(FORMULA.style_layers, 0.2),
            "weights": {"source": "random"},
            "session": {"device": "cpu"},
        }
    )
    return setup_of(make_plan(job), published_first_layer(seeded_weights(3)))


def network_input(pixels: np.ndarray) -> np.ndarray:
    return (pixels.astype(np.float32) - MEAN_RGB)[np.newaxis]


def initial(content: np.ndarray, draws: int = 1) -> np.ndarray:
    """0.6 noise + 0.4 content, the noise drawn so many times after seed 3 and two randn()."""
    np.random.seed(3)
    np.random.randn()
    np.random.randn()
    for _ in range(draws):
        noise = np.random.uniform(-20, 20, content.shape).astype("float32")
    return noise * 0.6 + content * 0.4


def other_program(
    setup: Setup,
    *,
    first: Callable[[np.ndarray], np.ndarray] = initial,
    kernels: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    biases: dict[str, Any] | None = None,
    pictures: Callable[[np.ndarray], np.ndarray] = np.asarray,
    pooling: oracle.Pooling = "avg",
    updates: int = 1,
) -> Losses:
    """The losses that a notebook prints for iteration 0, with what mistakes are given."""
    content, style = (network_input(pictures(p)) for p in (setup.content, setup.style))
    formula = replace(FORMULA, pooling=pooling)
    network = (kernels(dict(setup.weights.kernels)), biases or setup.weights.biases)

    def losses(image: np.ndarray) -> tuple[Losses, np.ndarray]:
        # In float64: Adam's first step is the gradient's sign, which must not hang on rounding.
        image, *fixed = (array.astype(np.float64) for array in (image, content, style))
        return oracle.loss_and_gradient(formula, image, *fixed, *network)

    image = oracle.adam(lambda x: losses(x)[1], first(content), updates, lr=2.0)
    terms, _ = losses(image)
    return {name: terms[name] for name in ("total", "content", "style")}


def transposed(kernels: dict[str, Any]) -> dict[str, Any]:
    return {name: np.swapaxes(kernel, 0, 1) for name, kernel in kernels.items()}


def swapped(kernels: dict[str, Any]) -> dict[str, Any]:
    return {**kernels, "conv1_1": np.flip(kernels["conv1_1"], axis=2)}


MISTAKES: dict[str, dict[str, Any]] = {
    "noise_drawn_twice": {"first": lambda content: initial(content, draws=2)},
    "zero_image": {"first": np.zeros_like},
    "kernels_transposed": {"kernels": transposed},
    "channels_swapped": {"kernels": swapped},
    "pictures_swapped": {"pictures": lambda pixels: pixels[:, :, ::-1]},
    "max_pooling": {"pooling": "max"},
    "read_before_update": {"updates": 0},
}


def causes(setup: Setup | None, measured: dict[int, Losses]) -> list[str]:
    return [finding.cause for finding in diagnose("coursera", TRACE, measured, setup).findings]


@pytest.fixture(scope="module", autouse=True)
def one_blas_thread() -> Any:
    with threadpool_limits(limits=1, user_api="blas"):
        yield


@pytest.mark.parametrize("cause", MISTAKES)
def test_a_mistake_made_elsewhere_is_named(cause: str, setup: Setup) -> None:
    measured = other_program(setup, **MISTAKES[cause])
    diagnosis = diagnose("coursera", TRACE, {0: measured}, setup)
    assert [finding.cause for finding in diagnosis.findings] == [cause]
    assert f"measured {measured['total']:.7g}" in diagnosis.findings[0].evidence


def test_random_weights_used_elsewhere_are_named(setup: Setup) -> None:
    made = load(ResolvedWeights("random", seed=0), (setup.content, setup.style))
    measured = other_program(setup, kernels=lambda _: made.kernels, biases=made.biases)
    assert causes(setup, {0: measured}) == ["random_weights"]


def test_every_cause_is_provoked() -> None:
    assert set(CAUSES) == {*MISTAKES, "random_weights"}


def test_a_run_without_a_mistake_points_to_its_inputs(setup: Setup) -> None:
    assert causes(setup, {0: other_program(setup)}) == ["inputs"]


def test_an_unknown_mistake_is_not_guessed_at_and_known_ones_differ(setup: Setup) -> None:
    measured = other_program(setup, first=lambda content: content + 1)
    diagnosis = diagnose("coursera", TRACE, {0: measured}, setup)
    assert diagnosis.findings == ()
    totals = {p.cause: p.losses["total"] for p in diagnosis.predictions}
    assert list(totals) == ["none", *CAUSES]
    for one, other in combinations(totals, 2):
        assert abs(totals[one] / totals[other] - 1) > 2 * MATCH_RTOL, (one, other)


def test_a_trace_of_nan_is_no_known_mistake(setup: Setup) -> None:
    nan = dict.fromkeys(("total", "content", "style"), float("nan"))
    assert causes(None, {0: nan}) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (dict, []),
        (transposed, ["kernels_transposed"]),
        (swapped, ["channels_swapped"]),
        (lambda k: swapped(transposed(k)), ["kernels_transposed", "channels_swapped"]),
        (lambda k: {**k, "conv1_1": k["conv1_1"] + 1}, ["random_weights"]),
    ],
)
def test_kernels_are_compared_with_the_published_ones(
    change: Callable[[dict[str, Any]], dict[str, Any]], named: list[str], setup: Setup
) -> None:
    weights = replace(setup.weights, kernels=change(dict(setup.weights.kernels)))
    assert [finding.cause for finding in examine_kernels(weights)] == named
    if named:
        # The run does what these kernels give; that they are wrong is what is to be said.
        faulty = replace(setup, weights=weights)
        assert causes(faulty, {0: other_program(faulty)}) == named


@pytest.mark.parametrize("known", TRACE.known_causes, ids=lambda known: known.name)
def test_published_traces_of_mistakes_are_recognised_without_any_file(known: Any) -> None:
    measured = {
        iteration: {term: values[place] for term, values in known.terms.items()}
        for place, iteration in enumerate(TRACE.iterations)
    }
    assert causes(None, measured) == [known.name]
    first = {0: measured[0]}
    assert causes(None, first) == [known.name]


def test_the_published_trace_itself_is_no_mistake() -> None:
    measured = {0: {"total": float(expected("coursera", "total@0").value)}}
    assert causes(None, measured) == []


def test_real_kernels_are_as_published(reference: Path) -> None:
    from networks import real_weights

    assert examine_kernels(real_weights(reference)) == []
