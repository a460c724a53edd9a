"""Why a trace deviates: known mistakes, each recognised by what it gives and not by guessing.

Three kinds of evidence are looked at:

* the kernels of conv1_1 against their published values, as stored and with axes exchanged;
* the losses that each known mistake gives with the pictures and weights at hand, computed for the
  first published iteration and compared with the measured ones;
* published traces of known mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nst_graph.config import Job
from nst_graph.objective import Objective
from nst_graph.optimizers import optimise
from nst_graph.plan import Plan
from nst_graph.preprocess import Pixels, initial_image, noise_image, to_network
from nst_graph.problem import Problem
from nst_graph.reproduce.expected import Trace, expected
from nst_graph.reproduce.findings import Diagnosis, Finding, Prediction
from nst_graph.reproduce.trace import full_precision
from nst_graph.session import session_config
from nst_graph.targets import TargetNetwork, compute_targets
from nst_graph.types import FloatArray, VggWeights
from nst_graph.weights import ResolvedWeights, load

Losses = Mapping[int, Mapping[str, float]]

#: Predictions are made where the first published iteration is at most this many updates away.
MAX_UPDATES = 2
#: Terms that are compared.
_TERMS = ("total", "content", "style")


@dataclass(frozen=True)
class Setup:
    """Everything that decides a run, as plain values, so that a mistake can be put into it.

    Attributes:
        job: settings.
        content, style: pixels, uint8 [height, width, 3], RGB.
        weights: kernels.
        initial: image that the run starts from, float32 [1, height, width, 3].
    """

    job: Job
    content: Pixels
    style: Pixels
    weights: VggWeights
    initial: FloatArray


@dataclass(frozen=True)
class Cause:
    """A known mistake.

    Attributes:
        title: for people.
        vary: makes the mistake; None where it does not apply to such a run.
    """

    title: str
    vary: Callable[[Setup], Setup | None]


def setup_of(plan: Plan, weights: VggWeights) -> Setup:
    """The setup of a plan whose weights were read already."""
    content, style = plan.content.read().pixels, plan.style.read().pixels
    return Setup(plan.job, content, style, weights, _start(plan.job, content))


def diagnose(target: str, trace: Trace, measured: Losses, setup: Setup | None) -> Diagnosis:
    """Name the known causes that a deviating trace matches.

    Args:
        target: whose trace it is.
        trace: the published side.
        measured: losses by iteration and term.
        setup: how the trace was, or should have been made; None compares with published traces of
            known mistakes only.
    """
    first = trace.iterations[0]
    findings: list[Finding] = []
    predictions: list[Prediction] = []
    if setup is not None:
        findings += examine_kernels(setup.weights)
    # Predictions made with wrong kernels would be those of another network.
    if setup is not None and not findings and first in measured and _near(setup.job, first):
        with full_precision():
            predictions += predict_all(setup, first, measured[first])
        findings += _predicted(predictions, measured[first], first)
    if not any(finding.cause in CAUSES for finding in findings):
        findings = [*_published(trace, measured), *findings]
    remark = "" if findings else _remark(setup, predictions)
    return Diagnosis(target, first, tuple(findings), tuple(predictions), remark)


def examine_kernels(weights: VggWeights) -> list[Finding]:
    """Compare conv1_1 with its published values, as stored and with axes exchanged.

    Returns:
        nothing where it is as published.
    """
    kernel = weights.in_channel_order("RGB").kernels["conv1_1"]
    if _is_published(kernel):
        return []
    file = weights.provenance.description
    transposed, swapped = kernel.transpose(1, 0, 2, 3), kernel[:, :, ::-1]
    for causes, candidate in (
        (("kernels_transposed",), transposed),
        (("channels_swapped",), swapped),
        (("kernels_transposed", "channels_swapped"), transposed[:, :, ::-1]),
    ):
        if _is_published(candidate):
            evidence = f"conv1_1 of the weights ({file}) is the published one with axes exchanged"
            return [Finding(cause, CAUSES[cause].title, evidence) for cause in causes]
    evidence = f"conv1_1 of the weights ({file}) is the published one in no order of its axes"
    return [Finding("random_weights", CAUSES["random_weights"].title, evidence)]


def predict_all(setup: Setup, iteration: int, measured: Mapping[str, float]) -> list[Prediction]:
    """The losses at ``iteration`` without a mistake, then with each known one, to the first match.

    No two of them give the same losses, so the rest need not be computed.
    """
    predictions: list[Prediction] = []
    for name in ("none", *CAUSES):
        varied = setup if name == "none" else CAUSES[name].vary(setup)
        if varied is None:
            continue
        losses = predict(varied, iteration)
        predictions.append(Prediction(name, losses, _difference(losses, measured)))
        if predictions[-1].matches:
            break
    return predictions


def predict(setup: Setup, iteration: int) -> dict[str, float]:
    """The losses that a run of this setup reads at an iteration."""
    job, network = setup.job, setup.job.network
    config = session_config(job.session)
    with TargetNetwork(
        setup.weights.in_channel_order(network.channel_order),
        network.pooling,
        network.padding,
        job.content_layers,
        job.style_layers,
        config,
    ) as targets_network:
        targets = compute_targets(
            targets_network,
            to_network(setup.content, network.channel_order),
            to_network(setup.style, network.channel_order),
        )
    objective = Objective(network, job.content_layers, job.style_layers, job.losses)
    steps = iteration - job.log.first_iteration + 1
    optimizer = job.optimizer.model_copy(update={"steps": steps})
    with Problem(setup.initial, setup.weights, targets, objective, config) as problem:
        for step in optimise(problem, optimizer, job.log):
            if step.iteration == iteration:
                return {term: step.losses[term] for term in _TERMS}
    raise ValueError(f"a run of {steps} steps does not come to iteration {iteration}")


# --- the mistakes ----------------------------------------------------------------------------


def _noise_drawn_twice(setup: Setup) -> Setup | None:
    """The notebook's noise cell ran twice: the generator is one picture further on."""
    start = setup.job.initial_image
    if start.kind != "blend":
        return None
    first, second = noise_image((2, *setup.initial.shape), start.seed)
    shift = (second - first) * np.float32(start.noise_ratio)
    return replace(setup, initial=setup.initial + shift)


def _zero_image(setup: Setup) -> Setup:
    """``assign`` ran before ``global_variables_initializer``, which put the zeros back."""
    return replace(setup, initial=np.zeros_like(setup.initial))


def _kernels_transposed(setup: Setup) -> Setup:
    """Height and width of every kernel exchanged, as for files of another convention."""
    kernels = {
        name: np.ascontiguousarray(kernel.transpose(1, 0, 2, 3))
        for name, kernel in setup.weights.kernels.items()
    }
    return replace(setup, weights=replace(setup.weights, kernels=kernels))


def _kernels_swapped(setup: Setup) -> Setup:
    """conv1_1's input channels taken in the other order: RGB kernels on BGR images or reverse."""
    kernels = dict(setup.weights.kernels)
    kernels["conv1_1"] = np.ascontiguousarray(kernels["conv1_1"][:, :, ::-1])
    return replace(setup, weights=replace(setup.weights, kernels=kernels))


def _pictures_swapped(setup: Setup) -> Setup:
    """Both pictures read in the other order, as OpenCV reads them; mean and kernels as before."""
    content, style = (np.ascontiguousarray(p[..., ::-1]) for p in (setup.content, setup.style))
    initial = _start(setup.job, content)
    return replace(setup, content=content, style=style, initial=initial)


def _other_pooling(setup: Setup) -> Setup | None:
    if setup.job.network.pooling != "avg":
        return None
    return replace(setup, job=_with(setup.job, "network", pooling="max"))


def _other_reading(setup: Setup) -> Setup | None:
    if setup.job.log.read_losses != "after_update":
        return None
    return replace(setup, job=_with(setup.job, "log", read_losses="before_update"))


def _random_weights(setup: Setup) -> Setup:
    """The kernels that this package makes where it finds no file."""
    request = ResolvedWeights("random", seed=setup.job.weights.seed)
    return replace(setup, weights=load(request, (setup.content, setup.style)))


CAUSES: dict[str, Cause] = {
    "noise_drawn_twice": Cause("the noise was drawn twice", _noise_drawn_twice),
    "zero_image": Cause(
        "the image was initialised after the assign: it began at zero", _zero_image
    ),
    "kernels_transposed": Cause("the kernels are transposed", _kernels_transposed),
    "channels_swapped": Cause("RGB and BGR are swapped in conv1_1", _kernels_swapped),
    "pictures_swapped": Cause("RGB and BGR are swapped in the pictures", _pictures_swapped),
    "max_pooling": Cause("max instead of average pooling", _other_pooling),
    "read_before_update": Cause("losses were read before the step, not after it", _other_reading),
    "random_weights": Cause("random weights instead of the pretrained ones", _random_weights),
}


# --- comparisons -----------------------------------------------------------------------------


def _predicted(
    predictions: list[Prediction], measured: Mapping[str, float], iteration: int
) -> list[Finding]:
    """What the one prediction that matches says; it is the last."""
    last = predictions[-1]
    if not last.matches:
        return []
    evidence = (
        f"total at iteration {iteration}: computed {last.losses['total']:.7g}, measured "
        f"{measured['total']:.7g}"
    )
    if last.cause != "none":
        return [Finding(last.cause, CAUSES[last.cause].title, evidence)]
    return [
        Finding(
            "inputs",
            "no known mistake: the losses are those of these pictures and weights",
            f"{evidence}; check which of them are the published ones",
        )
    ]


def _published(trace: Trace, measured: Losses) -> list[Finding]:
    """The known mistakes whose published trace the measured one follows at every iteration."""
    findings = []
    for known in trace.known_causes:
        pairs = [
            (abs(measured[iteration][term] - values[place]) / values[place], known.rtol[place])
            for place, iteration in enumerate(trace.iterations)
            for term, values in known.terms.items()
            if term in measured.get(iteration, {})
        ]
        if pairs and all(difference <= rtol for difference, rtol in pairs):
            worst = max(difference for difference, _ in pairs)
            evidence = f"a published trace of it agrees to {worst:.1e} in {len(pairs)} numbers"
            findings.append(Finding(known.name, CAUSES[known.name].title, evidence))
    return findings


def _difference(losses: Mapping[str, float], measured: Mapping[str, float]) -> float:
    """Largest relative difference over the terms that both have."""
    differences = [
        abs(losses[term] - measured[term]) / max(abs(measured[term]), 1e-30)
        for term in _TERMS
        if term in measured
    ]
    return max(differences) if np.all(np.isfinite(differences)) else np.inf


def _remark(setup: Setup | None, predictions: list[Prediction]) -> str:
    """What was looked at in vain."""
    if predictions:
        return f"no known cause gives these losses (computed: {len(predictions) - 1} causes)"
    if setup is None:
        return "no known cause is recognised; with pictures and weights more could be computed"
    return (
        "no known cause is recognised: conv1_1 is as published, and the first published iteration "
        "is too far on to compute what known mistakes give"
    )


def _near(job: Job, iteration: int) -> bool:
    """Whether an iteration is few enough updates away to be predicted."""
    updates = iteration - job.log.first_iteration + 1
    return job.optimizer.name != "lbfgs" and updates <= MAX_UPDATES


def _is_published(kernel: FloatArray) -> bool:
    """Whether an RGB conv1_1 has the values that were published of it."""
    values = {
        "kernel_row": kernel[0, 0, 0, :3],
        "kernel_right": kernel[0, 1, 0, 0],
        "kernel_below": kernel[1, 0, 0, 0],
    }
    return all(
        np.allclose(value, expected("coursera", name).value, rtol=1e-5, atol=0)
        for name, value in values.items()
    )


def _start(job: Job, content: Pixels) -> FloatArray:
    start = job.initial_image
    image = to_network(content, job.network.channel_order)
    return initial_image(start.kind, image, start.seed, start.noise_ratio)


def _with(job: Job, section: str, **settings: Any) -> Job:
    """The job with some settings of one section changed."""
    changed = getattr(job, section).model_copy(update=settings)
    return job.model_copy(update={section: changed})
